"""Turns the text of an expression into its tree."""

from __future__ import annotations

from functools import lru_cache

from sparki_daemon.pipeline.expression import lexer
from sparki_daemon.pipeline.expression.error import LEXING, PARSING, ExpressionError
from sparki_daemon.pipeline.expression.syntax import Call, Compare, Context, Index, Literal, Logical, Node, Not, Star

MAX_LENGTH = 21_000
MAX_DEPTH = 50
_PRECEDENCE = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "!": 5}
_BAD_HINTS = {"=": "compare with '=='", "&": "'and' is '&&'", "|": "'or' is '||'", '"': "a string takes single quotes: 'text'"}


@lru_cache(maxsize=2048)
def parse(text: str, start: int = 0, end: int | None = None) -> Node:
    """The tree of the expression in `text[start:end]`; a blank one is null. Offsets count in the whole text.

    Which names are known is no matter here: see `check`.
    Raises ExpressionError, lexing or parsing, always with an offset; over 21,000 characters or 50 levels too.
    Source: actions/runner, ExpressionParser; parentheses are no level, nor is a chain of one of `&&`, `||`.
    """
    end = len(text) if end is None else end
    if end - start > MAX_LENGTH:
        message = f"the expression has {end - start:,} characters, and {MAX_LENGTH:,} are allowed"
        raise ExpressionError(PARSING, message, start)
    parser = _Parser()
    for token in lexer.tokens(text, start, end):
        parser.take(token)
    return parser.finish(start)


class _Open:
    """What waits on the stack for its right side: an operator, `(`, `[` or a call with the operands that it found."""

    __slots__ = ("below", "call", "offset", "word")

    def __init__(self, word: str, offset: int, below: int, call: str = "") -> None:
        self.word = word
        self.offset = offset
        self.below = below
        self.call = call


class _Parser:
    """Two stacks, operands and operators: no depth of parentheses can exhaust Python's own."""

    def __init__(self) -> None:
        self._operands: list[tuple[Node, int]] = []  # with their heights
        self._open: list[_Open] = []
        self._function: lexer.Token | None = None
        self._last: lexer.Token | None = None
        self._complete = False  # an operand has just ended
        self._indexable = False  # and it may be followed by `.` or `[`
        self._bracket_star = False  # a `[*` has been read, and `]` must follow

    def take(self, token: lexer.Token) -> None:
        kind, word, offset, value = token
        if kind == lexer.BAD:
            raise _bad(word, offset)
        after_dot = self._last is not None and self._last[1] == "." and self._last[0] == lexer.PUNCTUATION
        if self._bracket_star and word != "]":
            raise _unexpected(token)
        if after_dot and kind != lexer.PROPERTY and word != "*":
            raise _unexpected(token)
        if self._function is not None or kind == lexer.PUNCTUATION:
            self._punctuation(token)
        elif kind == lexer.OPERATOR:
            self._operator(token)
        elif kind == lexer.PROPERTY:
            self._index(Literal(word, offset), 1)
        elif self._complete:
            raise _unexpected(token)
        elif kind == lexer.FUNCTION:
            self._function = token
        elif kind == lexer.NAME:
            self._push(Context(word, offset), 1, indexable=True)
        else:
            self._push(Literal(value, offset), 1, indexable=False)
        self._last = token

    def finish(self, start: int) -> Node:
        if self._last is None:
            return Literal(None, start)
        unclosed = [waiting for waiting in self._open if waiting.word in {"(", "["}]
        if unclosed or not self._complete:
            hint = f"a '{unclosed[-1].word}' is not closed" if unclosed and self._complete else ""
            message = f"the expression ends too early, after '{self._last[1]}'"
            raise ExpressionError(PARSING, message, self._last[2], hint=hint)
        self._reduce(0)
        return self._operands[0][0]

    def _push(self, node: Node, height: int, *, indexable: bool) -> None:
        if height > MAX_DEPTH:
            raise ExpressionError(PARSING, f"the expression is nested deeper than {MAX_DEPTH} levels", node.offset)
        self._operands.append((node, height))
        self._complete, self._indexable = True, indexable

    def _index(self, key: Node, height: int) -> None:
        target, target_height = self._operands.pop()
        self._push(Index(target, key, target.offset), 1 + max(height, target_height), indexable=True)

    def _punctuation(self, token: lexer.Token) -> None:
        word, offset = token[1], token[2]
        if word == "(":
            self._open_bracket(token)
        elif word == "*":
            self._star(token)
        elif not self._complete and not (word == ")" and self._just_called()):
            raise _unexpected(token)
        elif word in ".[":
            if not self._indexable:
                raise _unexpected(token)
            self._complete = False
            if word == "[":
                self._open.append(_Open("[", offset, len(self._operands)))
        else:
            self._close(token)

    def _open_bracket(self, token: lexer.Token) -> None:
        if self._complete:
            raise _unexpected(token)
        name, offset = (self._function[1], self._function[2]) if self._function else ("", token[2])
        self._open.append(_Open("(", offset, len(self._operands), name))
        self._function = None

    def _just_called(self) -> bool:
        return self._last is not None and self._last[1] == "(" and bool(self._open) and bool(self._open[-1].call)

    def _star(self, token: lexer.Token) -> None:
        before = self._last[1] if self._last else ""
        if self._complete or before not in {".", "["}:
            raise _unexpected(token)
        target, height = self._operands.pop()
        self._push(Star(target, target.offset), height + 1, indexable=before == ".")
        if before == "[":
            self._bracket_star = True

    def _close(self, token: lexer.Token) -> None:
        """A `)`, `]` or `,` after a whole operand."""
        word = token[1]
        self._reduce(0)
        top = self._open[-1] if self._open else None
        if top is None or top.word != ("[" if word == "]" else "(") or (word == "," and not top.call):
            raise _unexpected(token)
        if word == ",":
            self._complete = False
            return
        self._open.pop()
        self._complete = self._indexable = True
        if top.call:
            self._call(top)
        elif self._bracket_star:
            self._bracket_star = False
        elif top.word == "[":
            self._index(*self._operands.pop())

    def _call(self, top: _Open) -> None:
        found = self._operands[top.below :]
        del self._operands[top.below :]
        node = Call(top.call, tuple(node for node, _ in found), top.offset)
        self._push(node, 1 + max((height for _, height in found), default=0), indexable=True)

    def _operator(self, token: lexer.Token) -> None:
        word = token[1]
        if self._complete is (word == "!"):
            raise _unexpected(token)
        if word != "!":
            self._reduce(_PRECEDENCE[word])
        self._open.append(_Open(word, token[2], len(self._operands)))
        self._complete = False

    def _reduce(self, precedence: int) -> None:
        """Apply the waiting operators that bind at least so tightly, down to the nearest bracket."""
        while self._open and _PRECEDENCE.get(self._open[-1].word, -1) >= precedence:
            top = self._open.pop()
            right, height = self._operands.pop()
            if top.word == "!":
                self._push(Not(right, top.offset), height + 1, indexable=False)
                continue
            left, left_height = self._operands.pop()
            if top.word in {"&&", "||"}:
                self._push(*_chain(top.word, (left, left_height), (right, height)), indexable=False)
            else:
                self._push(Compare(top.word, left, right, left.offset), 1 + max(left_height, height), indexable=False)


def _chain(op: str, *sides: tuple[Node, int]) -> tuple[Node, int]:
    """One node for a chain of one operator, and its height."""
    operands: list[Node] = []
    height = 0
    for node, node_height in sides:
        flat = isinstance(node, Logical) and node.op == op
        operands.extend(node.operands if isinstance(node, Logical) and flat else (node,))
        height = max(height, node_height - 1 if flat else node_height)
    return Logical(op, tuple(operands), sides[0][0].offset), height + 1


def _unexpected(token: lexer.Token) -> ExpressionError:
    return ExpressionError(PARSING, f"unexpected '{token[1]}'", token[2])


def _bad(word: str, offset: int) -> ExpressionError:
    if word.startswith("'"):
        return ExpressionError(
            LEXING, f"the string {_shortened(word)} is not closed", offset, hint="a quote inside a string is written twice: ''"
        )
    return ExpressionError(LEXING, f"unexpected '{_shortened(word)}'", offset, hint=_BAD_HINTS.get(word[0], ""))


def _shortened(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:37]}…"
