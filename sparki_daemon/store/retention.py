"""Finds and drops the rows of what is no longer kept: ended runs that are old, and the events before all that is kept.

Never an active run, nor the newest of a pipeline (its number goes on), nor one that a kept release came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.store.protocol import Tx

DROPPABLE = """
    state NOT IN ('queued', 'running') AND finished IS NOT NULL
    AND EXISTS (SELECT 1 FROM runs later WHERE later.project = runs.project AND later.file = runs.file AND later.number > runs.number)
    AND NOT EXISTS (SELECT 1 FROM releases WHERE releases.run = runs.id AND releases.pruned = 0)
"""
OLD = f"SELECT id FROM runs WHERE project = :project AND finished < :before AND {DROPPABLE} ORDER BY seq LIMIT :limit"  # noqa: S608
DROP_ONE = f"DELETE FROM runs WHERE id = :id AND finished < :before AND {DROPPABLE}"  # noqa: S608
POLICIES = """
    SELECT project, options FROM runs
    WHERE NOT EXISTS (SELECT 1 FROM runs later WHERE later.project = runs.project AND later.seq > runs.seq)
"""
ENDED = "SELECT id, project, finished FROM runs WHERE state NOT IN ('queued', 'running') AND finished IS NOT NULL ORDER BY seq"
PINNED = "SELECT run FROM releases WHERE pruned = 0 AND run <> ''"
EXISTING = "SELECT id FROM runs UNION ALL SELECT id FROM deployments WHERE finished IS NULL OR finished >= :before"
SPECS = "SELECT run, spec FROM run_documents WHERE run > :after ORDER BY run LIMIT :limit"
EVENTS = "SELECT seq, time FROM events ORDER BY seq LIMIT :limit"
FIRST_ACTIVE = "SELECT min(seq) AS seq FROM runs WHERE state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended; `finished` as `stamp` writes it."""

    id: str
    project: str
    finished: str


async def policies(tx: Tx) -> dict[str, Mapping[str, Any]]:
    """What each project's newest run says of keeping, as its settings file had it; a project that says nothing has {}."""
    return {row["project"]: json.loads(row["options"]).get("retention") or {} for row in await tx.all(POLICIES)}


async def old(tx: Tx, project: str, before: str, *, limit: int) -> list[str]:
    """Up to `limit` runs of a project that ended before a moment and may go, the oldest first."""
    return [row["id"] for row in await tx.all(OLD, project=project, before=before, limit=limit)]


async def drop(tx: Tx, run: str, before: str) -> bool:
    """Drop a run with its jobs and steps, if it is still one that may go: it may have been started again."""
    return await tx.execute(DROP_ONE, id=run, before=before) == 1


async def ended(tx: Tx) -> list[Ended]:
    """All runs that have ended and whose files may go, the oldest first; not those that kept releases came from."""
    pinned = {row["run"] for row in await tx.all(PINNED)}
    return [Ended(row["id"], row["project"], row["finished"]) for row in await tx.all(ENDED) if row["id"] not in pinned]


async def existing(tx: Tx, before: str) -> set[str]:
    """The ids of all whose files stay: every run, and the deployments that have not ended before a moment; their rows stay for ever."""
    return {row["id"] for row in await tx.all(EXISTING, before=before)}


async def specs(tx: Tx, after: str, *, limit: int) -> list[tuple[str, str]]:
    """A page of runs with the text of their specs, by id."""
    return [(row["run"], row["spec"]) for row in await tx.all(SPECS, after=after, limit=limit)]


async def events_end(tx: Tx, before: str, *, limit: int) -> int:
    """The seq before which events may go: older than a moment, of no active run; at most `limit` of them at a time."""
    rows = await tx.all(EVENTS, limit=limit)
    end = next((row["seq"] for row in rows if row["time"] >= before), rows[-1]["seq"] + 1 if rows else 0)
    active = await tx.one(FIRST_ACTIVE)
    return min(end, active["seq"]) if active and active["seq"] is not None else end
