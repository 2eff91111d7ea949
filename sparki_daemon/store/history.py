"""Reads how jobs ended lately: bounded looks back, by indexes that are there, so that a long history costs nothing."""

from __future__ import annotations

import json
from typing import Any

from sparki_daemon.model.history import Ended, RunEnd
from sparki_daemon.store.protocol import Row, Tx
from sparki_daemon.store.runs import RunRow

LOOK_BACK = 200  # runs
JOBS_BACK = 50  # runs whose jobs `show` looks at: it is asked often
RUN_COLUMNS = "runs.id, runs.seq, runs.project, runs.file, runs.pipeline, runs.state, runs.source"
# A job that was lost with its runner says nothing of its source; the step that it was at has no duration.
JOBS = """
    SELECT past.id AS run, past.file, past.pipeline, past.source, jobs.key, jobs.name, jobs.state, jobs.tolerated, jobs.cached,
        jobs.started, jobs.finished,
        CASE WHEN jobs.attempt = 1 THEN 0 ELSE EXISTS (
            SELECT 1 FROM steps WHERE steps.job = jobs.uid AND steps.attempt < jobs.attempt AND steps.conclusion = 'failure'
                AND steps.duration_ms IS NOT NULL
        ) END AS failed_before
    FROM ({past}) AS past JOIN jobs ON jobs.run = past.id
    WHERE jobs.state IN ('success', 'failure')
    ORDER BY past.seq DESC, jobs.position
"""
OF_PROJECT = f"SELECT {RUN_COLUMNS} FROM runs WHERE runs.project = :project ORDER BY runs.seq DESC LIMIT :limit"  # noqa: S608  # our own words
OF_ALL = f"SELECT {RUN_COLUMNS} FROM runs ORDER BY runs.seq DESC LIMIT :limit"  # noqa: S608
OF_FILE = f"""
    SELECT {RUN_COLUMNS} FROM runs WHERE runs.project = :project AND runs.file = :file AND runs.number <= :number
    ORDER BY runs.number DESC LIMIT :limit
"""  # noqa: S608


async def of_project(tx: Tx, project: str | None) -> list[Ended]:
    """The ended jobs of the last runs of a project, or of all; newest first."""
    if project is None:
        rows = await tx.all(JOBS.format(past=OF_ALL), limit=LOOK_BACK)
    else:
        rows = await tx.all(JOBS.format(past=OF_PROJECT), project=project, limit=LOOK_BACK)
    return [_ended(row) for row in rows]


async def up_to(tx: Tx, run: RunRow) -> tuple[list[RunEnd], list[Ended], bool]:
    """The run and those of the same pipeline before it, newest first; their ended jobs; and whether there are older runs."""
    place: dict[str, Any] = {"project": run.project, "file": run.file, "number": run.number, "limit": LOOK_BACK + 1}
    ends = [RunEnd(row["id"], row["state"], _of_source(row, "commit")) for row in await tx.all(OF_FILE, **place)]
    ended = [_ended(row) for row in await tx.all(JOBS.format(past=OF_FILE), **{**place, "limit": JOBS_BACK})]
    return ends[:LOOK_BACK], ended, len(ends) > LOOK_BACK


def _ended(row: Row) -> Ended:
    return Ended(
        run=row["run"],
        file=row["file"],
        pipeline=row["pipeline"],
        tree=_of_source(row, "tree"),
        key=row["key"],
        name=row["name"],
        good=row["state"] == "success",
        cached=bool(row["cached"]),
        started=row["started"] or "",
        finished=row["finished"] or "",
        failed_before=bool(row["failed_before"]),
    )


def _of_source(row: Row, name: str) -> str:
    return str(json.loads(row["source"]).get(name) or "")
