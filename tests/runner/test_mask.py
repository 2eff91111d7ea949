"""Whatever way a stream is cut, what comes out is the whole with every secret replaced."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparki_daemon.runner.mask import Masker
from sparki_daemon.runner.mask_forms import patterns

LETTERS = st.text("ab", min_size=1, max_size=5)
SHAPES = st.text(st.sampled_from([*"abc019 \n\r\t\"'&<\\%=é😀", "\u2028"]), min_size=1, max_size=14)


def naive(data: bytes, values: list[str]) -> bytes:
    """The rule, said directly: mark every byte of every place of every form, then one `***` for each marked stretch."""
    spans = set()
    for value in values:
        for text in patterns(value):
            for at in range(len(data) - len(text) + 1):
                if data[at : at + len(text)] == text:
                    spans.add((at, at + len(text)))
    out, done, masked = b"", 0, False
    for start, end in sorted(spans):
        if start > done or not masked:
            out += data[done:start] + b"***"
        done, masked = max(done, end), True
    return out + data[done:]


def fed(masker: Masker, chunks: list[bytes]) -> bytes:
    return b"".join([masker.feed(chunk) for chunk in chunks]) + masker.flush()


@given(st.lists(LETTERS, min_size=1, max_size=3), st.text("ab ", max_size=24))
@example(["abc"[:2], "ba"], "aba")
@settings(max_examples=300, deadline=None)
def test_a_stream_cut_anywhere_gives_the_same_bytes(values: list[str], text: str) -> None:
    data = text.encode()
    expected = naive(data, values)

    for cut in range(len(data) + 1):
        assert fed(Masker(values), [data[:cut], data[cut:]]) == expected
    assert fed(Masker(values), [data[at : at + 1] for at in range(len(data))]) == expected


@given(st.lists(SHAPES, min_size=1, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_every_form_is_found_among_other_bytes_in_chunks_of_any_size(values: list[str], data: st.DataObject) -> None:
    forms = [text for value in values for text in patterns(value)]
    pieces = data.draw(st.lists(st.one_of(st.sampled_from(forms or [b"x"]), st.binary(max_size=4), st.just(b"ab01\n")), max_size=8))
    size = data.draw(st.integers(1, 9))
    whole = b"".join(pieces)
    expected = naive(whole, values)

    assert fed(Masker(values), [whole[at : at + size] for at in range(0, len(whole), size)]) == expected


@given(st.binary(max_size=200), st.integers(1, 50))
def test_without_a_mask_the_very_same_object_comes_back(data: bytes, size: int) -> None:
    masker = Masker()
    chunk = data[:size]

    assert masker.feed(chunk) is chunk
    assert masker.flush() == b""


def test_a_chunk_without_a_secret_is_not_copied() -> None:
    chunk = b"compiling one\ncompiling two\n"

    assert Masker(["hunter2-hunter2"]).feed(chunk) is chunk


@pytest.mark.parametrize("prompt", [b"Continue? [y/N] ", b"Password: ", b"> ", b"hunter2!"])
def test_a_prompt_appears_at_once(prompt: bytes) -> None:
    assert Masker(["s3cret-value", "line one\nline two"]).feed(prompt) == prompt


def test_only_the_possible_beginning_of_a_secret_is_held_back() -> None:
    masker = Masker(["hunter2"])

    assert masker.feed(b"my password is hunt") == b"my password is "
    assert masker.feed(b"ing\n") == b"hunting\n"
    assert masker.feed(b"hunt") == b""
    assert masker.feed(b"er2 and hun") == b"*** and "
    assert masker.flush() == b"hun"


def test_a_finished_secret_is_shown_masked_at_once_and_what_overlaps_it_later_joins_it() -> None:
    masker = Masker(["abc", "bcd"])

    assert masker.feed(b"<abc") == b"<***"
    assert masker.feed(b"d>") == b">"
    assert masker.feed(b"abc") == b"***"
    assert masker.feed(b"x") == b"x"


def test_secrets_that_touch_become_one_mask_even_across_chunks() -> None:
    masker = Masker(["hunter2"])

    assert masker.feed(b"hunter2") + masker.feed(b"hunter2") + masker.feed(b"hunter2 hunter2") == b"*** ***"


def test_a_mask_does_not_reach_over_the_end_of_a_stream() -> None:
    masker = Masker(["hunter2"])

    assert masker.feed(b"hunter2") + masker.flush() == b"***"
    assert masker.feed(b"hunter2") == b"***"


def test_a_value_added_in_the_middle_counts_from_the_next_byte() -> None:
    masker = Masker(["first-secret"])

    assert masker.feed(b"second-secret first-secret\n") == b"second-secret ***\n"
    masker.add("second-secret")
    assert masker.feed(b"second-secret first-secret\n") == b"*** ***\n"


def test_adding_a_value_does_not_let_a_cut_secret_through() -> None:
    masker = Masker(["first-secret"])

    shown = masker.feed(b"first-")
    masker.add("other")

    assert shown + masker.feed(b"secret\n") == b"***\n"


def test_streams_of_one_job_share_values_and_keep_their_own_carry() -> None:
    out = Masker(["hunter2"])
    err = out.stream()

    assert (out.feed(b"hunt"), err.feed(b"er2 ")) == (b"", b"er2 ")
    err.add("later-value")
    assert out.feed(b"er2 later-value\n") == b"*** ***\n"


@pytest.mark.parametrize("at", range(1, 9))
def test_a_secret_cut_inside_a_utf8_character_is_found(at: int) -> None:
    data = "pässwörd".encode()

    assert fed(Masker(["pässwörd"]), [data[:at], data[at:], b"!"]) == b"***!"


def test_a_secret_of_many_lines_is_found_whole_and_line_by_line_whatever_the_line_ends() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n}\n-----END KEY-----"
    masker = Masker([key])

    assert fed(masker, [key[:30].encode(), key[30:].encode()]) == b"***"
    assert fed(masker, [key.replace("\n", "\r\n").encode()]) == b"***\r\n***\r\n***\r\n}\r\n***"
    assert masker.mask_text("got kqhkiG9w0BAQ {}") == "got *** {}"


@pytest.mark.parametrize("size", [15, 23, 39, 70])
@pytest.mark.parametrize("shift", range(33))
def test_many_long_secrets_are_found_at_every_alignment(size: int, shift: int) -> None:
    letters = string.ascii_letters + string.digits
    values = ["".join(letters[(number * 7 + at * at + at) % 62] for at in range(size)) for number in range(40)]
    masker = Masker(values)
    data = b"." * shift + b" ".join(value.encode() for value in values) + b"." * (shift % 9)

    assert fed(masker, [data]) == b"." * shift + b" ".join([b"***"] * 40) + b"." * (shift % 9)


def test_a_text_is_masked_as_a_stream_is() -> None:
    masker = Masker(["hunter2", "pässwörd"])

    assert masker.mask_text("say hunter2, pässwördhunter2 or aHVudGVyMg==") == "say ***, *** or ***"
    assert masker.mask_text("nothing here: ü \udcff") == "nothing here: ü \udcff"
    assert Masker().mask_text("x") == "x"


def test_a_text_that_holds_a_secret_in_any_form_is_known() -> None:
    masker = Masker(["pass word"])

    assert masker.contains("?q=pass%20word")
    assert not masker.contains("pass, word")
    assert not Masker().contains("pass word")


@pytest.mark.parametrize("blank", ["", " ", "\n\t\r\n"])
def test_a_blank_value_hides_nothing(blank: str) -> None:
    assert fed(Masker([blank]), [b"a \n b"]) == b"a \n b"
