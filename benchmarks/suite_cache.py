"""What work costs that was done before: 200 cached jobs, one changed, all outputs brought back; beside turbo, ninja and task."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import turbo
from benchmarks.clock import Action, Figure, side_by_side
from benchmarks.desk import Desk
from benchmarks.packages import folder_of, name_of, packages
from benchmarks.report import Row, slower

COUNT = 200
BUDGET = Figure((150.0,))  # instead of turbo's time, where it is not to be had


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    root = desk.repository("packages", packages(COUNT))
    program = turbo.installed(desk.folder / "turbo")
    restoring: dict[str, Action] = {"sparki": desk.sparki(root, "run", "--outputs")}
    if program:
        restoring["turbo"] = turbo.run(program, root, "build")
    knowing = {**restoring, "ninja": desk.tool(root, "ninja"), "task": desk.tool(root, "task", "-C", "2")}
    yield from _told(f"{COUNT} cached jobs", side_by_side(knowing, rounds, between=desk.settled), 1.0)
    yield from _told(f"{COUNT} cached jobs, the input of one changed", side_by_side(_changing(root, knowing), rounds), 0.6)
    # ninja and task know what was built, and keep nothing of it.
    yield from _told(f"{COUNT} cached jobs, all outputs deleted", side_by_side(restoring, rounds, between=lambda: _deleted(root)), 1.0)


def _changing(root: Path, cases: dict[str, Action]) -> dict[str, Action]:
    """Each case behind a change that nobody has seen: writing a line takes microseconds."""
    numbers = itertools.count()

    def behind(action: Action) -> Action:
        def act() -> object:
            (root / folder_of(name_of(7)) / "src/in").write_text(f"changed {next(numbers)}\n")
            return action()

        return act

    return {name: behind(action) for name, action in cases.items()}


def _deleted(root: Path) -> None:
    for number in range(COUNT):
        shutil.rmtree(root / folder_of(name_of(number)) / "dist", ignore_errors=True)


def _told(what: str, found: dict[str, Figure], goal: float) -> Iterator[Row]:
    ours = found.pop("sparki")
    if "turbo" in found:
        yield slower(what, ours, f"turbo {turbo.VERSION}", found.pop("turbo"), goal)
    else:
        yield slower(what, ours, "turbo is not to be had", BUDGET, goal)
    for name, other in found.items():
        yield slower(what, ours, name, other)
