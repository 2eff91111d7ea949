"""No text, however odd, does anything but give a value or a told error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.pipeline.expression.check import STATUS_ARITIES, check
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate, evaluate_text
from sparki_daemon.pipeline.expression.parser import parse
from sparki_daemon.pipeline.expression.references import references
from sparki_daemon.pipeline.expression.syntax import walk
from sparki_daemon.pipeline.expression.template import condition, evaluate_template, split
from sparki_daemon.pipeline.expression.values import kind_of, to_string

CONTEXTS = {"a": {"b": [1, {"c": "x"}], "1": None}, "list": [True, [], {"b": 2}], "text": "{0} }}", "env": {"A": "1"}}
TOKENS = [
    *"()[],.*!<>'\" \n{}",
    "==",
    "!=",
    "&&",
    "||",
    "<=",
    ">=",
    "a",
    "b",
    "list",
    "text",
    "env",
    "null",
    "true",
    "NaN",
    "1",
    "-2.5",
    "0xf",
    "'x'",
    "'{0}'",
]
NAMES = ["format(", "join(", "toJSON(", "fromJSON(", "contains(", "case(", "always()", ".b", "[0]", "[*]", ".*", "${{", "}}", "'{1:x}'"]

texts = st.text(max_size=40) | st.lists(st.sampled_from(TOKENS + NAMES), max_size=25).map("".join)
atoms = st.sampled_from(["a", "list", "text", "env.A", "1", "-0.5", "'x'", "'[1, 2]'", "'{0}{1}'", "null", "true", "NaN"])


def compounds(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["==", "!=", "<", ">=", "&&", "||"])
    functions = st.sampled_from(["contains", "startsWith", "format", "join", "endsWith"])
    return (
        st.tuples(inner, operators, inner).map(lambda sides: f"({' '.join(sides)})")
        | inner.map(lambda one: f"!{one}")
        | st.tuples(inner, inner).map(lambda two: f"(a || {two[0]})[{two[1]}]")
        | inner.map(lambda one: f"({one} && list).*.b")
        | st.tuples(functions, inner, inner).map(lambda call: f"{call[0]}({call[1]}, {call[2]})")
        | inner.map(lambda one: f"fromJSON(toJSON({one}))")
        | st.tuples(inner, inner, inner).map(lambda three: f"case({', '.join(three)})")
    )


expressions = st.recursive(atoms, compounds, max_leaves=12)


def expect_a_place(error: ExpressionError, text: str, *kinds: str) -> None:
    assert error.kind in kinds
    assert error.offset is not None
    assert 0 <= error.offset < len(text)


@given(texts)
def test_any_text_is_a_tree_or_an_error_with_a_place(text: str) -> None:
    try:
        tree = parse(text)
    except ExpressionError as error:
        expect_a_place(error, text, "lexing", "parsing")
    else:
        assert all(0 <= node.offset <= len(text) for node in walk(tree))
        assert all(0 <= problem.offset < len(text) for problem in check(tree, (), STATUS_ARITIES) if problem.offset is not None)


@given(texts.filter(str.strip))
def test_blanks_in_front_move_every_place(text: str) -> None:
    def places(of: str) -> list[int | None]:
        try:
            return [node.offset for node in walk(parse(of))]
        except ExpressionError as error:
            return [error.offset]

    assert places(f"  {text}") == [place + 2 for place in places(text) if place is not None]


@given(expressions)
def test_any_expression_has_a_value_of_a_kind_or_is_refused_at_a_place(text: str) -> None:
    try:
        value = evaluate_text(text, CONTEXTS)
    except ExpressionError as error:
        expect_a_place(error, text, "parsing" if "50 levels" in error.message else "evaluation")
    else:
        assert kind_of(value) in {"Null", "Boolean", "Number", "String", "Array", "Object"}
        assert [str(use) for use in references(parse(text))] == [str(use) for use in references(parse(f"({text})"))]


@given(texts)
def test_any_text_with_braces_has_a_value_or_an_error_with_a_place(text: str) -> None:
    scope = Scope(CONTEXTS, {"always": lambda: True, "success": lambda: True})
    for use in (lambda: evaluate_template(text, scope), lambda: evaluate(condition(text), scope)):
        try:
            use()
        except ExpressionError as error:
            expect_a_place(error, text, "lexing", "parsing", "evaluation")


@given(st.text(max_size=30), st.text(max_size=30))
def test_literals_come_through_a_template_unchanged(before: str, after: str) -> None:
    if "${{" not in before + after:
        assert evaluate_template(f"{before}${{{{ 'x' }}}}{after}", Scope({})) == f"{before}x{after}"


@given(st.text(max_size=60))
def test_any_text_can_be_quoted_and_comes_back(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    braces = quoted.replace("{", "{{").replace("}", "}}")
    assert evaluate_text(quoted, {}) == text
    assert evaluate_text(f"format({braces})", {}) == text
    assert split(f"${{{{ {quoted} }}}}") == [(quoted, 4)]


@given(expressions)
def test_the_truth_of_an_expression_is_that_of_its_double_negation(text: str) -> None:
    try:
        once = evaluate_text(f"!({text})", CONTEXTS)
        twice = evaluate_text(f"!!({text})", CONTEXTS)
        as_text = evaluate_text(f"format('{{0}}', {text})", CONTEXTS)
    except ExpressionError:
        return
    assert once is not twice
    assert as_text == to_string(evaluate_text(text, CONTEXTS))
