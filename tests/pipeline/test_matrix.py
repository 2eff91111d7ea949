"""Matrices: product, exclude and include, as GitHub's documentation and its parser have them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.matrix import MAX_JOBS, Matrix, expand, leg_name


def legs(vectors: dict[str, list[Any]], include: list[Any] | None = None, exclude: list[Any] | None = None) -> list[dict[str, Any]]:
    return [dict(leg.values) for leg in expand(Matrix(vectors, include or [], exclude or []))]


def codes(vectors: dict[str, list[Any]], include: list[Any] | None = None, exclude: list[Any] | None = None) -> list[str]:
    with pytest.raises(SparkiError) as caught:
        legs(vectors, include, exclude)
    return [problem.code for problem in caught.value.problems]


def test_the_first_key_is_the_slowest() -> None:
    assert legs({"a": [1, 2], "b": ["x", "y"]}) == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_the_example_of_githubs_documentation_comes_out_as_it_says_there() -> None:
    include = [
        {"color": "green"},
        {"color": "pink", "animal": "cat"},
        {"fruit": "apple", "shape": "circle"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]

    assert legs({"fruit": ["apple", "pear"], "animal": ["cat", "dog"]}, include) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_include_alone_makes_its_own_combinations() -> None:
    assert legs({}, [{"a": 1}, {"a": 1}, {"b": [2]}]) == [{"a": 1}, {"a": 1}, {"b": [2]}]


def test_an_include_is_tried_against_original_values_and_not_against_added_ones() -> None:
    assert legs({"a": [1]}, [{"b": 2}, {"b": 2, "c": 3}]) == [{"a": 1, "b": 2, "c": 3}]
    assert legs({"a": [1]}, [{"a": 2, "b": 1}, {"a": 2, "c": 1}]) == [{"a": 1}, {"a": 2, "b": 1}, {"a": 2, "c": 1}]


def test_exclude_does_not_touch_what_include_adds() -> None:
    assert legs({"a": [1, 2]}, [{"a": 1, "b": 1}], [{"a": 1}]) == [{"a": 2}, {"a": 1, "b": 1}]


@pytest.mark.parametrize(
    ("value", "wanted", "same"),
    [
        (14, "14", True),
        ("14", 14, True),
        ("Linux", "linux", True),
        (1, True, True),
        ("", 0, True),
        (None, 0, True),
        (None, "", True),
        ("a", "b", False),
        ("14.0", 14, True),
        (False, "false", False),
        ({"v": 1, "w": 2}, {"v": "1"}, True),
        ({"v": 1, "w": 2}, {"V": 1}, True),
        ({"v": 1}, {"x": 1}, False),
        ({"v": 1}, {"v": 1, "x": None}, True),
        ([1, 2], [1], True),
        ([1, 2], [2], False),
        ({"v": 1}, "v", False),
    ],
)
def test_exclude_compares_each_leaf_loosely_and_a_part_is_enough(value: Any, wanted: Any, same: bool) -> None:
    left = legs({"a": [value, "kept"]}, exclude=[{"a": wanted}])

    assert (left == [{"a": "kept"}]) is same


def test_keys_of_filters_mind_no_case() -> None:
    assert legs({"OS": ["a", "b"]}, [{"os": "a", "x": 1}], [{"Os": "b"}]) == [{"OS": "a", "x": 1}]


def test_what_makes_no_matrix_is_told_at_once() -> None:
    assert codes({}) == ["empty_matrix"]
    assert codes({"a": []}) == ["empty_matrix"]
    assert codes({"a": [1]}, [{}, 1], [{}, {"b": 1}, "x"]) == [
        "empty_matrix",
        "wrong_type",
        "empty_matrix",
        "unknown_matrix_key",
        "wrong_type",
    ]
    assert codes({"a": [1]}, exclude=[{"a": 1}]) == ["empty_matrix"]
    assert codes({}, exclude=[{"a": 1}]) == ["empty_matrix", "unknown_matrix_key"]


def test_256_jobs_are_allowed_after_exclude_and_one_more_is_not() -> None:
    many = list(range(MAX_JOBS + 1))

    assert len(legs({"a": many[1:]})) == MAX_JOBS
    assert len(legs({"a": many}, exclude=[{"a": 256}])) == MAX_JOBS
    assert codes({"a": many}) == ["too_many_jobs"]
    assert codes({"a": many[1:]}, [{"a": "one more"}]) == ["too_many_jobs"]
    assert codes(dict.fromkeys("abcdefgh", many), exclude=[{"a": 1}]) == ["too_many_jobs"]


def test_a_legs_name_shows_leaves_that_have_a_text_and_nothing_that_include_added() -> None:
    matrix = Matrix({"a": [{"x": 1, "y": [True, None, ""]}], "b": ["z"]}, [{"b": "z", "added": "no"}])

    assert expand(matrix)[0].shown == ("1", "true", "z")
    assert leg_name("test", ("1", "true", "z")) == "test (1, true, z)"
    assert leg_name("test", ()) == "test"
    assert leg_name("test", ("x" * 200,)) == f"test ({'x' * 91}..."


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "A", "1", "true"]))
VECTORS = st.dictionaries(st.sampled_from("abc"), st.lists(SCALARS, min_size=1, max_size=4), min_size=1)
ITEMS = st.lists(st.dictionaries(st.sampled_from("abcxy"), SCALARS, min_size=1), max_size=4)


@settings(deadline=None)
@given(VECTORS, ITEMS)
def test_include_keeps_every_combination_and_its_own_values(vectors: dict[str, list[Any]], include: list[Any]) -> None:
    alone = legs(vectors)
    together = legs(vectors, include)

    assert len(alone) <= len(together) <= len(alone) + len(include)
    for before, after in zip(alone, together, strict=False):
        assert {name: after[name] for name in before} == before
