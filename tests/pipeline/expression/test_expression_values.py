"""Kinds, coercions and comparisons. Source of the expectations: actions/runner and .NET's formats."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.pipeline.expression.values import (
    Filtered,
    compare,
    fold,
    is_primitive,
    is_truthy,
    kind_of,
    less_than,
    lookup,
    loosely_equal,
    number_text,
    parse_number,
    to_number,
    to_string,
)

NAN = float("nan")
primitives = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8)


class Colour(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "Null"),
        (True, "Boolean"),
        (0, "Number"),
        (0.5, "Number"),
        ("", "String"),
        (Colour("red"), "String"),
        ([], "Array"),
        ((1, 2), "Array"),
        (Filtered(), "Array"),
        ({}, "Object"),
        (OrderedDict(), "Object"),
        (MappingProxyType({}), "Object"),
    ],
)
def test_every_value_has_a_kind(value: object, kind: str) -> None:
    assert kind_of(value) == kind
    assert is_primitive(value) is (kind not in {"Array", "Object"})


@pytest.mark.parametrize("value", [None, False, 0, 0.0, -0.0, NAN, ""])
def test_these_values_are_false(value: object) -> None:
    assert not is_truthy(value)


@pytest.mark.parametrize("value", [True, 1, -1, 0.5, math.inf, "0", "false", " ", [], {}, Filtered()])
def test_all_other_values_are_true(value: object) -> None:
    assert is_truthy(value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (42, "42"),
        (-42.0, "-42"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333333"),
        (123456789012345, "123456789012345"),
        (1234567890123456, "1.23456789012346E+15"),
        (1e15, "1E+15"),
        (1e14, "100000000000000"),
        (0.0001, "0.0001"),
        (0.00001, "1E-05"),
        (1e300, "1E+300"),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (NAN, "NaN"),
    ],
)
def test_a_number_is_written_with_fifteen_digits_at_most(number: float, text: str) -> None:
    assert number_text(number) == text
    assert to_string(number) == text


def test_arrays_and_objects_become_the_names_of_their_kinds() -> None:
    assert [to_string(value) for value in ([1], {"a": 1}, Filtered([1]), (1,))] == ["Array", "Object", "Array", "Array"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" \t\r\n\u00a0\u3000", 0),
        ("12", 12),
        (" +1.5 ", 1.5),
        ("1.", 1),
        (".5", 0.5),
        ("-.5e-1", -0.05),
        ("1E3", 1000),
        ("1e999", math.inf),
        ("-1e999", -math.inf),
        ("0xff", 255),
        ("0x7fffffff", 2147483647),
        ("0xFFFFFFFF", -1),
        ("0x80000000", -2147483648),
        ("0x00000000001", 1),
        ("0o17", 15),
        ("0o37777777777", -1),
        ("Infinity", math.inf),
        ("+infinity", math.inf),
        ("-INFINITY", -math.inf),
    ],
)
def test_a_text_that_is_a_number_becomes_it(text: str, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "+",
        "-",
        "e5",
        "1e",
        "1e+",
        "1_000",
        "1,000",
        "0x",
        "0xg",
        "0X1",
        "0o8",
        "0o",
        "-0x1",
        "0x100000000",
        "0o40000000000",
        "NaN",
        "nan",
        "١",
        "1 2",
        "--1",
        "\x1c1",
        "inf",
    ],
)
def test_a_text_that_is_no_number_becomes_nan(text: str) -> None:
    assert math.isnan(parse_number(text))


def test_a_whole_number_is_an_int_as_long_as_it_is_exact() -> None:
    assert type(parse_number("3.0")) is int
    assert type(parse_number("1e3")) is int
    assert type(parse_number("9007199254740992")) is int
    assert type(parse_number("18014398509481984")) is float


@pytest.mark.parametrize(("value", "number"), [(None, 0), (False, 0), (True, 1), (2.5, 2.5), ("3", 3)])
def test_a_primitive_becomes_a_number(value: object, number: float) -> None:
    assert to_number(value) == number


def test_arrays_and_objects_are_no_numbers() -> None:
    assert math.isnan(to_number([]))
    assert math.isnan(to_number({}))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("abc", "ABC"),
        ("straße", "STRAßE"),
        ("Σ", "ς"),
        ("é", "É"),
        (1, "1"),
        ("0x10", 16),
        (True, "1"),
        (None, ""),
        (None, 0),
        (None, False),
        (False, "  "),
    ],
)
def test_these_are_loosely_equal(left: object, right: object) -> None:
    assert loosely_equal(left, right)
    assert loosely_equal(right, left)
    assert compare("==", left, right)
    assert compare("<=", left, right)
    assert compare(">=", left, right)
    assert not compare("!=", left, right)
    assert not compare("<", left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ß", "ss"),
        ("i", "İ"),
        ("I", "ı"),
        ("s", "ſ"),
        (NAN, NAN),
        ("NaN", NAN),
        (1, "one"),
        (True, "true"),
        (None, "null"),
        ([], []),
        ({}, {}),
        ([], ""),
        ({}, "Object"),
        ([], 0),
    ],
)
def test_these_are_not_loosely_equal(left: object, right: object) -> None:
    assert not loosely_equal(left, right)
    assert not loosely_equal(right, left)
    assert compare("!=", left, right)


def test_an_array_or_object_is_equal_to_itself_alone() -> None:
    for value in ([1], {"a": 1}):
        assert loosely_equal(value, value)
        assert compare(">=", value, value)
        assert not compare(">", value, value)


@pytest.mark.parametrize(
    ("less", "more"),
    [("a", "B"), ("A", "b"), ("Z", "["), ("z", "["), (False, True), (1, "2"), ("9", 10), (None, 1), (-1, None), ("\U0001f600", "\uff5e")],
)
def test_order_follows_code_units_and_numbers(less: object, more: object) -> None:
    assert less_than(less, more)
    assert not less_than(more, less)
    assert compare("<", less, more)
    assert compare(">", more, less)
    assert compare("<=", less, more)
    assert not compare(">=", less, more)


@pytest.mark.parametrize(("left", "right"), [(None, None), ([], []), ({}, {}), ([], 1), ("a", 1), (NAN, 1), (1, NAN)])
def test_what_has_no_order_is_neither_less_nor_more(left: object, right: object) -> None:
    assert not less_than(left, right)
    assert not less_than(right, left)


@given(primitives, primitives)
def test_equality_is_symmetric_and_excludes_order(left: object, right: object) -> None:
    assert loosely_equal(left, right) == loosely_equal(right, left)
    assert loosely_equal(left, right) + less_than(left, right) + less_than(right, left) <= 1


@given(st.text())
def test_folding_keeps_the_length_and_is_done_once(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_a_written_number_reads_back_to_fifteen_digits(number: float) -> None:
    assert math.isclose(parse_number(number_text(number)), number, rel_tol=1e-14)


def test_a_key_is_found_as_written_first_then_ignoring_case() -> None:
    assert lookup({"KEY": 1, "key": 2}, "key") == (2,)
    assert lookup({"KEY": 1}, "kEy") == (1,)
    assert lookup({"key": None}, "KEY") == (None,)
    assert lookup({"other": 1}, "key") is None
