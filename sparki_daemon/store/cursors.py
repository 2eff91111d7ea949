"""How far into each runner's spool the journal has taken its records: what makes every record count exactly once."""

from __future__ import annotations

from sparki_daemon.store.protocol import Tx

GET = "SELECT spool_offset FROM cursors WHERE runner = :runner"
ALL = "SELECT runner, spool_offset FROM cursors"
SET = """
    INSERT INTO cursors (runner, spool_offset) VALUES (:runner, :offset)
    ON CONFLICT (runner) DO UPDATE SET spool_offset = excluded.spool_offset WHERE cursors.spool_offset < excluded.spool_offset
"""
DELETE = "DELETE FROM cursors WHERE runner = :runner"


async def get(tx: Tx, runner: str) -> int:
    """Bytes of the runner's spool that were taken; 0 for one never heard of."""
    row = await tx.one(GET, runner=runner)
    return row["spool_offset"] if row else 0


async def advance(tx: Tx, runner: str, offset: int) -> bool:
    """Move the cursor to `offset`, in the transaction of the records before it. False: it is there already, or further."""
    return await tx.execute(SET, runner=runner, offset=offset) == 1


async def delete(tx: Tx, runner: str) -> None:
    """Forget a runner whose spool is gone."""
    await tx.execute(DELETE, runner=runner)


async def all_of_them(tx: Tx) -> dict[str, int]:
    return {row["runner"]: row["spool_offset"] for row in await tx.all(ALL)}
