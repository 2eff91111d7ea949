"""Cuts the text of an expression into tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sparki_daemon.pipeline.expression.values import WHITESPACE, parse_number

# Kinds of tokens. BAD is always the last one.
LITERAL, NAME, FUNCTION, PROPERTY, OPERATOR, PUNCTUATION, BAD = "literal", "name", "function", "property", "operator", "punctuation", "bad"

Token = tuple[str, str, int, "bool | float | str | None"]
"""Kind, text as written, offset, and the value of a literal."""

_ENDS = re.escape("()[],.!<>=&|") + re.escape(WHITESPACE)
_BLANKS = re.compile(f"[{re.escape(WHITESPACE)}]*")
_STRING = re.compile(r"'(?:[^']|'')*+'")
_OPERATOR = re.compile(r"&&|\|\||[=!<>]=|[!<>]")
_NUMBER = re.compile(rf"[-+.0-9][^{_ENDS}]*(?:\.[^{_ENDS}]*)*")
_WORD = re.compile(rf".[^{_ENDS}]*", re.DOTALL)
_KEYWORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_CONSTANTS: dict[str, bool | float | None] = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
_NEVER_BEFORE_A_NUMBER = {LITERAL, NAME, PROPERTY}


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
    match = _BLANKS.match(text, position, end)
    assert match is not None  # zero blanks match
    return match.end()


def _token(text: str, position: int, end: int, last: str, last_word: str) -> Token:
    """The token at a position, given the kind and the text of the one before it."""
    char = text[position]
    if char in "()[],*":
        return PUNCTUATION, char, position, None
    if char == "'":
        return _string(text, position, end)
    if char in "!<>=&|":
        operator = _OPERATOR.match(text, position, end)
        return (OPERATOR, operator[0], position, None) if operator else (BAD, _word(text, position, end), position, None)
    if char == "." and (last in _NEVER_BEFORE_A_NUMBER or last_word in {")", "]", "*", "."}):
        return PUNCTUATION, char, position, None
    if char in "+-.0123456789":
        return _number(text, position, end)
    return _keyword(text, position, end, last_word)


def _string(text: str, position: int, end: int) -> Token:
    match = _STRING.match(text, position, end)
    if match is None:
        return BAD, text[position:end], position, None
    return LITERAL, match[0], position, match[0][1:-1].replace("''", "'")


def _number(text: str, position: int, end: int) -> Token:
    match = _NUMBER.match(text, position, end)
    assert match is not None  # the first character is one of a number
    value = parse_number(match[0])
    return (LITERAL if value == value else BAD), match[0], position, value  # noqa: PLR0124  NaN alone differs from itself


def _word(text: str, position: int, end: int) -> str:
    match = _WORD.match(text, position, end)
    assert match is not None  # any character matches
    return match[0]


def _keyword(text: str, position: int, end: int, last_word: str) -> Token:
    word = _word(text, position, end)
    if not _KEYWORD.fullmatch(word):
        return BAD, word, position, None
    if last_word == ".":
        return PROPERTY, word, position, None
    if word in _CONSTANTS:
        return LITERAL, word, position, _CONSTANTS[word]
    after = _after_blanks(text, position + len(word), end)
    return (FUNCTION if text.startswith("(", after, end) else NAME), word, position, None
