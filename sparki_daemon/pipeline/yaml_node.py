"""A YAML file as a tree in which every key and every value knows its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.pipeline.expression.values import to_string

Literal = None | bool | int | float | str


@dataclass(slots=True, eq=False)
class ScalarNode:
    """One scalar. Line and column count from 1; `start` and `end` are character offsets in the file's text."""

    value: Literal  # its type is YAML 1.2 core's
    text: str  # as `value` reads where a string is wanted
    line: int
    column: int
    start: int
    end: int


@dataclass(slots=True, eq=False)
class SequenceNode:
    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class MappingNode:
    """Pairs in file order. The place is the first key's, or the brace's. `repeated` are those whose key was there before."""

    line: int
    column: int
    pairs: list[tuple[ScalarNode, Node]] = field(default_factory=list)
    repeated: list[tuple[ScalarNode, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The value of `key`, exactly spelt; None where it is missing."""
        for name, value in self.pairs:
            if name.text == key:
                return value
        return None


Node = ScalarNode | SequenceNode | MappingNode


def scalars_of(node: Node, *, keys: bool = False) -> Iterator[ScalarNode]:
    """Every scalar value under `node` in file order, itself included; with `keys`, what they stand for too."""
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from scalars_of(item, keys=keys)
    else:
        for key, value in node.pairs:
            if keys:
                yield key
            yield from scalars_of(value, keys=keys)


def to_json(node: Node) -> dict[str, Any]:
    """A tree as JSON-able data, to be computed later; `from_json` reads it back. Infinity and NaN are as Python's json writes them."""
    place = [node.line, node.column]
    if isinstance(node, ScalarNode):
        return {"at": place, "value": node.value}
    if isinstance(node, SequenceNode):
        return {"at": place, "items": [to_json(item) for item in node.items]}
    return {"at": place, "pairs": [[to_json(key), to_json(value)] for key, value in node.pairs]}


def from_json(data: Mapping[str, Any]) -> Node:
    """The tree that `to_json` wrote. Its scalars no longer know where in the text they end. Raises KeyError, TypeError for other data."""
    line, column = data["at"]
    if "items" in data:
        return SequenceNode(line, column, [from_json(item) for item in data["items"]])
    if "pairs" in data:
        return MappingNode(line, column, [(_scalar(key), from_json(value)) for key, value in data["pairs"]])
    return _scalar(data)


def _scalar(data: Mapping[str, Any]) -> ScalarNode:
    value, (line, column) = data["value"], data["at"]
    return ScalarNode(value, value if isinstance(value, str) else to_string(value), line, column, 0, 0)


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's text, to tell where in it a character of a scalar's value stands."""

    text: str
    _lines: list[int] = field(default_factory=list, repr=False)  # where each line begins; found when first asked

    def place(self, scalar: ScalarNode, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset` of the scalar's string; the scalar's own place where they can't be matched.

        Quotes, escapes, folding and block indentation make the value differ from the text, so both are walked side by side from the
        last `${{` before the offset: everything a reader points at stands in an expression or in a plain `if`.
        """
        value = scalar.value if isinstance(scalar.value, str) else scalar.text
        opening = value.rfind("${{", 0, offset + 3)
        if opening >= 0:
            begin, found = opening, self._nth_opening(scalar, value.count("${{", 0, opening + 3))
        else:
            begin, found = min(offset, len(value) - len(value.lstrip())), self._content_start(scalar)
        at = self._walk(value, begin, offset, found, scalar.end) if found is not None else None
        if at is None:
            return scalar.line, scalar.column
        if not self._lines:
            self._lines.extend([0, *(found.end() for found in re.finditer("\n", self.text))])
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _nth_opening(self, scalar: ScalarNode, number: int) -> int | None:
        at = scalar.start - 1
        for _ in range(number):
            at = self.text.find("${{", at + 1, scalar.end)
            if at < 0:
                return None
        return at

    def _content_start(self, scalar: ScalarNode) -> int:
        first = self.text[scalar.start : scalar.start + 1]
        if first in ("|", ">"):
            at = self.text.find("\n", scalar.start) + 1
            while at < scalar.end and self.text[at] in " \n\r":
                at += 1
            return at
        return scalar.start + 1 if first in ("'", '"') else scalar.start

    def _walk(self, value: str, begin: int, offset: int, at: int, end: int) -> int | None:
        """The text offset that matches `offset` of the value, when `begin` of the value stands at `at`."""
        index = begin
        while index < offset and at < end:
            char, there = value[index : index + 1], self.text[at]
            if char.isspace() and there.isspace():
                while index < offset and value[index : index + 1].isspace():
                    index += 1
                while at < end and self.text[at].isspace():
                    at += 1
                continue
            if char != there:
                if there != "\\":
                    return None
                at += 1  # an escape in double quotes
                if self.text[at : at + 1] != char:
                    return None
            elif char == "'" and self.text[at : at + 2] == "''" and value[index : index + 2] != "''":
                at += 1  # a quote within single quotes
            index += 1
            at += 1
        return at if index == offset and at <= end else None
