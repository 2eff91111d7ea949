"""Make a matrix into its combinations, with `include` and `exclude` as GitHub reads them.

Source: actions/runner, Sdk/WorkflowParser/Conversion/MatrixBuilder.cs (commit 258d6c85).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.values import Value, fold, lookup, loosely_equal, to_string
from sparki_daemon.pipeline.spelling import did_you_mean

MAX_JOBS = 256
_MAX_NAME = 100
_MAX_PRODUCT = 20_000  # combinations before `exclude`: beyond it a matrix is refused unbuilt


@dataclass(frozen=True, slots=True)
class Leg:
    """One combination: what `matrix` holds, and the texts that the job's name shows (no values that `include` added)."""

    values: Mapping[str, Value]
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix with every value computed. `places` are positions of what problems point at, by path from the matrix."""

    vectors: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    include: Sequence[Value] = ()
    exclude: Sequence[Value] = ()
    at: Position | None = None
    places: Mapping[tuple[str | int, ...], Position] = field(default_factory=dict)

    def place(self, *path: str | int) -> Position | None:
        """The position of a path, or of the nearest thing around it that has one."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.at


def problems_of(matrix: Matrix) -> Iterator[Problem]:
    """Everything that makes a matrix one that GitHub refuses; the number of its jobs is `expand`'s to judge."""
    if not matrix.vectors and not matrix.include:
        hint = "give it a key with a list of values, or 'include'"
        yield Problem(code="empty_matrix", message="the matrix has no values", at=matrix.at, hint=hint)
    for name, vector in matrix.vectors.items():
        if not vector:
            yield Problem(code="empty_matrix", message=f"the matrix's '{name}' has no values", at=matrix.place(name))
    for index, item in enumerate(matrix.include):
        if not isinstance(item, dict):
            yield _not("a mapping", "an item of 'include'", matrix.place("include", index))
        elif not item:
            yield Problem(code="empty_matrix", message="an item of 'include' has no values", at=matrix.place("include", index))
    for index, item in enumerate(matrix.exclude):
        yield from _exclude_problems(matrix, index, item)


def _exclude_problems(matrix: Matrix, index: int, item: Value) -> Iterator[Problem]:
    if not isinstance(item, dict):
        yield _not("a mapping", "an item of 'exclude'", matrix.place("exclude", index))
        return
    if not item:
        yield Problem(code="empty_matrix", message="an item of 'exclude' has no values", at=matrix.place("exclude", index))
    for key in item:
        if lookup(matrix.vectors, key) is None:
            message = f"'exclude' names '{key}', and the matrix has no such key"
            hint = did_you_mean(key, matrix.vectors)
            yield Problem(code="unknown_matrix_key", message=message, at=matrix.place("exclude", index, key), hint=hint)


def _not(wanted: str, what: str, at: Position | None) -> Problem:
    return Problem(code="wrong_type", message=f"{what} must be {wanted}", at=at)


def expand(matrix: Matrix) -> list[Leg]:
    """The combinations in GitHub's order: the first key is the slowest, what `include` adds of its own comes last.

    An `include` is tried against the combinations as the vectors make them, never against what another one added; among
    several that match, the later one's values win.
    Raises SparkiError with every problem of the matrix, or with `too_many_jobs`.
    """
    problems = tuple(problems_of(matrix))
    if problems:
        raise SparkiError(*problems)
    size = math.prod(len(vector) for vector in matrix.vectors.values()) if matrix.vectors else 0
    legs = _combine(matrix) if size <= _MAX_PRODUCT else []
    if size > _MAX_PRODUCT or len(legs) > MAX_JOBS:
        message = f"the matrix makes {len(legs) or size} jobs, and may make {MAX_JOBS}"
        raise SparkiError(Problem(code="too_many_jobs", message=message, at=matrix.at))
    if not legs:
        raise SparkiError(Problem(code="empty_matrix", message="'exclude' leaves no combination", at=matrix.place("exclude")))
    return legs


def _combine(matrix: Matrix) -> list[Leg]:
    names = list(matrix.vectors)
    items = [item for item in matrix.include if isinstance(item, Mapping)]
    filters = [_split(item, names) for item in items]
    matched = [False] * len(filters)
    legs = []
    for values in product(*matrix.vectors.values()) if names else ():
        own = dict(zip(names, values, strict=True))
        if any(_matches(own, item) for item in matrix.exclude):
            continue
        extra: dict[str, Value] = {}
        for index, (wanted, added) in enumerate(filters):
            if _matches(own, wanted):
                matched[index] = True
                extra.update(added)
        legs.append(Leg({**own, **extra}, tuple(_shown(own))))
    legs.extend(Leg(dict(item), tuple(_shown(item))) for item, done in zip(items, matched, strict=True) if not done)
    return legs


def _split(item: Mapping[str, Value], names: Sequence[str]) -> tuple[dict[str, Value], dict[str, Value]]:
    """What an `include` asks of a combination, and what it adds to it."""
    known = {fold(name): name for name in names}
    wanted = {known[fold(key)]: value for key, value in item.items() if fold(key) in known}
    return wanted, {key: value for key, value in item.items() if fold(key) not in known}


def _matches(there: Value, wanted: Value) -> bool:
    """Whether each leaf of `wanted` loosely equals the value at its place in `there`: a part is enough."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            found = lookup(there, key) if isinstance(there, Mapping) else None
            if not _matches(found[0] if found else None, value):
                return False
        return True
    if isinstance(wanted, list):
        has = there if isinstance(there, list) else []
        return all(_matches(has[index] if index < len(has) else None, value) for index, value in enumerate(wanted))
    return loosely_equal(there, wanted)


def _shown(value: Value) -> Iterator[str]:
    """The texts of all leaves that have one, in order."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _shown(item)
    elif isinstance(value, list):
        for item in value:
            yield from _shown(item)
    elif text := to_string(value):
        yield text


def leg_name(base: str, shown: Sequence[str]) -> str:
    """What GitHub calls a leg whose job's name holds no expression: `test (3.12, linux)`, cut at 100 characters."""
    name = f"{base} ({', '.join(shown)})" if shown else base
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 3]}..."
