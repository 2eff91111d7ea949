"""What a long history costs whoever asks: 100,000 runs beside 100, each copied from one that really ran."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from benchmarks import workflows
from benchmarks.clock import Action, side_by_side
from benchmarks.desk import Desk
from benchmarks.report import Row, slower

FEW, MANY = 100, 100_000
ASKED = (("runs",), ("show", "latest"), ("runs", "--flaky"), ("runs", "--slow"))
NUMBERS = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)"
# Before the run that is there: seqs and numbers below 1, which no run of the daemon's ever has.
COPIES = {
    "runs": {"id": "'r-h' || n", "seq": "-n", "number": "-n"},
    "run_documents": {"run": "'r-h' || n"},
    "jobs": {"uid": "'j-h' || n || '-' || position", "run": "'r-h' || n"},
    "steps": {"job": "'j-h' || n || '-0'"},
}


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    actions: dict[str, Action] = {}
    with Desk() as other:
        for count, place in ((FEW, desk), (MANY, other)):
            root = place.repository("history", workflows.one())
            place.sparki(root, "run")()
            place.sparki(root, "daemon", "stop")()
            fill(place.home / "state.db", count - 1)
            for words in ASKED:
                actions[f"{count} {' '.join(words)}"] = place.sparki(root, *words)
                actions[f"{count} {' '.join(words)}"]()
        found = side_by_side(actions, rounds * 3)
        for words in ASKED:
            what = " ".join(words)
            yield slower(f"`sparki {what}`, {MANY:,} runs", found[f"{MANY} {what}"], f"{FEW} runs", found[f"{FEW} {what}"], 1.1)


def fill(state: Path, count: int) -> None:
    """Copy the newest run of a stopped daemon's state file, with its job and step, `count` times into the past."""
    connection = sqlite3.connect(state)
    newest = connection.execute("SELECT id FROM runs ORDER BY seq DESC LIMIT 1").fetchone()[0]
    of_newest = {
        "runs": "id = :run",
        "run_documents": "run = :run",
        "jobs": "run = :run",
        "steps": "job LIKE 'j-' || substr(:run, 3) || '-%'",
    }
    with connection:
        for table, changed in COPIES.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(column, f"{table}.{column}") for column in columns)
            sql = f"{NUMBERS} INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, n WHERE {of_newest[table]}"
            connection.execute(sql, {"count": count, "run": newest})
    connection.close()
