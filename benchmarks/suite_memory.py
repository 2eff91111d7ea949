"""What a daemon keeps while nothing is asked of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import workflows
from benchmarks.desk import Desk, idle_mib, peaks_mib
from benchmarks.report import Row, megabytes


def rows(desk: Desk, rounds: int) -> Iterator[Row]:  # noqa: ARG001  # memory does not waver: once is enough
    root = desk.repository("idle", workflows.independent(200))
    desk.sparki(root, "run")()
    time.sleep(1)
    pids = desk.pids(root)
    yield megabytes("idle daemon after 200 jobs, PSS of all its processes", idle_mib(pids), 80)
    for _ in range(10):
        desk.sparki(root, "run")()
    yield megabytes("the same after 2,200 jobs", idle_mib(desk.pids(root)), 80)
    for name, peak in peaks_mib(desk.pids(root)).items():
        yield megabytes(f"peak of the {name}", peak, 80)
