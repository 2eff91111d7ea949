"""Reads and writes JSON the way `fromJSON` and `toJSON` do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sparki_daemon.pipeline.expression.error import EVALUATION, ExpressionError
from sparki_daemon.pipeline.expression.values import Value, to_string, whole

MAX_DEPTH = 100
_SAFE_DIGITS = 15
_ESCAPES = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def to_json(value: Value) -> str:
    """The value as JSON, two spaces a level; numbers as `to_string` writes them, so NaN and Infinity stand bare.

    Raises ExpressionError (evaluation) for a value nested deeper than 100 levels.
    """
    out: list[str] = []
    _write(value, "\n", out)
    return "".join(out)


def _write(value: Value, newline: str, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(_quoted(value))
    elif value is None:
        out.append("null")
    elif isinstance(value, bool | int | float):
        out.append(to_string(value))
    elif len(newline) > 2 * MAX_DEPTH:
        raise ExpressionError(EVALUATION, f"toJSON: the value is nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, Mapping):
        before = "{" + newline + "  "
        for key in value:
            out.append(f"{before}{_quoted(key)}: ")
            _write(value[key], newline + "  ", out)
            before = "," + newline + "  "
        out.append(newline + "}" if value else "{}")
    else:
        before = "[" + newline + "  "
        for item in value:
            out.append(before)
            _write(item, newline + "  ", out)
            before = "," + newline + "  "
        out.append(newline + "]" if value else "[]")


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if text.isascii() else quoted.translate(_ESCAPES)


def from_json(text: str) -> Value:
    """The value of a JSON text.

    Raises ExpressionError (evaluation) for what is no JSON, and for more than 100 levels.
    """
    try:
        value: Value = json.loads(text, parse_int=_integer, parse_float=_float)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        message = f"fromJSON: {error.msg} (line {error.lineno}, column {error.colno} of the text)"
        raise ExpressionError(EVALUATION, message, hint=_json_hint(text)) from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _refuse_deep(value, MAX_DEPTH)
    return _without_lone_surrogates(value) if "\\ud" in text or "\\uD" in text else value


def _json_hint(text: str) -> str:
    if not text.strip():
        return "the text is empty: is the output or variable that it comes from set?"
    return "JSON takes double quotes" if "'" in text else ""


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _SAFE_DIGITS else whole(float(digits))


def _float(digits: str) -> float:
    return whole(float(digits))


def _too_deep() -> ExpressionError:
    return ExpressionError(EVALUATION, f"fromJSON: the value is nested deeper than {MAX_DEPTH} levels")


def _refuse_deep(value: Value, room: int) -> None:
    if isinstance(value, dict | list):
        if not room:
            raise _too_deep()
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_deep(item, room - 1)


def _without_lone_surrogates(value: Value) -> Value:
    """Half a character that no UTF-8 file could take becomes U+FFFD, as .NET writes it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {str(_without_lone_surrogates(key)): _without_lone_surrogates(item) for key, item in value.items()}
    return [_without_lone_surrogates(item) for item in value] if isinstance(value, list) else value
