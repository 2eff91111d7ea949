"""Texts with `${{ }}` in them, and the meaning of `if`."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate
from sparki_daemon.pipeline.expression.parser import parse
from sparki_daemon.pipeline.expression.template import condition, evaluate_template, render, split, template, trees
from sparki_daemon.pipeline.expression.values import is_truthy

SCOPE = Scope(
    {"matrix": {"n": 3, "os": "linux", "flags": ["a", "b"], "none": None}, "env": {"X": "x"}},
    {"success": lambda: True, "always": lambda: True},
)
FAILED = Scope(SCOPE.contexts, {"success": lambda: False, "always": lambda: True, "failure": lambda: True, "cancelled": lambda: False})


def refusal(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        evaluate_template(text, SCOPE)
    return caught.value


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("$ { { }} }} ${", ["$ { { }} }} ${"]),
        ("${{a}}", [("a", 3)]),
        ("${{ a }}", [("a", 4)]),
        ("x ${{ a }} y", ["x ", ("a", 6), " y"]),
        ("${{ a }}${{\n b.c }}", [("a", 4), ("b.c", 13)]),
        ("${{ '}}' }}", [("'}}'", 4)]),
        ("${{ 'it''s }}' }} it's", [("'it''s }}'", 4), " it's"]),
        ("${{ a }}}", [("a", 4), "}"]),
        ("${{ } }}", [("}", 4)]),
        ("$${{ a }}", ["$", ("a", 5)]),
        ("${{ '${{' }}", [("'${{'", 4)]),
        ("${{ a\u00a0}}", [("a", 4)]),
    ],
)
def test_a_text_is_cut_at_its_expressions(text: str, parts: list) -> None:
    assert split(text) == parts


@pytest.mark.parametrize(
    ("text", "kind", "offset"),
    [
        ("x ${{ a", "lexing", 2),
        ("${{ a }", "lexing", 0),
        ("${{ 'a }}", "lexing", 0),
        ("${{ a }} ${{", "lexing", 9),
        ("x ${{}}", "parsing", 2),
        ("x ${{   }}", "parsing", 2),
        ("x ${{ a b }}", "parsing", 8),
        ("${{ matrix.n }} ${{ matrix. }}", "parsing", 26),
        ("${{ matrix.n }} ${{ githbu.ref }}", "parsing", 20),
        ("${{ matrix.n }} ${{ fromJSON('') }}", "evaluation", 20),
        ('${{ "a" }}', "lexing", 4),
    ],
)
def test_an_error_is_told_at_its_place_in_the_whole_text(text: str, kind: str, offset: int) -> None:
    error = refusal(text)
    assert (error.kind, error.offset) == (kind, offset)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${{ matrix.n }}", 3),
        ("${{ matrix.flags }}", ["a", "b"]),
        ("${{ matrix.none }}", None),
        ("${{ matrix.n == 3 }}", True),
        (" ${{ matrix.n }}", " 3"),
        ("${{ matrix.n }}${{ matrix.n }}", "33"),
        ("v${{ matrix.n }}-${{ matrix.os }}!", "v3-linux!"),
        ("{0} {{ ${{ matrix.none }} }}", "{0} {{  }}"),
        ("a ${{ matrix.flags }} ${{ matrix }}", "a Array Object"),
        ("${{ '{{ kept }}' }}", "{{ kept }}"),
    ],
)
def test_a_text_has_this_value(text: str, value: object) -> None:
    assert evaluate_template(text, SCOPE) == value


def test_a_lone_expression_keeps_its_type_and_its_identity() -> None:
    assert evaluate_template("${{ matrix.flags }}", SCOPE) is SCOPE.contexts["matrix"]["flags"]
    assert evaluate_template("${{ true }}", SCOPE) is True


def test_rendering_always_gives_a_text() -> None:
    assert render("plain", SCOPE) == "plain"
    assert render("${{ matrix.n }}", SCOPE) == "3"
    assert render("${{ matrix.none }}", SCOPE) == ""
    assert render("${{ 1 == 1 }}", SCOPE) == "true"
    assert render("a${{ 0.5 }}b", SCOPE) == "a0.5b"


def test_the_trees_of_a_text_have_offsets_in_the_whole_text() -> None:
    assert [tree.offset for tree in trees("x ${{ matrix.n }} y ${{ env.X }}")] == [6, 24]
    assert trees("plain") == ()
    assert template("plain") == ("plain",)


def test_21000_characters_bound_a_text_with_an_expression_in_it() -> None:
    ending = "${{ env.X }}"
    # GitHub counts what it makes of the text: format('…{0}', env.X)
    room = 21_000 - len("format('{0}', env.X)")
    assert render("y" * room + ending, SCOPE) == "y" * room + "x"
    assert refusal("y" * (room + 1) + ending).kind == "parsing"
    assert refusal("{" * (room // 2 + 1) + ending).kind == "parsing"
    assert refusal("'" * (room // 2 + 1) + ending).kind == "parsing"
    assert "env" in refusal("y" * 30_000 + ending).hint
    assert render("y" * 30_000, SCOPE) == "y" * 30_000


def test_two_expressions_in_one_text_bound_it_exactly_too() -> None:
    frame = "format('{0}{1}', env.X, env.X)"
    room = 21_000 - len(frame)
    assert render("${{ env.X }}" + "y" * room + "${{env.X}}", SCOPE) == "x" + "y" * room + "x"
    assert refusal("${{ env.X }}" + "y" * (room + 1) + "${{env.X}}").kind == "parsing"


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("", "success()"),
        ("  \n", "success()"),
        ("matrix.n == 3", "success() && (matrix.n == 3)"),
        ("${{ matrix.n == 3 }}", "success() && (matrix.n == 3)"),
        ("a || b", "success() && (a || b)"),
        ("a && b", "success() && (a && b)"),
        ("always()", "always()"),
        ("!CANCELLED() && a", "!CANCELLED() && a"),
        ("contains(failure(), a)", "contains(failure(), a)"),
        ("success() || a", "success() || a"),
        ("${{ always() }} && a", "format('{0} && a', always())"),
        ("!${{ a }}", "success() && format('!{0}', a)"),
        ("${{ a }} == {x}", "success() && format('{0} == {{x}}', a)"),
        ("${{ 'false' }}", "success() && false"),
        ("${{ 'always()' }}", "always()"),
        ("${{ '' }}", "success()"),
    ],
)
def test_an_if_stands_for_this_condition(text: str, same_as: str) -> None:
    assert bare(condition(text)) == bare(parse(same_as))


def bare(node: object) -> object:
    """A tree without its offsets."""
    if isinstance(node, tuple):
        return tuple(map(bare, node))
    names = getattr(type(node), "__slots__", ())
    if not names:
        return node
    return (type(node).__name__, *(bare(getattr(node, name)) for name in names if name != "offset"))


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("", True, False),
        ("matrix.n == 3", True, False),
        ("matrix.n == 4", False, False),
        ("always() && matrix.n == 3", True, True),
        ("${{ matrix.n == 4 }} && matrix.n == 4", True, False),
        ("${{ always() }} && false", True, True),
        ("${{ '' }}", True, False),
        ("${{ 'false' }}", False, False),
        ("'false'", True, False),
    ],
)
def test_a_condition_holds_before_and_after_a_failure(text: str, before: bool, after: bool) -> None:
    tree = condition(text)
    assert is_truthy(evaluate(tree, SCOPE)) is before
    assert is_truthy(evaluate(tree, FAILED)) is after


@pytest.mark.parametrize(
    ("text", "kind", "offset"),
    [
        ("a ==", "parsing", 2),
        ("${{ a == }}", "parsing", 6),
        ("${{ a", "lexing", 0),
        ("x == ${{ a b }}", "parsing", 11),
        ("${{ 'a b' }}", "parsing", 4),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_at_its_place(text: str, kind: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        condition(text)
    assert (caught.value.kind, caught.value.offset) == (kind, offset)
