"""Places for deployments, fronts, keepers and services, gone after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from loco_services import Hand, Scripted, front, until
from place import Stand
from twin import Platform
from yard import Yard

from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.store.sqlite import SqliteStore


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    yield Yard(store, Platform(), tmp_path)
    await store.close()


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    with front(tmp_path) as found:
        yield found


@pytest.fixture
def service():
    made: list[Scripted] = []

    def make(handle) -> Scripted:
        made.append(Scripted(handle))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Stand]:
    found = Stand(tmp_path)
    yield found
    found.keeper.close()
    found.keeper = Keeper(found.folder, deployment="end", epoch=10**9)
    found.keeper.down(grace_s=2)
    until(lambda: not found.pids(), "nothing is left")
