"""Tells which contexts, and which functions, an expression uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.pipeline.expression.syntax import Call, Context, Index, Literal, Node, Star, children, walk
from sparki_daemon.pipeline.expression.values import to_string

DYNAMIC = "*"


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of a context: its name in lower case, then the properties as written, `*` where only a run can tell."""

    path: tuple[str, ...]
    offset: int

    def __str__(self) -> str:
        return ".".join(self.path)


def references(node: Node) -> Iterator[Reference]:
    """Every use of a context, as deep as it goes, in the order of the text.

    `needs[matrix.job].result` uses `needs.*.result` and `matrix.job`; what follows a function's value is no path.
    """
    path: list[str] = []
    keys: list[Node] = []
    target = node
    while isinstance(target, Index | Star):
        if isinstance(target, Star):
            path.append(DYNAMIC)
        elif isinstance(target.key, Literal):
            path.append(to_string(target.key.value))
        else:
            path.append(DYNAMIC)
            keys.append(target.key)
        target = target.target
    if isinstance(target, Context):
        yield Reference((target.name.lower(), *reversed(path)), target.offset)
        inside = tuple(reversed(keys))
    else:
        inside = (*children(target), *reversed(keys))
    for child in inside:
        yield from references(child)


def used(nodes: Iterable[Node]) -> frozenset[str]:
    """The dotted paths of all uses: `{"needs.build.outputs.version", "secrets.TOKEN", "matrix"}`."""
    return frozenset(str(reference) for node in nodes for reference in references(node))


def calls(nodes: Iterable[Node]) -> frozenset[str]:
    """The names of all functions that are called, in lower case."""
    return frozenset(part.name.lower() for node in nodes for part in walk(node) if isinstance(part, Call))
