"""Queues in the state file itself: for one machine, no broker needed."""

from __future__ import annotations

from sparki_daemon.store.protocol import Tx

# Positions only grow while a queue has items, so what comes last is taken last.
PUT = """
    INSERT INTO queue_items (queue, position, id)
    VALUES (:queue, (SELECT coalesce(max(position), 0) + 1 FROM queue_items WHERE queue = :queue), :id)
    ON CONFLICT (queue, id) DO NOTHING
"""
OLDEST = "SELECT id FROM queue_items WHERE queue = :queue ORDER BY position LIMIT :limit"
DROP = "DELETE FROM queue_items WHERE queue = :queue AND id = :id"
WAITING = "SELECT id FROM queue_items WHERE queue = :queue ORDER BY position"
DEPTH = "SELECT count(*) AS waiting FROM (SELECT 1 FROM queue_items WHERE queue = :queue LIMIT :most) AS first"


class EmbeddedQueue:
    """Fills `Queue`. Ids come and go in the store's own transactions, so here delivery is exactly once."""

    async def put(self, tx: Tx, queue: str, ids: list[str]) -> None:
        if ids:
            await tx.many(PUT, [{"queue": queue, "id": one} for one in ids])

    async def take(self, tx: Tx, queue: str, limit: int, *, skip: frozenset[str] = frozenset()) -> list[str]:
        rows = await tx.all(OLDEST, queue=queue, limit=limit + len(skip))
        taken = [row["id"] for row in rows if row["id"] not in skip][:limit]
        await self.drop(tx, queue, taken)
        return taken

    async def drop(self, tx: Tx, queue: str, ids: list[str]) -> None:
        if ids:
            await tx.many(DROP, [{"queue": queue, "id": one} for one in ids])

    async def waiting(self, tx: Tx, queue: str) -> list[str]:
        return [row["id"] for row in await tx.all(WAITING, queue=queue)]

    async def depth(self, tx: Tx, queue: str, *, most: int = 2**31) -> int:
        row = await tx.one(DEPTH, queue=queue, most=most)
        return row["waiting"] if row else 0
