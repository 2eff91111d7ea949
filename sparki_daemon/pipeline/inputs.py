"""Give the inputs of a pipeline started by hand their values: checked against what the file declares, defaults filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.expression.values import Value, to_number, to_string
from sparki_daemon.pipeline.spelling import did_you_mean, listed
from sparki_daemon.pipeline.triggers import Input

_BLANK: Mapping[str, Value] = {"boolean": False, "number": 0}
_BOOLEANS = {"true": True, "false": False}


def input_values(declared: Sequence[Input], given: Mapping[str, str]) -> dict[str, Value]:
    """The `inputs` context: booleans and numbers keep their types, the rest are strings. `given` holds the texts, by name.

    Raises SparkiError with every `unknown_input`, `missing_input` and `bad_input_value`; the last two at the declaration.
    Source: GitHub's docs, `on.workflow_dispatch.inputs`; names don't mind case, as in every context.
    """
    by_name = {name.lower(): text for name, text in given.items()}
    problems = [*_unknown(declared, given), *(problem for one in declared for problem in _mistakes(one, by_name.get(one.name.lower())))]
    if problems:
        raise SparkiError(*problems)
    return {one.name: _value(one, by_name.get(one.name.lower())) for one in declared}


def _unknown(declared: Sequence[Input], given: Mapping[str, str]) -> Iterator[Problem]:
    known = [one.name for one in declared]
    for name in given:
        if name.lower() not in {other.lower() for other in known}:
            hint = did_you_mean(name, known) or (f"it has {listed(known, last='and')}" if known else "it declares no inputs")
            yield Problem(code="unknown_input", message=f"the pipeline has no input '{name}'", hint=hint)


def _mistakes(one: Input, text: str | None) -> Iterator[Problem]:
    if text is None:
        if one.required and one.default is None:
            hint = f"give it: --input {one.name}={'|'.join(one.options) or 'VALUE'}"
            yield Problem(code="missing_input", message=f"the input '{one.name}' is required", at=one.at, hint=hint)
        return
    wanted = ""
    if one.required and not text:
        wanted = "a value: it is required"
    elif one.type == "boolean" and text not in _BOOLEANS:
        wanted = "true or false"
    elif one.type == "number" and not math.isfinite(to_number(text)):
        wanted = "a number"
    elif one.type == "choice" and text not in one.options:
        wanted = listed(one.options)
    if wanted:
        message = f"the input '{one.name}' must be {wanted}, not '{text}'"
        hint = did_you_mean(text, one.options) if one.options else ""
        yield Problem(code="bad_input_value", message=message, at=one.at, hint=hint)


def _value(one: Input, text: str | None) -> Value:
    if text is None:
        value: Value = one.default
        if value is None:
            value = one.options[0] if one.type == "choice" else _BLANK.get(one.type, "")
    else:
        value = text
    if one.type == "boolean":
        return _BOOLEANS.get(to_string(value), False)
    return to_number(value) if one.type == "number" else to_string(value)
