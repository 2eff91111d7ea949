"""Every implementation of the seams, by name: a new one joins the contract suites with a line and a fixture here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.queue.protocol import Queue
from sparki_daemon.store import jobs, runs
from sparki_daemon.store.memory import MemoryStore
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.sqlite import SqliteStore


def tell_loop(_: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "a commit listener failed"})


STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore.open(str(folder / "state.db")),
    "memory": lambda _: MemoryStore(tell_loop),
}
QUEUES: dict[str, Callable[[], Queue]] = {"embedded": EmbeddedQueue}

RunMaker = Callable[..., Awaitable[runs.RunRow]]


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(params=sorted(QUEUES))
def queue(request: pytest.FixtureRequest) -> Queue:
    return QUEUES[request.param]()


@pytest.fixture
def a_run(store: Store) -> RunMaker:
    """Makes a run with a job for each key; the jobs' uids are `j-<run without r->-<key>`."""

    async def make(run: str = "r-1", *keys: str, project: str = "p-1", file: str = "ci.yml") -> runs.RunRow:
        async def work(tx: Tx) -> runs.RunRow:
            row = await runs.create(
                tx, run, project=project, pipeline="CI", file=file, source={"tree": "t"}, plan='{"name": "CI"}', spec={"run": run}
            )
            await jobs.create_many(tx, run, [jobs.NewJob(f"j-{run[2:]}-{key}", key, key.split("-")[0], key.title()) for key in keys])
            return row

        return await store.write(work)

    return make
