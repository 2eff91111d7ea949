"""`toJSON` and `fromJSON`: .NET's text, and what is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.json_text import from_json, to_json
from sparki_daemon.pipeline.expression.values import Filtered

scalars = st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=20
)


def nested(depth: int) -> object:
    value: object = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1e20, "1E+20"),
        (float("nan"), "NaN"),
        ("é/'\"\\\n\t\x01\x7f", '"é/\'\\"\\\\\\n\\t\\u0001\x7f"'),
        ("\x85\u2028\u2029", '"\\u0085\\u2028\\u2029"'),
        ((), "[]"),
        (Filtered([1, {}]), "[\n  1,\n  {}\n]"),
        ({"a": {"b": []}, "c": [[1]]}, '{\n  "a": {\n    "b": []\n  },\n  "c": [\n    [\n      1\n    ]\n  ]\n}'),
    ],
)
def test_a_value_is_written_as_dotnet_writes_it(value: object, text: str) -> None:
    assert to_json(value) == text


@given(documents)
def test_what_is_written_reads_back(value: object) -> None:
    assert from_json(to_json(value)) == value


@given(documents)
def test_any_json_is_read_as_it_is(value: object) -> None:
    assert from_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12345678901234567890", 12345678901234567000.0),
        ("1e400", math.inf),
        ("-1e400", -math.inf),
        ("9" * 5000, math.inf),
        ("0.5", 0.5),
        (" 1\n", 1),
    ],
)
def test_numbers_are_doubles(text: str, value: float) -> None:
    assert from_json(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "{'a': 1}", "nope", "1 2", '{"a" 1}', '"\x01"', "\ufeff1", "[" * 5000, '{"a":' * 5000]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        from_json(text)
    assert caught.value.kind == "evaluation"


def test_a_refusal_says_where_and_what_to_do_but_not_what_was_read() -> None:
    with pytest.raises(ExpressionError) as caught:
        from_json("{\n 'hunter2': 1}")
    assert "line 2, column 2" in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.hint == "JSON takes double quotes"
    with pytest.raises(ExpressionError) as caught:
        from_json("")
    assert "empty" in caught.value.hint


def test_a_hundred_levels_are_allowed_and_one_more_is_not() -> None:
    assert from_json(json.dumps(nested(100))) == nested(100)
    assert to_json(nested(100))
    with pytest.raises(ExpressionError):
        from_json(json.dumps(nested(101)))
    with pytest.raises(ExpressionError):
        to_json(nested(102))
    assert len(from_json("[" + ",".join(["[]"] * 500) + "]")) == 500


def test_half_a_character_becomes_one_that_a_file_can_hold() -> None:
    value = from_json('{"\\ud800": ["a\\uDC00b", "\\ud83d\\ude00", 1]}')
    assert value == {"\ufffd": ["a\ufffdb", "😀", 1]}
    assert str(value).encode()
