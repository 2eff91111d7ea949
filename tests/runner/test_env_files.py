"""The files by which a step talks to later ones, as GitHub reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.runner.env_files import EnvFileError, read_pairs, read_paths


@pytest.mark.parametrize(
    ("data", "pairs"),
    [
        (b"", []),
        (b"a=1\n", [("a", "1")]),
        (b"a=1", [("a", "1")]),
        (b"\n\na=1\n\nb=2\n", [("a", "1"), ("b", "2")]),
        (b"a=b=c<<d\n", [("a", "b=c<<d")]),
        (b" a = b \n", [(" a ", " b ")]),
        (b"a=\n", [("a", "")]),
        (b"a=1\na=2\n", [("a", "1"), ("a", "2")]),
        (b"a<<END\none\n\ntwo\nEND\n", [("a", "one\n\ntwo")]),
        (b"a<<END\n\n\none\nEND\nb=2", [("a", "\n\none"), ("b", "2")]),
        (b"a<<END\nEND\n", [("a", "")]),
        (b"a<<E=F\nx=1\nE=F\n", [("a", "x=1")]),
        (b"a<<END\nEND \nEND", [("a", "END ")]),
        ("a=ü\n".encode(), [("a", "ü")]),
        (b"a=\xff\n", [("a", "�")]),
        (b"a=1\r\n", [("a", "1\r")]),
    ],
)
def test_what_is_read(data: bytes, pairs: list) -> None:
    assert read_pairs(data) == pairs


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"nonsense\n", "neither name=value nor name<<END"),
        (b"=1\n", "no name before"),
        (b"<<END\nx\nEND\n", "needs a name"),
        (b"a<<\nx\n", "an end word"),
        (b"a<<END\nx\n", "no line 'END' at its end"),
        (b"a<<END\nxEND\n", "no line 'END' at its end"),
    ],
)
def test_what_cannot_be_read_keeps_what_stood_before(data: bytes, message: str) -> None:
    with pytest.raises(EnvFileError, match=message) as caught:
        read_pairs(b"before=1\n" + data + b"after=2\n")

    assert caught.value.pairs == [("before", "1")]


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]+", fullmatch=True), st.text().filter(lambda text: "\r" not in text and "\n" not in text)))
def test_whatever_is_written_line_by_line_is_read_back(values: dict[str, str]) -> None:
    data = "".join(f"{name}={value}\n" for name, value in values.items()).encode("utf-8", "replace")

    assert dict(read_pairs(data)) == {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}


def test_paths_are_lines_and_blank_ones_are_none() -> None:
    assert read_paths(b"/a\n\n/b c\n  \n/d") == ["/a", "/b c", "/d"]
