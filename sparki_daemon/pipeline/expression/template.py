"""Texts that hold `${{ }}`: cuts them, computes them, and reads what an `if` means."""

from __future__ import annotations

import re
from functools import lru_cache

from sparki_daemon.pipeline.expression.error import LEXING, PARSING, ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate
from sparki_daemon.pipeline.expression.parser import MAX_LENGTH, parse
from sparki_daemon.pipeline.expression.syntax import Call, Literal, Logical, Node, walk
from sparki_daemon.pipeline.expression.values import WHITESPACE, Value, to_string

OPEN = "${{"
STATUS_FUNCTIONS = frozenset({"always", "cancelled", "failure", "success"})
_REST = r"((?:[^'}]|'[^']*'|\}(?!\}))*+)\}\}"


Part = tuple[str, int]
"""An expression inside a text, without the braces and the blanks about it, and the place where it begins in that text."""


def split(text: str) -> list[str | Part]:
    """The literals and expressions of a text, in order; a `}}` inside a quoted string ends nothing.

    Raises ExpressionError for a `${{` that is never closed (lexing) or holds nothing (parsing).
    """
    parts: list[str | Part] = []
    position = 0
    while (found := text.find(OPEN, position)) >= 0:
        if found > position:
            parts.append(text[position:found])
        rest = re.compile(_REST).match(text, found + len(OPEN))
        if rest is None:
            raise ExpressionError(LEXING, "a '${{' is not closed", found, hint="close it with '}}', and each string in it with a quote")
        expression = rest[1].strip(WHITESPACE)
        if not expression:
            raise ExpressionError(PARSING, "there is no expression between '${{' and '}}'", found)
        parts.append((expression, rest.start(1) + rest[1].index(expression)))
        position = rest.end()
    if position < len(text):
        parts.append(text[position:])
    return parts


@lru_cache(maxsize=2048)
def template(text: str) -> tuple[str | Node, ...]:
    """The text, cut into literals and trees, whose offsets count in the whole text.

    Raises ExpressionError, lexing or parsing. Around a literal GitHub makes one
    `format` of everything, and so 21,000 characters bound the whole text with an expression in it, a script too.
    """
    parts = split(text)
    if len(parts) > 1 and len(_as_format(parts)) > MAX_LENGTH:
        message = f"a text with an expression in it may have {MAX_LENGTH:,} characters, and this one has {len(text):,}"
        raise ExpressionError(PARSING, message, 0, hint="pass the value in through 'env', and use the variable")
    return tuple(part if isinstance(part, str) else parse(text, part[1], part[1] + len(part[0])) for part in parts)


def trees(text: str) -> tuple[Node, ...]:
    """The trees of a text's expressions. Raises as `template`."""
    return tuple(part for part in template(text) if not isinstance(part, str)) if OPEN in text else ()


def _as_format(parts: list[str | Part]) -> str:
    """The expression that GitHub makes of several parts. Source: actions/runner, TemplateReader.ParseScalar."""
    expressions = [part[0] for part in parts if not isinstance(part, str)]
    quoted = _format_text(parts).replace("'", "''")
    return f"format('{quoted}', {', '.join(expressions)})"


def _format_text(parts: list[str | Part] | tuple[str | Node, ...]) -> str:
    """The first argument of that `format`: literals with their braces doubled, `{0}`, `{1}` … for the expressions."""
    texts: list[str] = []
    count = 0
    for part in parts:
        if isinstance(part, str):
            texts.append(part.replace("{", "{{").replace("}", "}}"))
        else:
            texts.append(f"{{{count}}}")
            count += 1
    return "".join(texts)


def evaluate_template(text: str, scope: Scope) -> Value:
    """The value of a text: that of its expression where it is one and nothing else, otherwise a string.

    Raises ExpressionError of any kind, its offset counted in the text.
    """
    if OPEN not in text:
        return text
    parts = template(text)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return evaluate(parts[0], scope)
    return "".join(part if isinstance(part, str) else to_string(evaluate(part, scope)) for part in parts)


def render(text: str, scope: Scope) -> str:
    """The text with each expression replaced by its value as a string. Raises as `evaluate_template`."""
    return to_string(evaluate_template(text, scope)) if OPEN in text else text


@lru_cache(maxsize=2048)
def condition(text: str) -> Node:
    """The tree that an `if` stands for: its truth decides. Blank means `success()`.

    The text is an expression with or without `${{ }}` about the whole. Where it has `${{ }}` and more, it is a text,
    which is true. Without a status function in the tree it is `success() && (…)`.
    Raises ExpressionError, lexing or parsing, its offset counted in the text.
    Source: actions/runner, WorkflowTemplateConverter.ConvertToIfCondition.
    """
    node = _condition(text)
    if node is None:
        return Call("success", (), 0)
    if any(isinstance(part, Call) and part.name.lower() in STATUS_FUNCTIONS for part in walk(node)):
        return node
    own = node.operands if isinstance(node, Logical) and node.op == "&&" else (node,)
    return Logical("&&", (Call("success", (), node.offset), *own), node.offset)


def _condition(text: str) -> Node | None:
    """The tree as it is written; None for a blank text."""
    if not text.strip(WHITESPACE):
        return None
    if OPEN not in text:
        return parse(text)
    parts = template(text)
    if len(parts) > 1:
        expressions = tuple(part for part in parts if not isinstance(part, str))
        return Call("format", (Literal(_format_text(parts), 0), *expressions), 0)
    only = parts[0]
    assert not isinstance(only, str)  # the text has a '${{'
    if isinstance(only, Literal) and isinstance(only.value, str):
        return _quoted_condition(only)
    return only


def _quoted_condition(literal: Literal) -> Node | None:
    """`${{ 'text' }}` is that text before anybody asks whether it is a condition: `${{ 'false' }}` is false."""
    text = str(literal.value)
    try:
        return parse(text) if text.strip(WHITESPACE) else None
    except ExpressionError as error:
        raise ExpressionError(error.kind, error.message, literal.offset, hint=error.hint) from None
