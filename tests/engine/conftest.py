"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest
from scheduler_bench import Bench, parts

from sparki_daemon.store.sqlite import SqliteStore


@pytest.fixture
async def bench(tmp_path):
    store = SqliteStore.open(str(tmp_path / "state.db"))
    yield Bench(store, *parts(store, tmp_path))
    await store.close()
