"""Names that do not exist are found without evaluating, with a suggestion."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.expression.check import BUILT_IN_ARITIES, HASH_FILES_ARITY, STATUS_ARITIES, check
from sparki_daemon.pipeline.expression.functions import BUILT_INS
from sparki_daemon.pipeline.expression.parser import parse

CONTEXTS = ("github", "matrix", "steps", "env")


def found(text: str, functions: dict | None = None) -> list[tuple[str, int | None, str]]:
    problems = list(check(parse(text), CONTEXTS, STATUS_ARITIES if functions is None else functions))
    assert all(problem.kind == "parsing" for problem in problems)
    return [(problem.message, problem.offset, problem.hint) for problem in problems]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "github.ref",
        "GitHub.Ref",
        "MATRIX[env.x]",
        "success()",
        "Always() && FORMAT('{0}', steps.*.outcome)",
        "failure('build')",
        "case(true, 1, 2)",
        "TOjson(env)",
    ],
)
def test_known_names_are_no_problem_in_any_case(text: str) -> None:
    assert found(text) == []


def test_an_unknown_context_is_told_with_a_suggestion() -> None:
    assert found("githbu.ref") == [("there is no context 'githbu' here", 0, "did you mean 'github'?")]
    assert found("secrets.TOKEN") == [("there is no context 'secrets' here", 0, "")]


def test_an_unknown_function_is_told_with_a_suggestion() -> None:
    assert found("fromJSN('1')") == [("there is no function 'fromJSN' here", 0, "did you mean 'fromJSON'?")]
    assert found("alwasy()") == [("there is no function 'alwasy' here", 0, "did you mean 'always'?")]
    assert found("hashFiles('x')") == [("there is no function 'hashFiles' here", 0, "")]
    assert found("hashFiles('x')", dict(HASH_FILES_ARITY)) == []


def test_a_property_is_no_context() -> None:
    assert found("github.githbu.secrets") == []


def test_all_problems_are_told_in_the_order_of_the_text() -> None:
    problems = found("false && one.x || two(three[four]) == contains(five)")
    assert [(message.split("'")[1], offset) for message, offset, _ in problems] == [
        ("one", 9),
        ("two", 18),
        ("three", 22),
        ("four", 28),
        ("five", 47),
        ("contains", 38),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contains('a')", "'contains' has 1 argument, and takes 2"),
        ("startsWith('a', 'b', 'c')", "'startsWith' has 3 arguments, and takes 2"),
        ("format()", "'format' has 0 arguments, and takes at least 1"),
        ("join(env, 1, 2)", "'join' has 3 arguments, and takes at most 2"),
        ("always(1)", "'always' has 1 argument, and takes none"),
        ("hashFiles()", "'hashFiles' has 0 arguments, and takes at least 1"),
        ("case(true, 1)", "'case' has 2 arguments, and takes at least 3"),
        ("case(true, 1, false, 2)", "'case' has 4 arguments, and takes an odd number: conditions each with a value, then a last value"),
    ],
)
def test_a_wrong_number_of_arguments_is_told(text: str, message: str) -> None:
    assert found(text, {**STATUS_ARITIES, **HASH_FILES_ARITY}) == [(message, 0, "")]


def test_255_arguments_are_the_most() -> None:
    assert found(f"format({', '.join(['1'] * 255)})") == []
    assert found(f"format({', '.join(['1'] * 256)})") == [("'format' has 256 arguments, and takes at most 255", 0, "")]


def test_every_built_in_function_has_its_arity() -> None:
    assert {name.lower(): arity for name, arity in BUILT_IN_ARITIES.items()} == {name: arity for name, (_, arity) in BUILT_INS.items()}
