"""Finds the names in an expression that do not exist where it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sparki_daemon.pipeline.expression.error import PARSING, ExpressionError
from sparki_daemon.pipeline.expression.syntax import Call, Context, Node, children

Arity = tuple[int, int]
"""The least and the most arguments."""

MOST_ARGUMENTS = 255
BUILT_IN_ARITIES: Mapping[str, Arity] = {
    "case": (3, MOST_ARGUMENTS),
    "contains": (2, 2),
    "endsWith": (2, 2),
    "format": (1, MOST_ARGUMENTS),
    "fromJSON": (1, 1),
    "join": (1, 2),
    "startsWith": (2, 2),
    "toJSON": (1, 1),
}
STATUS_ARITIES: Mapping[str, Arity] = {
    "always": (0, 0),
    "cancelled": (0, 0),
    "failure": (0, MOST_ARGUMENTS),
    "success": (0, MOST_ARGUMENTS),
}
"""The functions of an `if`; those of a step take no arguments, those of a job may name jobs."""
HASH_FILES_ARITY: Mapping[str, Arity] = {"hashFiles": (1, MOST_ARGUMENTS)}


def check(node: Node, contexts: Collection[str], functions: Mapping[str, Arity]) -> Iterator[ExpressionError]:
    """Every unknown context, unknown function and wrong number of arguments, as the text meets them (a number at its `)`).

    `contexts` are the names that exist here, `functions` those besides the built-in ones; neither minds case.
    """
    known_contexts = {name.lower() for name in contexts}
    known_functions = {name.lower(): (name, arity) for name, arity in (*BUILT_IN_ARITIES.items(), *functions.items())}

    def problems(part: Node) -> Iterator[ExpressionError]:
        known = known_functions.get(part.name.lower()) if isinstance(part, Call) else None
        if isinstance(part, Context) and part.name.lower() not in known_contexts:
            yield unknown_context(part, contexts)
        if isinstance(part, Call) and known is None:
            yield unknown_function(part, [name for name, _ in known_functions.values()])
        for child in children(part):
            yield from problems(child)
        if isinstance(part, Call) and known and (wrong := wrong_arity(part, known[1])):
            yield wrong

    return problems(node)


def unknown_context(node: Context, known: Iterable[str]) -> ExpressionError:
    return ExpressionError(PARSING, f"there is no context '{node.name}' here", node.offset, hint=_did_you_mean(node.name, known))


def unknown_function(node: Call, known: Iterable[str]) -> ExpressionError:
    return ExpressionError(PARSING, f"there is no function '{node.name}' here", node.offset, hint=_did_you_mean(node.name, known))


def wrong_arity(node: Call, arity: Arity) -> ExpressionError | None:
    """What is wrong with the number of arguments, or None. `case` takes pairs, then one for the rest."""
    least, most = arity
    count = len(node.args)
    if least <= count <= most and (count % 2 or node.name.lower() != "case"):
        return None
    if least <= count <= most:
        wanted = "an odd number: conditions each with a value, then a last value"
    elif least == most:
        wanted = f"{least}" if least else "none"
    else:
        wanted = f"at least {least}" if count < least else f"at most {most}"
    return ExpressionError(PARSING, f"'{node.name}' has {count} argument{'' if count == 1 else 's'}, and takes {wanted}", node.offset)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415  only errors pay for it

    by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean '{by_lower[near[0]]}'?" if near else ""
