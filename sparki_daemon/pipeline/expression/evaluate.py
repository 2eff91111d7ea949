"""Computes the value of a parsed expression in the place where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from sparki_daemon.pipeline.expression.check import Arity, check, unknown_context, unknown_function, wrong_arity
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.functions import BUILT_INS, too_large
from sparki_daemon.pipeline.expression.parser import parse
from sparki_daemon.pipeline.expression.syntax import Call, Compare, Context, Index, Literal, Logical, Node, Not, Star
from sparki_daemon.pipeline.expression.values import Filtered, Value, compare, is_primitive, is_truthy, lookup, to_number, to_string

Function = Callable[..., Value]
"""A function of the place (`success`, `hashFiles`): takes the values of its arguments; may raise ExpressionError."""

WORKFLOW_LIMIT_BYTES = 10 * 1024 * 1024
ALONE_LIMIT_BYTES = 1024 * 1024
_MAX_INDEX = 2**31 - 1


class Scope:
    """What an expression may see: contexts and the functions of the place, both found ignoring case.

    A context may be any mapping, one that fills itself on use too. `limit_bytes` bounds the texts that one
    evaluation holds at once, two bytes a character: GitHub's workflows have 10 MiB, an expression alone 1 MiB.
    """

    __slots__ = ("contexts", "functions", "limit_bytes")

    def __init__(
        self,
        contexts: Mapping[str, Value],
        functions: Mapping[str, Function] | None = None,
        limit_bytes: int = WORKFLOW_LIMIT_BYTES,
    ) -> None:
        self.contexts = contexts
        self.functions = functions or {}
        self.limit_bytes = limit_bytes


def evaluate(node: Node, scope: Scope) -> Value:
    """The value of a tree.

    Raises ExpressionError: evaluation where a function refuses a value or a limit is passed, parsing for an unknown
    name that is met (`check` finds all of them beforehand).
    Source: actions/runner, Expressions2. `env` alone minds case, as it does off Windows.
    """
    return _Evaluation(scope).value(node)


def evaluate_text(text: str, contexts: Mapping[str, Value], functions: Mapping[str, tuple[Function, Arity]] | None = None) -> Value:
    """The value of an expression that stands alone, without `${{ }}`: reads, checks all names, evaluates.

    `functions` are those of the place, with their arities. Raises ExpressionError of any kind.
    """
    given = functions or {}
    node = parse(text)
    for error in check(node, tuple(contexts), {name: arity for name, (_, arity) in given.items()}):
        raise error
    return evaluate(node, Scope(contexts, {name: function for name, (function, _) in given.items()}, ALONE_LIMIT_BYTES))


class _Evaluation:
    """One evaluation: the scope, and how much its texts take."""

    __slots__ = ("_held_bytes", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._held_bytes = 0

    def value(self, node: Node) -> Value:
        match node:
            case Literal():
                return node.value
            case Context():
                return self._context(node)
            case Index():
                return self._index(node)
            case Compare():
                return compare(node.op, self.value(node.left), self.value(node.right))
            case Logical():
                return self._logical(node)
            case Call():
                return self._call(node)
            case Not():
                return not is_truthy(self.value(node.operand))
            case Star():
                return self._star(node)

    def _context(self, node: Context) -> Value:
        found = lookup(self._scope.contexts, node.name)
        if found is None:
            raise unknown_context(node, self._scope.contexts)
        return found[0]

    def _logical(self, node: Logical) -> Value:
        """The operand that decides, not its truth."""
        value: Value = None
        for operand in node.operands:
            value = self.value(operand)
            if is_truthy(value) is (node.op == "||"):
                break
        return value

    def _index(self, node: Index) -> Value:
        target = self.value(node.target)
        if is_primitive(target):
            return None
        key = self.value(node.key)
        if isinstance(target, Filtered):
            found = (_item(each, key) for each in target)
            return Filtered(each[0] for each in found if each is not None)
        if isinstance(node.target, Context) and node.target.name.lower() == "env" and isinstance(target, Mapping):
            return target.get(to_string(key)) if is_primitive(key) else None
        item = _item(target, key)
        return None if item is None else item[0]

    def _star(self, node: Star) -> Value:
        target = self.value(node.target)
        if isinstance(target, Filtered):
            return Filtered(inner for each in target for inner in _items(each))
        return Filtered(_items(target))

    def _call(self, node: Call) -> Value:
        """Call a function; the texts of its arguments count no longer once it has its own value."""
        held_bytes = self._held_bytes
        limit_bytes = self._scope.limit_bytes
        try:
            value = self._called(node, limit_bytes // 2)
            if isinstance(value, str):
                held_bytes += 2 * len(value)
                if held_bytes > limit_bytes:
                    raise too_large(limit_bytes // 2)
        except ExpressionError as error:
            if error.offset is None:
                error.offset = node.offset
            raise
        self._held_bytes = held_bytes
        return value

    def _called(self, node: Call, room: int) -> Value:
        built_in = BUILT_INS.get(node.name.lower())
        if built_in is None:
            return self._given(node)(*[self.value(argument) for argument in node.args])
        function, arity = built_in
        if wrong := wrong_arity(node, arity):
            raise wrong
        return function(node.args, self.value, room)

    def _given(self, node: Call) -> Function:
        functions = self._scope.functions
        found = functions.get(node.name)
        if found is None:
            found = next((functions[name] for name in functions if name.lower() == node.name.lower()), None)
        if found is None:
            raise unknown_function(node, (*functions, *BUILT_INS))
        return found


def _items(value: Value) -> Sequence[Value]:
    """The items of an array, the values of an object, nothing for the rest."""
    if isinstance(value, Mapping):
        return [value[key] for key in value]
    return () if isinstance(value, str) or not isinstance(value, Sequence) else value


def _item(value: Value, key: Value) -> tuple[Value] | None:
    """What an object or array has under a key, in a tuple of one; None for nothing."""
    if isinstance(value, Mapping):
        return lookup(value, to_string(key)) if is_primitive(key) else None
    if isinstance(value, str) or not isinstance(value, Sequence):
        return None
    number = to_number(key)
    if not 0 <= number <= _MAX_INDEX or number >= len(value):
        return None
    return (value[math.floor(number)],)
