"""What a job costs, a step, and a link of a chain: 200 of each, beside act, task, ninja and a bare loop."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import workflows
from benchmarks.clock import Action, Figure, side_by_side
from benchmarks.desk import Desk
from benchmarks.report import Row, faster, slower

COUNT = 200


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    root = desk.repository("independent", workflows.independent(COUNT))
    others = {"ninja": _ninja(desk, root, 2), "task": desk.tool(root, "task", "-C", "2")}
    yield from _told(f"{COUNT} independent jobs", _measured(desk, root, rounds, others), 15)
    root = desk.repository("silent", workflows.independent(COUNT, "true"))
    yield from _told(f"{COUNT} independent jobs that print nothing", _against_act(desk, root, rounds), 15)
    root = desk.repository("steps", workflows.stepped(COUNT))
    yield from _told(f"{COUNT} steps of one job", _measured(desk, root, rounds, {"task": desk.tool(root, "task")}), 5)
    root = desk.repository("chain", workflows.chained(COUNT))
    others = {"ninja": _ninja(desk, root, 1), "task": desk.tool(root, "task")}
    yield from _told(f"{COUNT} chained jobs", _measured(desk, root, rounds, others), 20)
    root = desk.repository("silent-chain", workflows.chained(COUNT, "true"))
    yield from _told(f"{COUNT} chained jobs that print nothing", _against_act(desk, root, rounds), 20)


def _ninja(desk: Desk, root: object, at_once: int) -> Action:
    return desk.tool(root, "ninja", "-v", f"-j{at_once}", *(f"n{number}" for number in range(COUNT)))  # type: ignore[arg-type]


def _against_act(desk: Desk, root: object, rounds: int) -> dict[str, Figure]:
    cases = {"sparki": desk.sparki(root, "run"), "act": desk.act(root)}  # type: ignore[arg-type]
    return side_by_side(cases, rounds, between=desk.settled)


def _measured(desk: Desk, root: object, rounds: int, others: dict[str, Action]) -> dict[str, Figure]:
    cases = {
        "sparki": desk.sparki(root, "run"),  # type: ignore[arg-type]
        "act": desk.act(root),  # type: ignore[arg-type]
        **others,
        "bare `sh` loop": desk.tool(root, *workflows.shell_loop(COUNT)),  # type: ignore[arg-type]
    }
    return side_by_side(cases, rounds, between=desk.settled)


def _told(what: str, found: dict[str, Figure], goal: float) -> Iterator[Row]:
    ours = found.pop("sparki")
    yield faster(f"{what}: times faster", ours, "act", found.pop("act"), goal)
    for name, other in found.items():
        yield slower(what, ours, name, other)
