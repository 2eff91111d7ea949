"""Ordered pairs whose names and values expressions may give."""

from __future__ import annotations

import pytest

from sparki_daemon.model.plan import Pairs, Template
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.template import evaluate_template
from sparki_daemon.pipeline.expression.values import Value
from sparki_daemon.pipeline.pairs import WHOLE, is_insert, texts
from sparki_daemon.pipeline.reader import read


def env(text: str) -> Pairs:
    """The env of a workflow, as its file has it."""
    return read(f"on: push\nenv: {text}\njobs: {{a: {{runs-on: x, steps: [{{run: a}}]}}}}\n".encode(), "ci.yml").env


def computed(text: str, **github: Value) -> list[tuple[str, str]]:
    scope = Scope({"github": github})
    return list(texts(env(text), lambda template, _: evaluate_template(template.text, scope)))


def test_plain_pairs_are_their_texts_in_order() -> None:
    assert computed("{B: 1, A: true, C: '${{ github.x }}'}", x=1.5) == [("B", "1"), ("A", "true"), ("C", "1.5")]


def test_a_plain_pair_without_expression_is_not_computed_at_all() -> None:
    def never(_: Template, __: str) -> Value:
        raise AssertionError

    assert list(texts((("A", Template("b")),), never)) == [("A", "b")]


def test_an_expression_gives_all_pairs_at_once() -> None:
    assert env("${{ github.all }}") == ((WHOLE, Template("${{ github.all }}", 2, 6)),)
    assert computed("${{ github.all }}", all={"A": 1, "B": None}) == [("A", "1"), ("B", "")]


def test_insert_puts_pairs_between_others() -> None:
    assert computed("{A: 1, '${{ insert }}': '${{ github.all }}', Z: 2}", all={"M": "m"}) == [("A", "1"), ("M", "m"), ("Z", "2")]


def test_a_name_may_be_computed() -> None:
    assert computed("{'${{ github.x }}_KEY': '${{ github.x }}'}", x="P") == [("P_KEY", "P")]


@pytest.mark.parametrize("value", ["text", None, 1, ["a"]])
def test_what_is_no_object_gives_no_pairs(value: Value) -> None:
    with pytest.raises(ExpressionError, match="a mapping is wanted"):
        computed("${{ github.all }}", all=value)


def test_a_list_is_no_text() -> None:
    with pytest.raises(ExpressionError, match="the value of 'A' must be a text"):
        computed("${{ github.all }}", all={"A": [1]})


def test_a_computed_name_that_is_there_already_is_told() -> None:
    with pytest.raises(ExpressionError, match="'a' is already defined"):
        computed("{A: 1, '${{ insert }}': '${{ github.all }}'}", all={"a": 2})


@pytest.mark.parametrize(("key", "verdict"), [("${{ insert }}", True), ("${{insert}}", True), ("${{ INSERT }}", True), ("insert", False)])
def test_insert_is_a_word_in_braces(key: str, verdict: bool) -> None:
    assert is_insert(key) is verdict
