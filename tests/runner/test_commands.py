"""Workflow commands: which lines are one, what they say, and what of the output waits for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.runner.annotations import line_of
from sparki_daemon.runner.commands import MOST_HELD_BYTES, Command, Scanner, parse, parse_anywhere


def scan(*chunks: bytes) -> list[bytes | Command]:
    scanner = Scanner()
    return [piece for chunk in chunks for piece in scanner.feed(chunk)] + [*scanner.flush()]


def text(pieces: list[bytes | Command]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def names(pieces: list[bytes | Command]) -> list[str]:
    return [piece.name for piece in pieces if isinstance(piece, Command)]


@pytest.mark.parametrize(
    ("line", "name", "properties", "data"),
    [
        (b"::warning::careful", "warning", {}, "careful"),
        (b"  \t::warning::after blanks", "warning", {}, "after blanks"),
        (b"::ERROR file=a.py,line=3::x", "error", {"file": "a.py", "line": "3"}, "x"),
        (b"::set-output name=a::b=c::d", "set-output", {"name": "a"}, "b=c::d"),
        (b"::error file=a=b.py::x", "error", {"file": "a=b.py"}, "x"),
        (b"::error title=a%2Cb%3Ac%0A::%0A%250A%0D", "error", {"title": "a,b:c\n"}, "\n%0A\r"),
        (b"::endgroup::", "endgroup", {}, ""),
        (b"::error file=,line=2,=3,col::x", "error", {"line": "2"}, "x"),
        (b"::error   file = a , line=2  ::x", "error", {"file ": " a ", " line": "2"}, "x"),
        (b"::error =file==a==b::x", "error", {"file": "a==b"}, "x"),
    ],
)
def test_a_command_is_read(line: bytes, name: str, properties: dict, data: str) -> None:
    assert parse(line) == Command(name, properties, data, line)


@pytest.mark.parametrize("line", [b":: ::x", b":: error::x", b"::warning", b"x ::warning::y", b"::::", b""])
def test_what_is_no_command(line: bytes) -> None:
    assert parse(line) is None


def test_the_old_form_may_stand_anywhere_in_a_line() -> None:
    assert parse_anywhere(b"12:00 ##[error file=a;line=3]x%5D%3B") == Command(
        "error", {"file": "a", "line": "3"}, "x];", b"12:00 ##[error file=a;line=3]x%5D%3B"
    )
    assert parse_anywhere(b"##[error  file=a; line=3]x") == Command(
        "error", {" file": "a", " line": "3"}, "x", b"##[error  file=a; line=3]x"
    )
    assert parse_anywhere(b"##[error x") is None
    assert names(scan(b"::no-command::##[warning]text\n")) == ["warning"]
    assert names(scan(b"some ##[warning]text\n")) == ["warning"]


def test_output_without_commands_passes_as_it_is() -> None:
    chunks = [b"tests/a.py::test_one PASSED\n", b"a prompt> ", b"yes\nno end"]

    assert scan(*chunks) == chunks


def test_a_command_between_lines_is_taken_out_with_its_line_end() -> None:
    pieces = scan(b"one\n::group::Title\r\ntwo\n::endgroup::\nthree")

    assert text(pieces) == b"one\ntwo\nthree"
    assert names(pieces) == ["group", "endgroup"]
    assert [type(piece) for piece in pieces] == [bytes, Command, bytes, Command, bytes]


def test_an_unknown_command_is_text() -> None:
    assert scan(b"::frobnicate::x\n##[other]y\n") == [b"::frobnicate::x\n##[other]y\n"]


def test_a_prompt_is_not_held_back() -> None:
    scanner = Scanner()

    assert list(scanner.feed(b"Continue? ")) == [b"Continue? "]
    assert list(scanner.feed(b"a:")) == [b"a:"]


def test_the_middle_of_a_line_is_no_command_whatever_it_looks_like() -> None:
    assert scan(b"value", b"::error::x\n") == [b"value", b"::error::x\n"]
    assert scan(b"value", b"::error::x", b"y\n::error::z\n")[:2] == [b"value", b"::error::x"]
    assert names(scan(b"   ", b"::error::x\n")) == ["error"]


LINES = (
    b"plain", b"", b"  ", b"::error::a", b"  ::warning file=x::b", b"@##[notice]c", b"x::y", b"#", b"##", b"::nothing::", b"@##[",
)  # fmt: skip


@given(st.data())
def test_where_the_output_was_cut_makes_no_difference(data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.sampled_from(LINES), max_size=8))
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    cut, uncut = scan(*[chunk for chunk in chunks if chunk]), scan(whole)

    said = [[piece[:3] for piece in pieces if isinstance(piece, Command)] for pieces in (cut, uncut)]
    assert said[0] == said[1]
    # Of a command's line what stood before it may have passed already: blanks, or the words before `##[`.
    assert text(cut).translate(None, b"@ ") == text(uncut).translate(None, b"@ ")


def test_stopped_commands_are_text_until_the_word_comes() -> None:
    scanner = Scanner()
    pieces = []
    for piece in scanner.feed(b"::stop-commands::Enough\n::error::shown\n::enough::\n::error::obeyed\n"):
        pieces.append(piece)
        if isinstance(piece, Command) and piece.name == "stop-commands":
            scanner.stop(piece.data)

    assert names(pieces) == ["stop-commands", "resume-commands", "error"]
    assert text(pieces) == b"::error::shown\n"


def test_a_line_that_is_longer_than_any_command_is_text() -> None:
    long = b"::set-output name=a::" + b"x" * MOST_HELD_BYTES

    assert text(scan(*[long[at : at + 65536] for at in range(0, len(long), 65536)])) == long


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"::error file=a.py,line=3,col=7,title=Bad::no good", "Error: a.py:3:7: Bad: no good"),
        (b"::warning::hm", "Warning: hm"),
        (b"::notice::so", "Notice: so"),
        (b"::group::Build", "▾ Build"),
        (b"::endgroup::", None),
        (b"::debug::quiet", None),
    ],
)
def test_how_a_command_looks_in_the_log(line: bytes, shown: str | None) -> None:
    command = parse(line)
    assert command

    assert line_of(command) == shown
