"""Check expressions before anything runs: syntax, contexts and functions, each error at its character in the file."""

from __future__ import annotations

from collections.abc import Iterator

from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.expression.check import BUILT_IN_ARITIES, unknown_context, unknown_function, wrong_arity
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.syntax import Call, Context, Node, walk
from sparki_daemon.pipeline.expression.template import condition, trees
from sparki_daemon.pipeline.schema import Place
from sparki_daemon.pipeline.yaml_node import ScalarNode, SourceText

ALL_CONTEXTS = ("env", "github", "inputs", "job", "jobs", "matrix", "needs", "runner", "secrets", "steps", "strategy", "vars")
ALL_FUNCTIONS = ("always", "cancelled", "failure", "hashFiles", "success")
_BUILT_INS = {name.lower(): (name, arity) for name, arity in BUILT_IN_ARITIES.items()}


def expressions_of(node: ScalarNode, file: str, source: SourceText) -> tuple[Node, ...] | Problem:
    """The trees of a text's expressions, or what is wrong with its syntax."""
    try:
        return trees(node.text)
    except ExpressionError as error:
        return problem_at("bad_expression", error, node, file=file, source=source)


def condition_of(node: ScalarNode, file: str, source: SourceText) -> tuple[Node, ...] | Problem:
    """The tree of an `if`, alone in a tuple, or what is wrong with its syntax."""
    try:
        return (condition(node.text),)
    except ExpressionError as error:
        return problem_at("bad_expression", error, node, file=file, source=source)


def check_expressions(nodes: tuple[Node, ...], place: Place, label: str) -> Iterator[tuple[str, ExpressionError]]:
    """Every name that has no meaning in the place, with the code of its problem. `label` is what messages call the value.

    Source: which contexts and functions stand where: GITHUB.md §1, the table of keys.
    """
    for part in (part for node in nodes for part in walk(node)):
        if isinstance(part, Context):
            found = _context(part, place, label)
        elif isinstance(part, Call):
            found = _call(part, place, label)
        else:
            continue
        if found is not None:
            yield found


def _context(node: Context, place: Place, label: str) -> tuple[str, ExpressionError] | None:
    name = node.name.lower()
    if name in place.contexts:
        return None
    if name in ALL_CONTEXTS:
        hint = f"available: {', '.join(place.contexts)}"
        return "context_not_available", ExpressionError("parsing", f"'{node.name}' has no value in {label}", node.offset, hint=hint)
    error = unknown_context(node, ALL_CONTEXTS)
    return "unknown_context", error if error.hint else ExpressionError("parsing", error.message, node.offset, hint=_meant(node.name))


def _meant(name: str) -> str:
    """What a bare word may have been that is near no context's name."""
    functions = {known.lower(): known for known in (*BUILT_IN_ARITIES, *ALL_FUNCTIONS)}
    if function := functions.get(name.lower()):
        return f"'{function}' is a function: write {function}()"
    return f"a text takes single quotes: '{name}'"


def _call(node: Call, place: Place, label: str) -> tuple[str, ExpressionError] | None:
    given = {name.lower(): (name, arity) for name, arity in place.functions.items()}
    known = _BUILT_INS.get(node.name.lower()) or given.get(node.name.lower())
    if known is not None:
        wrong = wrong_arity(node, known[1])
        return ("wrong_arguments", wrong) if wrong else None
    if node.name.lower() in {name.lower() for name in ALL_FUNCTIONS}:
        message = f"'{node.name}' can't be called in {label}"
        hint = "it belongs in an 'if'" if node.name.lower() != "hashfiles" else "it works in the keys of a step"
        return "function_not_available", ExpressionError("parsing", message, node.offset, hint=hint)
    names = [name for name, _ in (*_BUILT_INS.values(), *given.values())]
    return "unknown_function", unknown_function(node, names)


def problem_at(code: str, error: ExpressionError, scalar: ScalarNode, *, file: str, source: SourceText) -> Problem:
    """An expression's error at its own character in the file."""
    line, column = source.place(scalar, error.offset or 0)
    return Problem(code=code, message=error.message, at=Position(file, line, column), hint=error.hint)
