"""What it takes to ask: one command after the other, on a warm daemon."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import workflows
from benchmarks.clock import side_by_side
from benchmarks.desk import Desk
from benchmarks.report import Row, slower


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    root = desk.repository("one", workflows.one())
    desk.sparki(root, "run")()
    cases = {
        "python": desk.tool(root, "python3", "-c", "pass"),
        "version": desk.sparki(root, "--version"),
        "runs": desk.sparki(root, "runs"),
        "show": desk.sparki(root, "show", "latest"),
        "logs": desk.sparki(root, "logs", "latest"),
        "completion": desk.sparki(root, "completion", "words", "--", "logs", "latest", ""),
        "run": desk.sparki(root, "run"),
        "ci": desk.sparki(root, "ci"),
        "act": desk.act(root),
    }
    found = side_by_side(cases, rounds * 3)
    yield slower("`sparki --version`", found["version"], "`python3 -c pass`", found["python"], 3)
    for name in ("runs", "show", "logs"):
        yield slower(f"`sparki {name}`", found[name], "`python3 -c pass`", found["python"], 4)
    yield slower("completion of a run's jobs, at a key press", found["completion"], "`python3 -c pass`", found["python"], 6)
    yield slower("`sparki run`, one job of one step", found["run"], "act", found["act"], 1)
    yield slower("`sparki ci`, one job of one step", found["ci"], "act", found["act"], 2)
