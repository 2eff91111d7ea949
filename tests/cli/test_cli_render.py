from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_cli.picture import fitted, plain_words
from sparki_cli.render import STATUS, WHITE, Output, duration, printable, visible, write_all
from sparki_cli.summary import quoted

COLOURED = Output(color=True)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0ms"),
        (37.9, "37ms"),
        (100, "0.1s"),
        (1540, "1.5s"),
        (59_999, "59.9s"),
        (60_000, "1:00"),
        (3_599_000, "59:59"),
        (3_661_000, "1:01:01"),
    ],
)
def test_a_duration_is_short(ms: float, words: str) -> None:
    assert duration(ms) == words


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("\x1b[1mabc\x1b[0m", 3), ("日本", 4), ("é", 1), ("e\u0301", 1), ("", 0), ("\x1b[31m✗\x1b[0m ok", 4)]
)
def test_columns_are_counted_without_styles(text: str, columns: int) -> None:
    assert visible(text) == columns


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30), st.integers(1, 20))
def test_a_fitted_line_never_is_too_wide(text: str, width: int) -> None:
    assert visible(fitted(COLOURED.styled(text, "red") + text, width)) <= width


def test_a_fitted_line_ends_its_style() -> None:
    assert fitted("\x1b[31mabcdef\x1b[0m", 3) == "\x1b[31mabc\x1b[0m"
    assert fitted("abc", 3) == "abc"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\ntwo\n\n", "two"), ("10%\r50%\r99%", "99%"), ("done\r\n", "done"), ("\x1b[2K\x1b[1;32mok\x1b[0m\x1b[5A", "ok"),
        ("\x1b]0;title\x07shown", "shown"), ("a\tb\x07", "a b "), ("\n \n", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_last_words_of_a_text_can_not_move_the_cursor(text: str, words: str) -> None:
    assert plain_words(text) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words ✓ 日本", "plain words ✓ 日本"), ("a\nb\tc\r", r"a\nb\tc\r"), ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x9b2J", r"\x9b2J"), ("a\u202eb\u2028c", r"a\u202eb\u2028c"), ("\u00a0 👨\u200d👩", "\u00a0 👨\u200d👩"),
        ("caf\udce9", "caf\udce9"),
    ],
)  # fmt: skip
def test_what_would_steer_the_terminal_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_text_of_several_lines_keeps_them() -> None:
    assert printable("a\n\tb\x1b", keep=WHITE) == "a\n\tb\\x1b"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_nothing_that_was_written_out_steers(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in printable(text))
    assert len(printable(text).splitlines()) <= 1


def test_every_status_has_a_glyph_a_letter_and_never_colour_alone() -> None:
    plain, letters = Output(), Output(ascii_only=True)
    for status in STATUS:
        assert len(plain.glyph(status)) == 1
        assert letters.glyph(status).isascii()
        assert plain.status(status) == status


@pytest.mark.parametrize(
    ("environ", "ascii_only"),
    [({}, False), ({"LANG": "C"}, False), ({"LANG": "de_DE.UTF-8"}, False), ({"LANG": "de_DE.ISO-8859-1"}, True),
     ({"LANG": "x.UTF-8", "LC_ALL": "x.latin1"}, True), ({"LC_CTYPE": "en_US.utf8", "LANG": "x.latin1"}, False)],
)  # fmt: skip
def test_the_locale_says_what_can_be_shown(environ: dict[str, str], ascii_only: bool) -> None:
    assert Output.of(environ, as_json=False, quiet=False, verbose=False, no_color=False).ascii_only is ascii_only


def test_a_table_is_as_wide_as_its_cells(capfd: pytest.CaptureFixture[str]) -> None:
    COLOURED.table([("a", COLOURED.styled("long one", "red"), "x"), ("日本", "b", "")], ("N", "STATUS", "LAST"))
    lines = capfd.readouterr().out.splitlines()
    assert lines == ["\x1b[1mN     STATUS    LAST\x1b[0m", "a     \x1b[31mlong one\x1b[0m  x", "日本  b"]


def test_names_that_are_no_text_come_out_as_the_bytes_that_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Output().line("caf\udce9")
    Output(as_json=True).document({"name": "caf\udce9 ✓"})
    Output().line("\ud800")
    assert capfdbinary.readouterr().out == b'caf\xe9\n{"name": "caf\\udce9 \\u2713"}\n\\ud800\n'


def test_a_descriptor_that_does_not_block_gets_all_of_it() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    pid = os.fork()
    if pid == 0:
        os.close(read)
        write_all(write, b"x" * 1_000_000)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert len(pipe.read()) == 1_000_000
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(("word", "shell"), [("test-3.11", "test-3.11"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")])
def test_a_word_can_be_pasted_into_a_shell(word: str, shell: str) -> None:
    assert quoted(word) == shell
