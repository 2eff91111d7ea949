"""The functions that need nothing but their arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sparki_daemon.pipeline.expression.check import BUILT_IN_ARITIES, Arity
from sparki_daemon.pipeline.expression.error import EVALUATION, ExpressionError
from sparki_daemon.pipeline.expression.json_text import from_json, to_json
from sparki_daemon.pipeline.expression.syntax import Node
from sparki_daemon.pipeline.expression.values import Value, fold, is_primitive, loosely_equal, to_string

Args = tuple[Node, ...]
Evaluator = Callable[[Node], Value]
BuiltIn = Callable[[Args, Evaluator, int], Value]
"""Takes the arguments unevaluated, what evaluates them, and the characters that a text may have."""

_FORMAT_PART = r"\{\{|\}\}|\{([0-9]+)(?:\}|:((?:[^}]|\}\})*+)\})|[{}]|[^{}]+"


def too_large(room: int) -> ExpressionError:
    return ExpressionError(EVALUATION, f"the expression makes a text of more than {room:,} characters")


def _folded(value: Value) -> str | None:
    """The text of a primitive for a comparison that ignores case, None for an array or object."""
    return fold(to_string(value)) if is_primitive(value) else None


def _contains(args: Args, evaluate: Evaluator, _: int) -> Value:
    where = evaluate(args[0])
    if isinstance(where, Sequence) and not isinstance(where, str):
        if not where:
            return False
        wanted = evaluate(args[1])
        return any(loosely_equal(wanted, item) for item in where)
    text = _folded(where)
    part = None if text is None else _folded(evaluate(args[1]))
    return text is not None and part is not None and part in text


def _starts_with(args: Args, evaluate: Evaluator, _: int) -> Value:
    text = _folded(evaluate(args[0]))
    start = None if text is None else _folded(evaluate(args[1]))
    return text is not None and start is not None and text.startswith(start)


def _ends_with(args: Args, evaluate: Evaluator, _: int) -> Value:
    text = _folded(evaluate(args[0]))
    end = None if text is None else _folded(evaluate(args[1]))
    return text is not None and end is not None and text.endswith(end)


def _format(args: Args, evaluate: Evaluator, room: int) -> Value:
    """Arguments are evaluated when the text asks for them, once each: an unused one cannot fail."""
    template = to_string(evaluate(args[0]))
    known: dict[int, str] = {}
    pieces: list[str] = []
    length = 0
    for index, piece in _format_parts(template, len(args) - 1):
        text = piece
        if index is not None:
            if index not in known:
                known[index] = to_string(evaluate(args[index + 1]))
            text = known[index]
        length += len(text)
        if length > room:
            raise too_large(room)
        pieces.append(text)
    return "".join(pieces)


def _format_parts(template: str, count: int) -> list[tuple[int | None, str]]:
    """The pieces of a format string: a text, or the index of one of `count` arguments."""
    parts: list[tuple[int | None, str]] = []
    for match in re.finditer(_FORMAT_PART, template):
        text = match[0]
        if text in {"{{", "}}"}:
            parts.append((None, text[0]))
        elif match[1] is None:
            if text in {"{", "}"}:
                raise ExpressionError(EVALUATION, f"format: '{template}' has a '{text}' alone", hint="write '{{' or '}}' for a brace")
            parts.append((None, text))
        else:
            parts.append((_argument_index(match[1], match[2], template, count), ""))
    return parts


def _argument_index(digits: str, specifiers: str | None, template: str, count: int) -> int:
    if len(digits) > 20 or int(digits) >= count:
        raise ExpressionError(EVALUATION, f"format: '{template}' asks for {{{digits}}}, and there are {count} arguments after it")
    if specifiers:
        raise ExpressionError(EVALUATION, f"format: '{template}' has a format specifier ('{specifiers}'), and there are none")
    return int(digits)


def _join(args: Args, evaluate: Evaluator, room: int) -> Value:
    items = evaluate(args[0])
    if is_primitive(items):
        return to_string(items)
    if not isinstance(items, Sequence):
        return ""
    given = evaluate(args[1]) if len(args) > 1 and len(items) > 1 else ","
    separator = to_string(given) if is_primitive(given) else ","
    texts = [to_string(item) for item in items]
    if sum(map(len, texts)) + len(separator) * (len(texts) - 1) > room:
        raise too_large(room)
    return separator.join(texts)


def _to_json(args: Args, evaluate: Evaluator, _: int) -> Value:
    return to_json(evaluate(args[0]))


def _from_json(args: Args, evaluate: Evaluator, _: int) -> Value:
    return from_json(to_string(evaluate(args[0])))


def _case(args: Args, evaluate: Evaluator, _: int) -> Value:
    for condition, chosen in zip(args[:-1:2], args[1::2], strict=True):
        holds = evaluate(condition)
        if not isinstance(holds, bool):
            raise ExpressionError(EVALUATION, "case: a condition must be true or false", condition.offset, hint="compare it: a == b")
        if holds:
            return evaluate(chosen)
    return evaluate(args[-1])


_FUNCTIONS: Mapping[str, BuiltIn] = {
    "case": _case,
    "contains": _contains,
    "endswith": _ends_with,
    "format": _format,
    "fromjson": _from_json,
    "join": _join,
    "startswith": _starts_with,
    "tojson": _to_json,
}
BUILT_INS: Mapping[str, tuple[BuiltIn, Arity]] = {
    name.lower(): (_FUNCTIONS[name.lower()], arity) for name, arity in BUILT_IN_ARITIES.items()
}
"""By name in lower case."""
