"""Compute a job's `strategy`: YAML and expressions in, a matrix with positions out."""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.template import OPEN, evaluate_template
from sparki_daemon.pipeline.expression.values import Value, kind_of, lookup, to_string
from sparki_daemon.pipeline.matrix import Leg, Matrix, expand
from sparki_daemon.pipeline.pairs import is_insert
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, scalars_of

_ALONE = Leg({}, ())
_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Strategy:
    """The legs of a job, and how they run. `max_parallel` 0: all at once."""

    legs: tuple[Leg, ...] = (_ALONE,)
    fail_fast: bool = True
    max_parallel: int = 0


def strategy_of(node: Node | None, file: str, scope: Scope) -> Strategy:
    """The strategy that a node stands for.

    Raises SparkiError with every problem of the matrix, or with the value that can't be computed or has a wrong type.
    """
    if node is None:
        return Strategy()
    computed = _Computed(file, scope)
    value = computed.value(node)
    settings = value if isinstance(value, Mapping) else computed.refuse((), "'strategy'", "a mapping", value)
    fail_fast = settings.get("fail-fast", True)
    if not isinstance(fail_fast, bool):
        computed.refuse(("fail-fast",), "'fail-fast'", "true or false", fail_fast)
    parallel = settings.get("max-parallel", 0)
    if isinstance(parallel, bool) or not isinstance(parallel, int | float) or not 0 <= parallel < 2**31:
        computed.refuse(("max-parallel",), "'max-parallel'", "a number from 0", parallel)
    legs: tuple[Leg, ...] = (_ALONE,)
    if "matrix" in settings:
        legs = tuple(expand(_matrix(settings["matrix"], computed)))
    return Strategy(legs, bool(fail_fast), int(parallel))  # type: ignore[arg-type]  # a number: refused otherwise


def is_static(node: Node | None) -> bool:
    """Whether a strategy holds no expression, and so can be judged when its file is read."""
    return node is not None and not any(isinstance(item.value, str) and OPEN in item.value for item in scalars_of(node, keys=True))


def _matrix(value: Value, computed: _Computed) -> Matrix:
    if not isinstance(value, Mapping):
        computed.refuse(("matrix",), "'matrix'", "a mapping", value)
        return Matrix()
    lists: dict[str, list[Value]] = {"include": [], "exclude": []}
    for name in lists:
        found = value.get(name, [])
        if isinstance(found, list):
            lists[name] = found
        else:
            computed.refuse(("matrix", name), f"'{name}'", "a list", found)
    vectors = {name: vector for name, vector in value.items() if name not in lists}
    for name, vector in vectors.items():
        if not isinstance(vector, list):
            computed.refuse(("matrix", name), f"the matrix's '{name}'", "a list", vector)
    places = {path[1:]: at for path, at in computed.places.items() if path[:1] == ("matrix",)}
    at = computed.place(("matrix",))
    return Matrix(vectors, lists["include"], lists["exclude"], at, places)  # type: ignore[arg-type]  # the vectors are lists by now


class _Computed:
    """Turns YAML into values, and remembers where each came from."""

    def __init__(self, file: str, scope: Scope) -> None:
        self.file = file
        self.scope = scope
        self.places: dict[_Path, Position] = {}

    def value(self, node: Node, path: _Path = ()) -> Value:
        """Raises SparkiError (`expression_failed`) for an expression that can't be computed."""
        at = Position(self.file, node.line, node.column)
        self.places.setdefault(path, at)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: _Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, item in node.pairs:
            at = Position(self.file, key.line, key.column)
            if is_insert(key.text):
                inserted = self.value(item, (*path, key.text))
                if not isinstance(inserted, Mapping):
                    inserted = self.refuse((*path, key.text), "what is inserted", "a mapping", inserted)
                pairs = [(str(name), value) for name, value in inserted.items()]
            else:
                name = to_string(self._scalar(key)) if OPEN in key.text else key.text
                if len(path) > 2:  # within a filter a problem points at the key
                    self.places[*path, name] = at
                pairs = [(name, self.value(item, (*path, name)))]
            for name, value in pairs:
                if lookup(found, name):
                    message = f"'{name}' is already defined"
                    raise SparkiError(Problem(code="duplicate_key", message=message, at=at))
                found[name] = value
        return found

    def _scalar(self, node: ScalarNode) -> Value:
        try:
            return evaluate_template(node.value, self.scope) if isinstance(node.value, str) else node.value
        except ExpressionError as error:
            message = f"the expression can't be computed: {error.message}"
            at = Position(self.file, node.line, node.column)
            raise SparkiError(Problem(code="expression_failed", message=message, at=at, hint=error.hint)) from None

    def place(self, path: _Path) -> Position:
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def refuse(self, path: _Path, what: str, wanted: str, value: Value) -> Mapping[str, Value]:
        """Always raises; its type lets a refusal stand where a value was wanted."""
        kind = "empty" if value is None else f"of the kind {kind_of(value)}"
        raise SparkiError(Problem(code="wrong_value", message=f"{what} must be {wanted}, and is {kind}", at=self.place(path)))
