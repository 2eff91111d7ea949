"""`sparki eval`: the value of one expression, or of one a line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_cli.render import Output
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import evaluate_text
from sparki_daemon.pipeline.expression.json_text import to_json
from sparki_daemon.pipeline.expression.values import Value, is_primitive, kind_of, to_string

WHOLE_LIMIT = 2**53  # above it a double is not every whole number, and is written as the double that it is


def evaluate(output: Output, *, expression: str | None, context: str | None, jsonl: bool) -> int:
    """Print the value of `expression` in the contexts of the file `context`, or answer a line of standard input each."""
    if jsonl:
        return _answer_lines(output)
    if expression is None:
        message = "there is no expression to evaluate"
        raise SparkiError(Problem(code="usage", message=message, hint="sparki eval \"format('{0}', 1)\", or --jsonl"))
    value = _value(expression, _contexts(context) if context else {})
    if output.as_json:
        output.document(answer(value))
    else:
        output.line(to_string(value) if is_primitive(value) else to_json(value))
    return 0


def answer(value: Value) -> dict[str, Any]:
    """A value in the shape of the public interface. Numbers that JSON has not are strings, as GitHub shows them."""
    return {"kind": kind_of(value), "value": plain(value)}


def plain(value: Value) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _number(value: float) -> Any:
    if not math.isfinite(value):
        return to_string(value)
    return int(value) if value.is_integer() and abs(value) < WHOLE_LIMIT else value


def _value(expression: str, contexts: Mapping[str, Value]) -> Value:
    """The value. Raises SparkiError whose code is the kind of error: `lexing`, `parsing`, `evaluation`."""
    try:
        return evaluate_text(expression, contexts)
    except ExpressionError as error:
        at = None if error.offset is None else _position(expression, error.offset)
        raise SparkiError(Problem(code=error.kind, message=error.message, at=at, hint=error.hint)) from None


def _position(expression: str, offset: int) -> Position:
    before = expression[:offset]
    return Position("<expression>", before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _contexts(path: str) -> Mapping[str, Value]:
    try:
        with open(path, "rb") as file:
            contexts = json.loads(file.read())
    except OSError as error:
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {path}: {error.strerror}")) from None
    except ValueError as error:
        raise SparkiError(Problem(code="invalid_json", message=f"{path} is no JSON: {error}")) from None
    return _checked(contexts, path)


def _checked(contexts: Any, where: str) -> Mapping[str, Value]:
    if not isinstance(contexts, dict):
        raise SparkiError(Problem(code="invalid_contexts", message=f"{where}: contexts are a JSON object of names and values"))
    return contexts


def _answer_lines(output: Output) -> int:
    """A line in, a line out; an expression's error is its answer. The exit code is 2 when a line was no question."""
    code = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            asked = json.loads(line)
        except ValueError as error:
            asked, why = None, str(error)
        else:
            why = 'a line is {"expr": "…", "contexts": {…}}'
        if not isinstance(asked, dict) or not isinstance(asked.get("expr"), str):
            code = 2
            output.document({"error": Problem(code="invalid_json", message=f"line {number}: {why}").to_json()})
            continue
        try:
            output.document(answer(_value(asked["expr"], _checked(asked.get("contexts") or {}, f"line {number}"))))
        except SparkiError as error:
            output.document({"error": error.problems[0].to_json()})
    return code
