"""What every adapter must stand: each fault at each step, after which one release serves, started once, and the target is free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from faulty import DEATHS, FAILURES, Fault, Faulty, bring, end_of
from stands import ProcessStand, Stand, stands
from twin import Platform
from yard import Yard

from sparki_daemon.loco.adapters import load, names
from sparki_daemon.loco.protocol import Place
from sparki_daemon.model.deployment import STEPS
from sparki_daemon.store import deployments
from sparki_daemon.store.memory import MemoryStore
from sparki_daemon.store.sqlite import SqliteStore

STANDS = stands()
QUICK = [name for name in STANDS if name != "process"]
ADAPTERS = [*QUICK, pytest.param("process", marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
NAMES = [rule.name for rule in STEPS]
UNDONE = [rule.name for rule in STEPS if rule.undone]
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]


class Ground:
    """One environment of one adapter, with a release that serves."""

    def __init__(self, yard: Yard, stand: Stand) -> None:
        self.yard, self.stand = yard, stand

    async def meet(self, fault: Fault, where: str, *, end: str, fails: str = "") -> None:
        """A deployment that meets the fault, and what must be true after it."""
        before = await self.yard.live()
        deployment = await bring(self.yard, Faulty(self.stand, fault, where, fails))
        row = await self.yard.store.read(lambda tx: deployments.get(tx, deployment))
        assert row is not None
        assert (fault, where, row.state, row.reason) == (fault, where, end, row.reason)
        live = await self.yard.live()
        assert live == (row.release if end == "live" else before)
        await self.check(live)
        assert self.stand.started().count(row.release) <= 1
        assert await self.yard.store.read(lambda tx: deployments.target_holder(tx, row.target)) is None

    async def check(self, live: str) -> None:
        """One release serves, and nobody has seen it otherwise."""
        place = Place(project="p-1", environment="staging", folder=str(self.yard.folder), settings=self.stand.settings)
        observed = await self.stand.adapter.observe(place)
        assert (observed.release, observed.healthy) == (live, True)
        assert await asyncio.to_thread(self.stand.running) == {live}
        assert await asyncio.to_thread(self.stand.serves) == live
        assert self.stand.started().count(live) == 1
        assert self.stand.unanswered() == []
        if isinstance(self.stand, ProcessStand):
            self.stand.asking.begin()


@asynccontextmanager
async def ground(name: str, tmp_path: Path) -> AsyncIterator[Ground]:
    store = SqliteStore.open(str(tmp_path / "state.db")) if name == "process" else MemoryStore(pytest.fail)
    folder = tmp_path / "environment"
    folder.mkdir()
    stand = STANDS[name](folder)
    made = Ground(Yard(store, Platform(), folder, stand.settings, stand.artifact), stand)
    try:
        await made.meet(Fault.NONE, "", end="live")
        yield made
    finally:
        await asyncio.to_thread(stand.close)
        await store.close()


def test_every_adapter_that_can_be_loaded_is_held_to_the_contract() -> None:
    assert set(names()) <= set(STANDS)
    assert "twin" in names()
    assert load("twin").name == "twin"  # brought by another package


@pytest.mark.parametrize("step", NAMES)
@pytest.mark.parametrize("name", ADAPTERS)
async def test_a_fault_at_a_step_leaves_one_release_serving(tmp_path: Path, name: str, step: str) -> None:
    async with ground(name, tmp_path) as place:
        for fault in FAULTS:
            await place.meet(fault, step, end=end_of(fault, step))


@pytest.mark.parametrize("step", UNDONE)
@pytest.mark.parametrize("name", ADAPTERS)
async def test_a_fault_on_the_way_back_leaves_the_old_release_serving(tmp_path: Path, name: str, step: str) -> None:
    async with ground(name, tmp_path) as place:
        for fault in [*DEATHS, Fault.LOSES]:
            await place.meet(fault, f"undo:{step}", fails="watch", end="reverted")


async def test_the_process_adapter_stands_the_faults_that_cost_most(tmp_path: Path) -> None:
    async with ground("process", tmp_path) as place:
        await place.meet(Fault.DIES_AFTER_EFFECT, "start", end="live")
        await place.meet(Fault.LOSES_AND_DIES, "switch", end="live")
        await place.meet(Fault.BREAKS, "switch", end="reverted")


@pytest.mark.parametrize("fault", FAILURES)
@pytest.mark.parametrize("name", QUICK)
async def test_an_undoing_that_can_not_be_done_is_left_to_a_person_and_keeps_the_target(tmp_path: Path, name: str, fault: Fault) -> None:
    async with ground(name, tmp_path) as place:
        deployment = await bring(place.yard, Faulty(place.stand, fault, "undo:start", "watch"))
        assert await place.yard.state(deployment) == "unknown"
        assert await place.yard.store.read(lambda tx: deployments.target_holder(tx, "p-1/staging")) == deployment
