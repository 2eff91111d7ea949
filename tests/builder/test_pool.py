"""The pool of runners: every record once, whoever dies or hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from runner_twin import LedgerTwin, RunnerTwin, SupervisorTwin

from sparki_daemon.builder.pool import Pool
from sparki_daemon.builder.ports import Stop, Turn
from sparki_daemon.model.wire import Frame

ONE, TWO, THREE = ({"kind": "job.started", "job": "j-1-0", "epoch": 1, "t": moment} for moment in (1, 2, 3))


@dataclass
class Shop:
    home: Path
    pool: Pool
    ledger: LedgerTwin
    supervisor: SupervisorTwin
    twins: list[RunnerTwin] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def runner(self, name: str = "w1", **state: Any) -> RunnerTwin:
        twin = RunnerTwin(self.home, name)
        for key, value in state.items():
            setattr(twin, key, value)
        self.twins.append(twin)
        return await twin.start()

    async def open(self, believed: set[str] | None = None) -> None:
        await self.pool.recover(believed or set())
        self.pool.supervisor = self.supervisor  # type: ignore[assignment]
        self.tasks.append(asyncio.create_task(self.pool.run()))

    async def until(self, what: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not what():
                await asyncio.sleep(0.003)

    async def settled(self, name: str = "w1") -> None:
        """The runner is met, all of its past is taken, and it has heard from where it is asked: it answers with what it then has."""
        await self.until(lambda: name in self.pool.links and self.pool.links[name].ready)
        await self.until(lambda: all(twin.asked for twin in self.twins if twin.name == name))


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    ledger = LedgerTwin()
    made = Shop(tmp_path, Pool(str(tmp_path), ledger, 1), ledger, SupervisorTwin())
    yield made
    for task in made.tasks:
        task.cancel()
    made.pool.close()
    for twin in made.twins:
        twin.die()
    await asyncio.sleep(0.01)


async def test_a_spool_is_taken_from_the_cursor_on(shop):
    twin = await shop.runner()
    begin = shop.ledger.taken["w1"] = twin.write(ONE)
    twin.write(TWO, THREE)
    await shop.open()
    await shop.until(lambda: shop.ledger.taken["w1"] == twin.spool.read_bytes())

    assert twin.asked == [len(begin)]


async def test_records_that_come_twice_are_taken_once(shop):
    twin = await shop.runner()
    await shop.open()
    await shop.settled()
    first, second = twin.write(ONE), twin.write(TWO)
    twin.send(0, first)
    twin.send(0, first)
    twin.send(0, first + second)
    twin.send(0, first)
    await shop.until(lambda: len(shop.ledger.taken.get("w1", b"")) == len(first + second))
    await asyncio.sleep(0.02)

    assert shop.ledger.taken["w1"] == first + second


async def test_a_hole_is_filled_from_the_spool_over_a_new_connection(shop):
    twin = await shop.runner()
    await shop.open()
    await shop.settled()
    hole, after = twin.write(ONE), twin.write(TWO)
    twin.send(len(hole), after)
    await shop.until(lambda: shop.ledger.taken.get("w1") == hole + after)

    assert twin.asked == [0, 0]


async def test_a_runner_that_hangs_up_and_lives_is_met_again_where_it_was(shop):
    twin = await shop.runner(job="j-1-0", epoch=1)
    await shop.open()
    await shop.settled()
    first = twin.write(ONE)
    twin.send(0, first)
    await shop.until(lambda: shop.ledger.taken.get("w1") == first)
    twin.hang_up()
    second = twin.write(TWO)
    await shop.until(lambda: shop.ledger.taken.get("w1") == first + second)

    assert twin.asked == [0, len(first)]
    assert not shop.ledger.gone
    assert [(met.runner, met.job, met.epoch) for met in shop.ledger.attached] == [("w1", "j-1-0", 1)] * 2


async def test_a_runner_is_given_no_work_before_its_past_is_taken(shop):
    twin = await shop.runner(sends=False)
    past = twin.write(ONE)
    await shop.open()
    await shop.until(lambda: twin.asked)
    assert not shop.pool.links["w1"].idle
    twin.send(0, past)
    await shop.settled()

    assert shop.pool.links["w1"].idle


async def test_a_dead_runners_spool_is_read_to_its_end_but_for_a_torn_line(shop):
    twin = RunnerTwin(shop.home, "w1")
    whole = twin.write(ONE, TWO, torn='{"kind": "job.fini')
    await shop.open()
    await shop.until(lambda: shop.ledger.forgotten)

    assert shop.ledger.taken["w1"] == whole
    assert [gone.runner for gone in shop.ledger.gone] == ["w1"]
    assert not twin.spool.exists()


async def test_a_runner_that_the_journal_believes_busy_and_left_no_trace_is_buried(shop):
    await shop.open(believed={"w9"})
    await shop.until(lambda: shop.ledger.forgotten == ["w9"])

    assert [gone.runner for gone in shop.ledger.gone] == ["w9"]


async def test_a_runner_is_buried_once_whoever_tells_of_its_death(shop):
    twin = await shop.runner()
    await shop.open()
    shop.pool.heard({"runners": {"w1": 7}, "tag": "w"})
    await shop.settled()
    shop.pool.heard({"died": "w1", "pid": 7, "status": 9})
    twin.die()
    shop.pool.heard({"died": "w1", "pid": 7, "status": 9})
    await shop.until(lambda: shop.ledger.forgotten)
    await asyncio.sleep(0.15)

    assert [gone.reason for gone in shop.ledger.gone] == ["its runner was killed by signal 9"]
    assert shop.ledger.forgotten == ["w1"]


async def test_a_buried_runners_name_is_not_waited_for(shop):
    await shop.open(believed={"w1"})
    shop.pool.heard({"runners": {"w1": 7}, "tag": "w"})
    await shop.until(lambda: shop.ledger.forgotten)
    await shop.until(lambda: "spawn" in shop.supervisor.asked)

    assert shop.ledger.forgotten == ["w1"]


async def test_the_rest_of_a_spool_comes_before_the_death(shop):
    twin = await shop.runner()
    await shop.open()
    await shop.settled()
    unsent = twin.write(ONE, TWO)
    twin.die()
    await shop.until(lambda: shop.ledger.gone)

    assert shop.ledger.taken["w1"] == unsent


async def test_what_an_earlier_supervisors_runner_left_is_swept_at_its_death(shop):
    twin = await shop.runner()
    await shop.open()
    await shop.settled()
    twin.die()
    await shop.until(lambda: "sweep" in shop.supervisor.asked)
    await shop.until(lambda: shop.ledger.gone)

    assert [gone.runner for gone in shop.ledger.gone] == ["w1"]


async def test_a_turn_that_could_not_be_written_is_taken_again_whole(shop):
    twin = await shop.runner()
    shop.ledger.fails = 1
    data = twin.write(ONE)
    await shop.open()
    await shop.until(lambda: shop.ledger.taken.get("w1") == data)

    assert [met.runner for met in shop.ledger.attached] == ["w1"]


async def test_an_assignment_and_a_stop_reach_the_runner_they_are_meant_for(shop):
    twin, other = await shop.runner("w1"), await shop.runner("w2")
    shop.ledger.answer = lambda idle: Turn(assign=[("w1", {"job": "j-1-0"})] if "w1" in idle else [])
    await shop.open()
    await shop.until(lambda: twin.orders)
    shop.pool.stop(Stop("w1", "j-1-0", 3, force=True))
    await shop.until(lambda: len(twin.orders) == 2)

    assert twin.orders == [(Frame.ASSIGN, {"job": "j-1-0"}), (Frame.CANCEL, {"job": "j-1-0", "epoch": 3, "force": True})]
    assert Frame.ASSIGN not in [kind for kind, _ in other.orders]


async def test_missing_runners_are_asked_for_and_no_more(shop):
    await shop.open()
    await shop.until(lambda: shop.supervisor.asked)
    shop.pool.wake()
    await asyncio.sleep(0.03)

    assert shop.supervisor.asked == ["spawn"]
