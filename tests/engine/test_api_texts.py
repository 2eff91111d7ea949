"""Log text in pieces: whole lines, whole characters, each byte once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparki_daemon.engine.api import texts as texts_module
from sparki_daemon.engine.api.texts import PIECE_BYTES, Cut, Texts, cut, whole_characters
from sparki_daemon.store.log_reader import LogReader


@pytest.mark.parametrize(
    ("data", "how", "size"),
    [
        (b"", Cut.LINE, 0),
        (b"a\nb", Cut.LINE, 2),
        (b"ab", Cut.LINE, 0),
        (b"ab", Cut.CHARACTER, 2),
        ("aü".encode()[:-1], Cut.CHARACTER, 1),
        ("aü".encode()[:-1], Cut.END, 2),
        (b"x" * PIECE_BYTES, Cut.LINE, PIECE_BYTES),
        (b"x" * (PIECE_BYTES - 1) + b"\xc3", Cut.LINE, PIECE_BYTES - 1),
        (b"\n" + b"x" * (PIECE_BYTES - 1), Cut.LINE, 1),
    ],
)
def test_a_piece_ends_at_a_line_else_at_a_character(data: bytes, how: Cut, size: int) -> None:
    assert cut(data, how) == size


@pytest.mark.parametrize("text", ["aé", "a€", "a𝄞", "𝄞", "abc"])
def test_a_character_is_never_cut(text: str) -> None:
    data = text.encode()
    for end in range(len(data) + 1):
        kept = whole_characters(data[:end])
        assert data[:kept].decode() == text[: len(data[:kept].decode())]
        assert end - kept < 4


def test_bytes_that_are_no_utf_8_are_not_held_back_for_ever() -> None:
    assert whole_characters(b"a\x80\x80\x80\x80") == 5
    assert whole_characters(b"\xff\xff\xff\xffa") == 5


def test_followers_of_one_job_read_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\nthr")
    reads: list[tuple[int, int]] = []

    class Counting(LogReader):
        def read(self, start: int, limit: int) -> bytes:
            reads.append((start, limit))
            return super().read(start, limit)

    monkeypatch.setattr(texts_module, "LogReader", Counting)
    texts = Texts()
    with texts.open(str(path)) as one, texts.open(str(path)) as other:
        assert one is other
        answers = {texts.piece(one, "u", "job", (0, 11, 0), Cut.LINE) for _ in range(200)}
    ((line, end),) = answers
    assert end == 8
    assert json.loads(line) == {"log": {"uid": "u", "job": "job", "step": 0, "from": 0, "to": 8, "text": "one\ntwo\n"}}
    assert reads == [(0, 11)]


def test_a_log_is_closed_by_the_last_who_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x\n")
    texts = Texts()
    with texts.open(str(path)) as reader:
        with texts.open(str(path)):
            pass
        assert texts.piece(reader, "u", "job", (0, 2, 0), Cut.END)[1] == 2
        assert reader._fd >= 0
    assert reader._fd == -1
    assert not texts._pieces


def test_a_piece_tells_how_far_its_bytes_go_where_they_are_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"\xff\xfe\n")
    texts = Texts()
    with texts.open(str(path)) as reader:
        line, end = texts.piece(reader, "u", "job", (0, 3, None), Cut.END)
    assert end == 3
    assert json.loads(line)["log"] == {"uid": "u", "job": "job", "step": None, "from": 0, "to": 3, "text": "\ufffd\ufffd\n"}
