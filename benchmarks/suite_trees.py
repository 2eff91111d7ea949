"""What git's part costs: the snapshot of a working tree, and filling a workspace from it, beside git's own commands."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clock import side_by_side
from benchmarks.desk import Desk
from benchmarks.report import Row, slower
from sparki_daemon.source.repository import find
from sparki_daemon.source.snapshot import Snapshot, take
from sparki_daemon.source.workspace import fill


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    for count in (200, 20_000):
        root = desk.repository(f"tree{count}", {f"src/d{n // 100}/f{n}.py": f"value = {n}\n" * 20 for n in range(count)})
        cases = {"status": desk.tool(root, "git", "status", "--porcelain"), "snapshot": lambda root=root: _snapshot(desk, root)}
        found = side_by_side(cases, rounds * 2)
        yield slower(
            f"snapshot of {count} files, nothing changed", found["snapshot"], "`git status`", found["status"], 3 if count > 1000 else None
        )
        yield _filling(desk, root, count, rounds)


def _snapshot(desk: Desk, root: Path) -> Snapshot:
    return take(find(str(root)), str(desk.folder / "objects"))


def _filling(desk: Desk, root: Path, count: int, rounds: int) -> Row:
    taken = _snapshot(desk, root)
    numbers = itertools.count()

    def place() -> Path:
        return desk.folder / f"filled{next(numbers)}"

    def between() -> None:
        for old in desk.folder.glob("filled*"):
            shutil.rmtree(old)
        desk.settled()

    cases = {
        "checkout-index": lambda: subprocess.run(["git", "checkout-index", "-a", f"--prefix={place()}/"], cwd=root, check=True),
        "fill": lambda: fill(taken, str(place())),
    }
    found = side_by_side(cases, rounds, between=between)
    return slower(f"filling a workspace of {count} files", found["fill"], "`git checkout-index`", found["checkout-index"], 1.5)
