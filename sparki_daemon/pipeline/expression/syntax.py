"""The nodes of a parsed expression, immutable and compared by identity: each knows the character where its text begins."""

from __future__ import annotations

from collections.abc import Iterator

from sparki_daemon.model.dataclass import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A constant; a property's name after a dot is one too."""

    value: bool | int | float | str | None
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """A name at the top: `github`, `matrix`."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """`target.key` and `target[key]`, which mean the same."""

    target: Node
    key: Node
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Star:
    """`target.*` and `target[*]`: every item or value of the target."""

    target: Node
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    name: str
    args: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    operand: Node
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """`op` is one of `==`, `!=`, `<`, `<=`, `>`, `>=`."""

    op: str
    left: Node
    right: Node
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Logical:
    """`op` is `&&` or `||`; a chain of one operator is one node, as it counts once for the depth."""

    op: str
    operands: tuple[Node, ...]
    offset: int


Node = Literal | Context | Index | Star | Call | Not | Compare | Logical


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below, in the order of the text."""
    match node:
        case Call(args=nodes) | Logical(operands=nodes):
            return nodes
        case Compare(left=left, right=right):
            return (left, right)
        case Index(target=target, key=key):
            return (target, key)
        case Star(target=only) | Not(operand=only):
            return (only,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)
