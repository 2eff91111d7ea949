"""Cuts the text of an expression into tokens."""

from __future__ import annotations

from collections.abc import Iterator

from sparki_daemon.pipeline.expression.values import WHITESPACE, parse_number

# Kinds of tokens. BAD is always the last one.
LITERAL, NAME, FUNCTION, PROPERTY, OPERATOR, PUNCTUATION, BAD = "literal", "name", "function", "property", "operator", "punctuation", "bad"

Token = tuple[str, str, int, "bool | float | str | None"]
"""Kind, text as written, offset, and the value of a literal."""

_RUN_END = frozenset("()[],.!<>=&|" + WHITESPACE)
_TWO_CHARACTER_OPERATORS = frozenset({"&&", "||", "==", "!=", "<=", ">="})
_CONSTANTS: dict[str, bool | float | None] = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
_NEVER_BEFORE_A_NUMBER = frozenset({LITERAL, NAME, PROPERTY})


def tokens(text: str, start: int, end: int) -> Iterator[Token]:
    """The tokens of `text[start:end]`, offsets counted in the whole text; what is no token comes as BAD and is the last.

    Source of the rules: actions/runner, LexicalAnalyzer.
    """
    kind, word = OPERATOR, ""
    position = start
    while True:
        position = _after_blanks(text, position, end)
        if position == end:
            return
        token = _token(text, position, end, kind, word)
        yield token
        kind, word = token[0], token[1]
        if kind == BAD:
            return
        position += len(word)


def _after_blanks(text: str, position: int, end: int) -> int:
    while position < end and text[position] in WHITESPACE:
        position += 1
    return position


def _after_run(text: str, position: int, end: int) -> int:
    """Where the token that begins at a position ends: its first character may be any, the others are no boundary."""
    position += 1
    while position < end and text[position] not in _RUN_END:
        position += 1
    return position


def _token(text: str, position: int, end: int, last: str, last_word: str) -> Token:
    """The token at a position, given the kind and the text of the one before it."""
    char = text[position]
    if char in "()[],*":
        return PUNCTUATION, char, position, None
    if char == "'":
        return _string(text, position, end)
    if char in "!<>=&|":
        return _operator(text, position, end)
    if char == "." and (last in _NEVER_BEFORE_A_NUMBER or last_word in {")", "]", "*", "."}):
        return PUNCTUATION, char, position, None
    if char in "+-.0123456789":
        return _number(text, position, end)
    return _keyword(text, position, end, last_word)


def _string(text: str, position: int, end: int) -> Token:
    close = text.find("'", position + 1, end)
    while close >= 0 and text.startswith("'", close + 1, end):  # two quotes are one, inside
        close = text.find("'", close + 2, end)
    if close < 0:
        return BAD, text[position:end], position, None
    return LITERAL, text[position : close + 1], position, text[position + 1 : close].replace("''", "'")


def _operator(text: str, position: int, end: int) -> Token:
    two = text[position : min(position + 2, end)]
    if two in _TWO_CHARACTER_OPERATORS:
        return OPERATOR, two, position, None
    if two[0] in "!<>":
        return OPERATOR, two[0], position, None
    return BAD, text[position : _after_run(text, position, end)], position, None


def _number(text: str, position: int, end: int) -> Token:
    after = _after_run(text, position, end)
    while text.startswith(".", after, end):
        after = _after_run(text, after, end)
    word = text[position:after]
    value = parse_number(word)
    return (LITERAL if value == value else BAD), word, position, value  # noqa: PLR0124  NaN alone differs from itself


def _keyword(text: str, position: int, end: int, last_word: str) -> Token:
    after = _after_run(text, position, end)
    word = text[position:after]
    if not (word.isascii() and word.replace("-", "_").isidentifier()):
        return BAD, word, position, None
    if last_word == ".":
        return PROPERTY, word, position, None
    if word in _CONSTANTS:
        return LITERAL, word, position, _CONSTANTS[word]
    after = _after_blanks(text, after, end)
    return (FUNCTION if text.startswith("(", after, end) else NAME), word, position, None
