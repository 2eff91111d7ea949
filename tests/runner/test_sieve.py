"""The sieve never says that a chunk is free of what it holds, and a long output is scanned and masked as a short one is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.runner import commands, mask_search, sieve
from sparki_daemon.runner.commands import Command, Scanner
from sparki_daemon.runner.mask import Masker

pytest.importorskip("hyperscan", reason="no wheel of hyperscan for this machine: every chunk is looked at closely")
BLOCK = b"some words of a build, with 12:30:59 and a # now and then\n" * 1200


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8), st.binary(max_size=60), st.binary(max_size=60), st.data())
def test_what_is_there_is_never_overlooked(texts: list[bytes], before: bytes, after: bytes, data: st.DataObject) -> None:
    made = sieve.sieve(texts)
    assert made is not None
    held = data.draw(st.sampled_from(texts))
    for chunk in (before + held + after, before + after):
        assert made.may_hold(chunk, sieve.SECRET) == any(text in chunk for text in texts)
        assert made.may_hold(chunk, sieve.COMMAND) == bool(commands._CANDIDATE.search(chunk))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"::", b":", b" ", b"\t", b"\n", b"\r", b"#", b"##[", b"x", b"\0"]), max_size=12).map(b"".join))
def test_every_candidate_for_a_command_is_seen(text: bytes) -> None:
    made = sieve.sieve()
    assert made is not None
    assert not made.may_hold(text, sieve.SECRET)
    assert made.may_hold(text, sieve.COMMAND) == bool(commands._CANDIDATE.search(text))


def test_patterns_that_the_library_refuses_make_no_sieve() -> None:
    assert sieve.expressions([(sieve.SECRET, b"(")]) is None


def test_a_secret_is_masked_however_long_the_output_before_it() -> None:
    masker = Masker(["s3cr3t-pass-w9rd"])
    for _ in range(3 * sieve.FROM_BYTES // len(BLOCK)):
        assert masker.feed(BLOCK) == BLOCK
    assert masker.sieve is not None
    shown = masker.feed(BLOCK[:-5] + b"s3cr3t-") + masker.feed(b"pass-w9rd and more\n") + masker.flush()

    assert b"s3cr3t" not in shown
    assert b"*** and more" in shown


def test_a_value_added_late_is_masked_behind_a_long_output() -> None:
    masker = Masker(["s3cr3t-pass-w9rd"])
    for _ in range(3 * sieve.FROM_BYTES // len(BLOCK)):
        masker.feed(BLOCK)
    masker.add("another-value")

    assert masker.feed(b"an another-value\n") == b"an ***\n"


def test_commands_are_found_behind_a_long_output() -> None:
    scanner = Scanner()
    for _ in range(3 * sieve.FROM_BYTES // len(BLOCK)):
        assert list(scanner.feed(BLOCK)) == [BLOCK]
    assert scanner._sieve is not None
    found = list(scanner.feed(b"text\n  ::warning::take care\nmore a::b\n"))

    assert [piece.name if isinstance(piece, Command) else piece for piece in found] == [b"text\n", "warning", b"more a::b\n"]


def test_without_the_library_nothing_is_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_search, "sieve", lambda _: None)
    masker = Masker(["s3cr3t-pass-w9rd"])
    text = (BLOCK + b"s3cr3t-pass-w9rd\n") * (2 * sieve.FROM_BYTES // len(BLOCK))
    shown = b"".join(masker.feed(text[at : at + 65536]) for at in range(0, len(text), 65536)) + masker.flush()

    assert shown == re.sub(b"s3cr3t-pass-w9rd", b"***", text)


def test_one_look_serves_both_and_each_finds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    masker, scanner = Masker(["s3cr3t-pass-w9rd"]), Scanner()

    def shown(chunk: bytes) -> list[bytes | str]:
        pieces = scanner.feed(chunk, masker.sieve)
        return [piece.name if isinstance(piece, Command) else masker.feed(piece) for piece in pieces]

    for _ in range(3 * sieve.FROM_BYTES // len(BLOCK)):
        assert shown(BLOCK) == [BLOCK]
    made, looks = masker.sieve, []
    assert made is not None
    assert scanner._sieve is None
    monkeypatch.setattr(sieve.Sieve, "_look", lambda self, data, look=sieve.Sieve._look: (looks.append(data), look(self, data)))

    another = b"other " + BLOCK
    assert shown(another) == [another]
    assert looks == [another]
    assert shown(b"a s3cr3t-pass-w9rd\n::notice::a s3cr3t-pass-w9rd\nmore\n") == [b"a ***\n", "notice", b"more\n"]
    assert shown(b"::notice::b\n") == ["notice"]
    assert shown(b"s3cr3t-pass-w9rd at last\n") == [b"*** at last\n"]
    assert masker.sieve is made


def test_the_sieve_of_former_secrets_is_not_asked_for_new_ones() -> None:
    masker, scanner = Masker(["s3cr3t-pass-w9rd"]), Scanner()
    for _ in range(3 * sieve.FROM_BYTES // len(BLOCK)):
        masker.feed(BLOCK)
    assert masker.sieve is not None
    masker.add("another-value")

    assert masker.sieve is None
    assert [piece if isinstance(piece, Command) else masker.feed(piece) for piece in scanner.feed(b"an another-value\n", masker.sieve)] == [
        b"an ***\n"
    ]
