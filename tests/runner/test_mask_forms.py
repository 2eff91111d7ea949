"""A secret is known in every form that GitHub's runner knows it in, and a few more."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.runner.mask import Masker
from sparki_daemon.runner.mask_forms import patterns, to_bytes, to_text

AWKWARD = "pä\"ss'w<&>\\rd 100%\tend"


def test_the_text_itself_is_trimmed() -> None:
    assert b"hunter2" in patterns("  hunter2\n")
    assert not any(text != text.strip() for text in patterns("  hunter2\n"))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", json.dumps(AWKWARD, ensure_ascii=False)[1:-1]),
        ("json, ascii", json.dumps(AWKWARD)[1:-1]),
        ("uri", quote(AWKWARD, safe="")),
        ("xml", escape(AWKWARD, {'"': "&quot;", "'": "&apos;"})),
        ("expression", AWKWARD.replace("'", "''")),
        ("command line", AWKWARD.replace('"', '\\"')),
        ("base64", base64.b64encode(AWKWARD.encode()).decode()),
    ],
)
def test_an_awkward_value_is_hidden_in_each_escape(form: str, text: str) -> None:
    assert Masker([AWKWARD]).mask_text(f"<{text}>") == "<***>", form


@given(st.text(min_size=1, max_size=30).filter(str.strip))
def test_a_value_of_any_characters_is_hidden_as_json_and_uri_see_it(value: str) -> None:
    masker = Masker([value])
    bare = value.strip()

    for text in (json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1], quote(bare, safe="")):
        assert b"*** " in masker.feed(text.encode() + b" ")


def test_line_ends_beyond_ascii_are_hidden_whether_json_escapes_them_or_not() -> None:
    masker = Masker(['say "\u2028ü"'])

    assert masker.mask_text('<say \\"\\u2028ü\\"> <say \\"\u2028ü\\">') == "<***> <***>"


def test_a_value_outside_the_basic_plane_is_hidden_as_a_surrogate_pair() -> None:
    assert Masker(["key-😀-key"]).mask_text(json.dumps("key-😀-key")) == '"***"'


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_base64_of_a_text_round_the_secret_shows_none_of_its_whole_characters(before: int, after: int) -> None:
    secret = b"correct-horse-battery"
    around = base64.b64encode(b"u" * before + secret + b"v" * after).decode()

    shown = Masker([secret.decode()]).mask_text(around)

    assert shown.count("***") == 1
    left, right = shown.split("***")
    assert len(left) <= (8 * before + 5) // 6
    assert len(right) <= 4 * ((before + len(secret) + after + 2) // 3) - 8 * (before + len(secret)) // 6


@pytest.mark.parametrize("skipped", range(3))
def test_base64_of_the_end_of_a_secret_is_hidden_too(skipped: int) -> None:
    encoded = base64.b64encode(b"correct-horse-battery"[skipped:]).decode()

    assert Masker(["correct-horse-battery"]).mask_text(f"({encoded})") == "(***)"


def test_a_quoted_value_is_hidden_without_its_quotes() -> None:
    assert Masker(['"hunter2"']).mask_text("password hunter2") == "password ***"
    assert Masker(['"a"']).mask_text("banana") == "banana"


def test_a_short_value_is_hidden_as_a_whole_but_never_by_fragments() -> None:
    masker = Masker(["42"])

    assert masker.mask_text("pin 42, again 42") == "pin ***, again ***"
    assert all(len(text) >= 4 for text in patterns("42") if text != b"42")


def test_braces_of_a_json_secret_hide_nothing_elsewhere() -> None:
    masker = Masker(['{\n  "token": "t0ken-t0ken",\n  "n": 1\n}'])

    assert masker.mask_text("if (x) { y[0] }") == "if (x) { y[0] }"
    assert masker.mask_text('  "token": "t0ken-t0ken",') == "  ***"


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_needle_is_part_of_its_pattern_and_forms_never_repeat(value: str) -> None:
    found = patterns(value)

    assert all(needle and needle in text for text, needle in found.items())
    assert bool(found) == bool(value.strip())


def test_a_plain_token_needs_four_searches_only() -> None:
    assert len(set(patterns("ghp_16C7e42F292c6912E7710c838347Ae178B4a").values())) == 4


@given(st.binary(max_size=40))
def test_bytes_that_are_no_utf8_survive_the_way_through_a_text(data: bytes) -> None:
    assert to_bytes(to_text(data)) == data


def test_a_lone_surrogate_is_no_error() -> None:
    assert Masker(["key-\ud800-key"]).contains("key-\ud800-key")
