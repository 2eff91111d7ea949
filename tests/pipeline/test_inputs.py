"""Inputs given by hand, and the time tables of `on.schedule`."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.cron import mistake_in
from sparki_daemon.pipeline.expression.values import Value
from sparki_daemon.pipeline.inputs import input_values
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.triggers import Input

JOBS = "\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"


def declared(inputs: str) -> tuple[Input, ...]:
    return read(f"on: {{workflow_dispatch: {{inputs: {inputs}}}}}{JOBS}".encode(), "ci.yml").triggers[0].inputs


def values(inputs: str, **given: str) -> dict[str, Value]:
    return input_values(declared(inputs), given)


def refused(inputs: str, **given: str) -> list[tuple[str, str]]:
    with pytest.raises(SparkiError) as caught:
        values(inputs, **given)
    return [(problem.code, problem.message + (f" ({problem.hint})" if problem.hint else "")) for problem in caught.value.problems]


def misread(on: str) -> list[tuple[str, str]]:
    with pytest.raises(SparkiError) as caught:
        read(f"on: {on}{JOBS}".encode(), "ci.yml")
    return [(problem.code, str(problem.at)) for problem in caught.value.problems]


def test_a_declaration_has_all_that_the_file_says() -> None:
    (one,) = declared("{Level: {description: d, type: choice, required: true, default: b, options: [a, b, 3]}}")

    assert (one.name, one.type, one.required, one.default, one.options) == ("Level", "choice", True, "b", ("a", "b", "3"))
    assert str(one.at) == "ci.yml:1:35"


def test_a_bare_input_is_an_optional_string() -> None:
    assert declared("{a: , b: {}}") == (
        Input(name="a", at=declared("{a: , b: {}}")[0].at),
        Input(name="b", at=declared("{a: , b: {}}")[1].at),
    )


def test_values_have_the_types_that_are_declared() -> None:
    found = values("{b: {type: boolean}, n: {type: number}, s: {type: string}, e: {type: environment}}", b="true", n="1.5", s="1", e="x")

    assert found == {"b": True, "n": 1.5, "s": "1", "e": "x"}


def test_what_is_not_given_has_its_default() -> None:
    found = values(
        "{b: {type: boolean, default: true}, n: {type: number, default: 7}, s: {default: 1.50}, c: {type: choice, options: [p, q]}}"
    )

    assert found == {"b": True, "n": 7, "s": "1.5", "c": "p"}


def test_without_a_default_it_is_the_blank_of_its_type() -> None:
    assert values("{b: {type: boolean}, n: {type: number}, s: }") == {"b": False, "n": 0, "s": ""}


def test_names_of_inputs_do_not_mind_case() -> None:
    assert values("{Level: }", LEVEL="x") == {"Level": "x"}


def test_an_unknown_input_has_a_suggestion() -> None:
    assert refused("{level: }", levle="x") == [("unknown_input", "the pipeline has no input 'levle' (did you mean 'level'?)")]
    assert refused("{a: , b: }", zzz="x") == [("unknown_input", "the pipeline has no input 'zzz' (it has a and b)")]
    with pytest.raises(SparkiError, match="no input 'x'"):
        input_values((), {"x": "1"})


def test_a_required_input_must_be_given_unless_it_has_a_default() -> None:
    assert refused("{a: {required: true}}") == [("missing_input", "the input 'a' is required (give it: --input a=VALUE)")]
    assert refused("{a: {required: true}}", a="") == [("bad_input_value", "the input 'a' must be a value: it is required, not ''")]
    assert values("{a: {required: true, default: d}}") == {"a": "d"}


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("{type: boolean}", "yes", "must be true or false, not 'yes'"),
        ("{type: number}", "many", "must be a number, not 'many'"),
        ("{type: number}", "Infinity", "must be a number, not 'Infinity'"),
        ("{type: choice, options: [debug, info]}", "degub", "must be debug or info, not 'degub' (did you mean 'debug'?)"),
    ],
)
def test_a_value_must_be_of_its_type(kind: str, text: str, told: str) -> None:
    assert refused(f"{{a: {kind}}}", a=text) == [("bad_input_value", f"the input 'a' {told}")]


def test_all_mistakes_are_told_at_once() -> None:
    assert [code for code, _ in refused("{a: {required: true}, b: {type: boolean}}", b="x", c="y")] == [
        "unknown_input",
        "missing_input",
        "bad_input_value",
    ]


def test_a_choice_needs_options_and_nothing_else_has_them() -> None:
    assert misread("{workflow_dispatch: {inputs: {a: {type: choice}}}}") == [("bad_input", "ci.yml:1:35")]
    assert misread("{workflow_dispatch: {inputs: {a: {options: [b]}}}}") == [("bad_input", "ci.yml:1:35")]


@pytest.mark.parametrize(
    "text",
    ["* * * * *", "0 3 * * 1", "*/15 0-12/2 1,15 JAN-jun MON-FRI", "59 23 31 12 7", "1,2,3-5 * * * *", "$cron-daily", "0  5\t* * *"],
)
def test_a_time_table_has_five_fields(text: str) -> None:
    assert mistake_in(text) == ""


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("* * * *", "it has 4 fields, and needs 5"),
        ("daily", "it has 1 field, and needs 5"),
        ("60 * * * *", "'60' is no minute from 0 to 59"),
        ("* 24 * * *", "'24' is no hour from 0 to 23"),
        ("* * 0 * *", "'0' is no day from 1 to 31"),
        ("* * * 13 *", "'13' is no month from 1 to 12"),
        ("* * * * 8", "'8' is no weekday from 0 to 7"),
        ("* * * FOO *", "'FOO' is no month from 1 to 12"),
        ("5-1 * * * *", "'5-1' is no minute from 0 to 59"),
        ("*/0 * * * *", "'*/0' is no minute from 0 to 59"),
        ("*-5 * * * *", "'*-5' is no minute from 0 to 59"),
        ("1,,2 * * * *", "'' is no minute from 0 to 59"),
        ("@ * * * *", "'@' is no minute from 0 to 59"),
    ],
)
def test_what_names_no_time_is_told(text: str, mistake: str) -> None:
    assert mistake_in(text) == mistake


def test_a_bad_time_table_is_an_error_at_its_place() -> None:
    assert misread("{schedule: [{cron: 0 3 * * *}, {cron: 0 99 * * *}]}") == [("bad_cron", "ci.yml:1:43")]
