"""A process that writes to a state file until it is killed, and tells on standard output what was acknowledged.

Arguments: the state file, a name that no other process has, how many writes at most (0: no end).
A line of output: uid, status, epoch of a job's move that `write` has acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys

from sparki_daemon.model.job import JobEvent
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import jobs, runs
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.sqlite import SqliteStore

MOVES = (JobEvent.ASSIGNED, JobEvent.RETURNED, JobEvent.ASSIGNED, JobEvent.STARTED, JobEvent.PASSED)


async def write_on(store: SqliteStore, name: str, limit: int) -> None:
    number = 0
    while not limit or number < limit:
        number += 1
        run = f"r-{name}-{number}"
        uid = f"j-{name}-{number}"

        async def create(tx: Tx, run: str = run, uid: str = uid) -> None:
            await runs.create(tx, run, project="p-1", pipeline="CI", file=run, source={}, plan="{}", spec={})
            await jobs.create_many(tx, run, [jobs.NewJob(uid, "a", "a", "A")])
            await runs.move(tx, run, RunEvent.STARTED)

        await store.write(create)
        for event in MOVES:
            row = await store.write(lambda tx, event=event, uid=uid: jobs.move(tx, uid, event))
            os.write(1, f"{uid} {row.state.public} {row.epoch}\n".encode())
        await store.write(lambda tx, run=run: runs.move(tx, run, RunEvent.PASSED))


async def main(path: str, name: str, limit: int) -> None:
    store = SqliteStore.open(path)
    os.write(1, b"ready\n")
    await asyncio.gather(*(write_on(store, f"{name}.{writer}", limit) for writer in range(3)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
