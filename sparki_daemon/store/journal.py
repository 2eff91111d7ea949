"""Reads the journal: what happened since a seq, for whoever dropped off."""

from __future__ import annotations

import json

from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.protocol import Tx

HEAD = "SELECT seq FROM journal_head WHERE id = 1"
FIRST = "SELECT min(seq) AS seq FROM events"
SINCE = "SELECT seq, time, stream, kind, data FROM events WHERE seq > :seq ORDER BY seq LIMIT :limit"
SINCE_IN_STREAM = """
    SELECT seq, time, stream, kind, data FROM events WHERE stream = :stream AND seq > :seq ORDER BY seq LIMIT :limit
"""
DROP = "DELETE FROM events WHERE seq < :before"


class EventsPruned(SparkiError):  # noqa: N818  # reads as what happened
    """`events_pruned`: what was asked for is no longer kept. `first` is the first seq that is; the next ask may begin before it."""

    def __init__(self, asked: int, first: int) -> None:
        message = f"events after {asked} were asked for, and those before {first} are no longer kept"
        super().__init__(
            Problem(code="events_pruned", message=message, hint=f"ask for events since {first - 1}"), exit_code=ExitCode.NOT_FOUND
        )
        self.first = first


async def head(tx: Tx) -> int:
    """The seq of the last event, 0 in an empty journal."""
    row = await tx.one(HEAD)
    return row["seq"] if row else 0


async def first_kept(tx: Tx) -> int:
    """The seq of the first event that is kept; the next one to come where none is."""
    row = await tx.one(FIRST)
    return row["seq"] if row and row["seq"] is not None else await head(tx) + 1


async def since(tx: Tx, seq: int, *, stream: str | None = None, limit: int = 256) -> list[Event]:
    """Up to `limit` events after `seq`, in order; of one stream only where `stream` is given. Raises EventsPruned."""
    first = await first_kept(tx)
    if seq < first - 1:
        raise EventsPruned(seq, first)
    if stream is None:
        rows = await tx.all(SINCE, seq=seq, limit=limit)
    else:
        rows = await tx.all(SINCE_IN_STREAM, stream=stream, seq=seq, limit=limit)
    return [Event(row["seq"], row["time"], row["stream"], row["kind"], json.loads(row["data"])) for row in rows]


async def drop_before(tx: Tx, seq: int) -> int:
    """Drop the events before `seq`; how many. The last one always stays: the state file is checked by it."""
    return await tx.execute(DROP, before=min(seq, await head(tx)))
