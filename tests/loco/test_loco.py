"""What loco does at a turn: begins what may begin, goes on with what was left, hears what people ask, one at a target at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twin import Died, Platform, TwinAdapter

from sparki_daemon.engine.deploy_views import steps_of
from sparki_daemon.engine.subsystems.going_back import before_live
from sparki_daemon.loco.loco import Loco
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.queue.protocol import DEPLOYMENTS
from sparki_daemon.store import deployments, environments, journal, releases
from sparki_daemon.store.deployments import DeploymentRow, NewDeployment
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import NewRelease
from sparki_daemon.store.sqlite import SqliteStore

SATURDAY = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Station:
    """A loco over a platform's twin, with a clock that a test moves."""

    store: Store
    folder: Path
    platform: Platform = field(default_factory=Platform)
    now: datetime = SATURDAY
    made: int = 0
    adapter: TwinAdapter = field(init=False)
    loco: Loco = field(init=False)

    def __post_init__(self) -> None:
        self.adapter = TwinAdapter(self.platform)
        self.loco = self.another()

    def another(self, **more: Any) -> Loco:
        async def secrets(project: str, environment: str, names: tuple[str, ...]) -> Mapping[str, str]:
            return {}

        known = {"load": lambda _: self.adapter, "secrets": secrets, "home": str(self.folder), "holder": "l1", "now": lambda: self.now}
        return Loco(store=self.store, queue=EmbeddedQueue(), **{**known, **more})

    async def ask(self, environment: str = "staging", *, target: str = "", tree: str = "", author: str = "ann", **settings: Any) -> str:
        """A deployment of a new release, queued."""
        self.made += 1
        number = self.made

        async def work(tx: Tx) -> None:
            await environments.find_or_add(tx, "p-1", environment, adapter="twin")
            await releases.create(
                tx,
                NewRelease(
                    id=f"v-{number}",
                    project="p-1",
                    environment=environment,
                    commit="c",
                    tree=tree or f"t{number}",
                    subject="",
                    run="",
                    artifact={},
                    settings={"adapter": "twin", **settings},
                    settings_digest="",
                    secrets=(),
                    author=author,
                ),
            )
            new = NewDeployment(
                id=f"d-{number}",
                project="p-1",
                environment=environment,
                target=target or f"p-1/{environment}",
                release=f"v-{number}",
                author=author,
            )
            await deployments.create(tx, new)
            await EmbeddedQueue().put(tx, DEPLOYMENTS, [new.id])

        await self.store.write(work)
        return f"d-{number}"

    async def roll_back(self, release: str, **settings: Any) -> str:
        """A rollback to a release that is there, queued. `settings` become the release's."""
        self.made += 1
        new = NewDeployment(
            id=f"d-{self.made}", project="p-1", environment="staging", target="p-1/staging", release=release, kind="rollback", author="ann"
        )

        async def work(tx: Tx) -> None:
            if settings:
                told = json.dumps({"adapter": "twin", **settings})
                await tx.execute("UPDATE releases SET settings = :settings WHERE id = :id", settings=told, id=release)
            await deployments.create(tx, new)
            await EmbeddedQueue().put(tx, DEPLOYMENTS, [new.id])

        await self.store.write(work)
        return new.id

    async def watching(self, loco: Loco | None = None) -> str:
        """A second release that hangs in its watch."""
        self.adapter.hangs = {"watch"}
        deployment = await self.ask()
        while (await self.row(deployment)).step != "watch":
            await (loco or self.loco).turn()
            await asyncio.sleep(0.01)
        return deployment

    async def row(self, deployment: str) -> DeploymentRow:
        row = await self.store.read(lambda tx: deployments.get(tx, deployment))
        assert row is not None
        return row

    async def settle(self, loco: Loco | None = None) -> None:
        """Turns until nothing more happens."""
        loco = loco or self.loco
        before = -1
        while loco.driven or before != await self.store.read(_moves):
            before = await self.store.read(_moves)
            await loco.turn()
            if loco.driven:
                await asyncio.wait([one.task for one in loco.driven.values()], timeout=0.05)
        await loco.turn()


async def _moves(tx: Tx) -> int:
    row = await tx.one("SELECT seq FROM journal_head")
    assert row is not None
    return int(row["seq"])


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    made = Station(store, tmp_path)
    yield made
    await made.loco.close()
    await store.close()


async def test_a_rollback_has_what_is_in_its_watch_go_back_by_one_cut_and_runs_no_command_again(station: Station) -> None:
    first = await station.ask()
    await station.settle()
    second = await station.watching()
    rollback = await station.roll_back("v-1")
    await station.loco.turn()  # no time passes: nothing of the watch is waited for
    await asyncio.wait([station.loco.driven[second].task])
    station.adapter.hangs.clear()
    await station.settle()

    reverted, live = await station.row(second), await station.row(rollback)
    assert (reverted.state, reverted.reason) == ("reverted", f"rolled back by {rollback}")
    assert (live.state, live.previous) == ("live", "v-1")
    assert (station.platform.traffic, set(station.platform.running)) == ("v-1", {"v-1"})
    assert station.platform.commands == [first, second]
    moves = await station.store.read(lambda tx: deployments.moves_of(tx, rollback))
    assert [step["name"] for step in steps_of(moves) if step["status"] == "skipped"] == ["release_command", "watch"]
    told = await station.store.read(lambda tx: journal.since(tx, 0, limit=1000))
    assert [event.data["by"] for event in told if event.kind == "deployment.rolling_back" and event.stream == second] == [rollback]


async def test_a_rollback_that_something_else_holds_up_or_that_wants_another_release_leaves_the_watch_alone(station: Station) -> None:
    for _ in range(2):
        await station.ask()
        await station.settle()
    second = await station.watching()
    older = await station.roll_back("v-1")
    for _ in range(3):
        await station.loco.turn()
    assert (await station.row(second)).asked == ""
    frozen = await station.roll_back("v-2", freeze=[{"from": [4, 16, 0], "to": [0, 8, 0], "zone": "UTC"}])
    for _ in range(3):
        await station.loco.turn()
    assert (await station.row(second)).asked == ""
    assert [one["for"] for one in (await station.row(frozen)).waits] == ["freeze", "target"]
    assert (await station.row(older)).state == "cancelled"  # superseded

    station.now += timedelta(days=3)
    await station.loco.turn()
    assert (await station.row(second)).asked == f"rollback:{frozen}"


async def test_a_rollback_that_is_asked_for_twice_goes_back_by_one_however_far_the_first_has_come(station: Station) -> None:
    for _ in range(2):
        await station.ask()
        await station.settle()
    third = await station.watching()

    async def before(tx: Tx) -> str:
        return (await before_live(tx, "p-1", "staging")).id

    assert await station.store.read(before) == "v-2"
    station.adapter.undo_hangs = {"start"}
    first = await station.roll_back("v-2")
    while (await station.row(third)).step != "start":  # the cut is over: what is live is v-2 again
        await station.loco.turn()
        await asyncio.sleep(0.01)
    known = await station.store.read(lambda tx: environments.get(tx, "p-1", "staging"))
    assert known is not None
    assert known.live == "v-2"
    assert await station.store.read(before) == "v-2"
    second = await station.roll_back("v-2")
    station.adapter.undo_hangs.clear()
    station.adapter.hangs.clear()
    await station.settle()

    assert [(await station.row(one)).state for one in (third, first, second)] == ["reverted", "cancelled", "live"]
    assert await station.store.read(before) == "v-1"


async def test_a_rollback_of_a_watch_whose_loco_has_died_is_what_the_next_one_does_first(station: Station) -> None:
    await station.ask()
    await station.settle()
    second = await station.watching()
    await station.loco.close()
    rollback = await station.roll_back("v-1")
    after = station.another(holder="l2")
    while (await station.row(second)).state != "reverted":
        await after.turn()
        await asyncio.sleep(0.01)
    station.adapter.hangs.clear()
    await station.settle(after)

    assert [(await station.row(one)).state for one in (second, rollback)] == ["reverted", "live"]
    assert (station.platform.traffic, set(station.platform.running)) == ("v-1", {"v-1"})


async def test_what_is_queued_is_brought_on_and_leaves_loco_idle(station: Station) -> None:
    deployment = await station.ask()
    await station.settle()

    assert (await station.row(deployment)).state == "live"
    assert station.loco.idle
    assert await station.store.read(lambda tx: EmbeddedQueue().depth(tx, DEPLOYMENTS)) == 0


async def test_what_another_loco_left_is_gone_on_with(station: Station) -> None:
    deployment = await station.ask()
    station.adapter.dies = "after:start"
    with pytest.raises(Died):
        await station.settle()
        await asyncio.sleep(0)
        raise Died
    station.loco = station.another()
    await station.settle()

    assert (await station.row(deployment)).state == "live"
    assert station.platform.starts == [(deployment, "v-1")]


async def test_two_environments_on_one_target_are_never_acted_on_at_once(station: Station) -> None:
    station.adapter.hangs = {"health"}
    first = await station.ask("staging", target="shared")
    second = await station.ask("other", target="shared")
    await station.loco.turn()
    await asyncio.sleep(0.05)
    await station.loco.turn()

    row = await station.row(second)
    assert (row.state, row.waits) == ("waiting", ({"for": "target", "deployment": first},))
    await station.store.write(lambda tx: deployments.ask(tx, first, "cancel"))
    station.adapter.hangs.clear()
    await station.settle()
    assert [(await station.row(one)).state for one in (first, second)] == ["cancelled", "live"]


async def test_a_deployment_waits_for_its_approval_and_tells_so(station: Station) -> None:
    deployment = await station.ask(approvals={"count": 1, "not_author": True})
    await station.settle()
    assert (await station.row(deployment)).waits[0]["for"] == "approval"
    await station.store.write(lambda tx: deployments.approve(tx, deployment, "ann"))
    await station.settle()
    assert (await station.row(deployment)).state == "waiting"

    await station.store.write(lambda tx: deployments.approve(tx, deployment, "bob"))
    await station.settle()
    assert (await station.row(deployment)).state == "live"


async def test_a_freeze_passes_by_itself(station: Station) -> None:
    deployment = await station.ask(freeze=[{"from": [4, 16, 0], "to": [0, 8, 0], "zone": "UTC"}])
    await station.settle()
    assert (await station.row(deployment)).waits == ({"for": "freeze", "until": "2026-11-30T08:00:00+00:00"},)

    station.now = datetime(2026, 11, 30, 8, tzinfo=UTC)
    await station.settle()
    assert (await station.row(deployment)).state == "live"


async def test_production_follows_only_the_tree_that_is_live_in_staging(station: Station) -> None:
    production = await station.ask("production", tree="t-new", after="staging")
    await station.settle()
    assert (await station.row(production)).waits == ({"for": "environment", "environment": "staging"},)

    await station.ask("staging", tree="t-new")
    await station.settle()
    assert (await station.row(production)).state == "live"


async def test_what_waits_can_be_cancelled(station: Station) -> None:
    deployment = await station.ask(approvals={"count": 1})
    await station.settle()
    await station.store.write(lambda tx: deployments.ask(tx, deployment, "cancel"))
    await station.settle()

    assert (await station.row(deployment)).state == "cancelled"
    assert station.platform.starts == []


async def test_an_adapter_that_is_not_there_fails_the_deployment_with_the_reason(station: Station) -> None:
    def load(name: str) -> TwinAdapter:
        raise SparkiError(Problem(code="unknown_adapter", message=f"there is no adapter '{name}'"))

    deployment = await station.ask()
    loco = station.another(load=load)
    await station.settle(loco)

    row = await station.row(deployment)
    assert (row.state, row.reason) == ("failed", "there is no adapter 'twin'")


async def test_an_unknown_end_needs_a_person_and_no_loco(station: Station) -> None:
    deployment = await station.ask()
    station.adapter.fails, station.adapter.undo_fails = {"watch"}, {"switch"}
    await station.settle()
    assert (await station.row(deployment)).state == "unknown"
    assert station.loco.idle

    newer = await station.ask()
    await station.settle()
    assert (await station.row(newer)).waits == ({"for": "target", "deployment": deployment},)


async def test_two_hundred_deployments_to_twenty_targets_are_never_two_at_one(station: Station) -> None:
    at_work: dict[str, int] = {}
    worst = 0
    do = station.adapter.do

    async def counted(step: str, work: Any) -> Mapping[str, Any]:
        nonlocal worst
        target = work.place.environment.rpartition("-")[0]
        at_work[target] = at_work.get(target, 0) + 1
        worst = max(worst, at_work[target])
        try:
            return await do(step, work)
        finally:
            at_work[target] -= 1

    station.adapter.do = counted  # type: ignore[method-assign]
    for number in range(200):
        await station.ask(f"env{number % 20}-{number}", target=f"target{number % 20}")
    await station.settle()

    rows = await station.store.read(lambda tx: deployments.listing(tx, limit=1000))
    assert {row.state.value for row in rows} == {"live"}
    assert len(rows) == 200
    assert worst == 1


def test_the_process_brings_on_what_is_queued_and_ends_with_its_supervisor(tmp_path: Path) -> None:
    async def prepare() -> None:
        store = SqliteStore.open(str(tmp_path / "state.db"))
        await Station(store, tmp_path).ask()
        await store.close()

    async def state() -> str:
        store = SqliteStore.open(str(tmp_path / "state.db"))
        try:
            row = await store.read(lambda tx: deployments.get(tx, "d-1"))
            assert row is not None
            return row.state.value
        finally:
            await store.close()

    asyncio.run(prepare())
    read_end, write_end = os.pipe()
    command = [
        sys.executable,
        "-c",
        f"import os; os.dup2({read_end}, 3); from sparki_daemon.__main__ import main; main(['loco', '--home', {str(tmp_path)!r}])",
    ]
    with subprocess.Popen(command, pass_fds=[read_end], stderr=subprocess.PIPE, text=True) as loco:
        try:
            deadline = time.monotonic() + 20
            while asyncio.run(state()) != "failed":  # no adapter is called 'twin'
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.close(write_end)
            assert loco.wait(timeout=10) == 0
        finally:
            if loco.poll() is None:
                os.kill(loco.pid, signal.SIGKILL)
        assert loco.stderr is not None
        assert "Traceback" not in loco.stderr.read()
    os.close(read_end)
    assert json.dumps(asyncio.run(state())) == '"failed"'


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_that_jumps_neither_holds_up_nor_gives_up_a_deployment(
    station: Station, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparki_daemon.loco.loco.REST_S", 0.05)
    first = await station.ask()
    (station.folder / "environments").touch()  # in the folder's place: the deployment breaks off, and rests
    await station.settle()
    assert (await station.row(first)).state == "running"
    (station.folder / "environments").unlink()
    station.now += timedelta(days=days)
    await asyncio.sleep(0.1)
    await station.settle()
    assert (await station.row(first)).state == "live"

    station.adapter.hangs = {"watch"}
    second = await station.ask()
    await station.loco.turn()
    while (await station.row(second)).step != "watch":
        await asyncio.sleep(0.01)
    epoch = (await station.row(second)).epoch
    station.now += timedelta(days=-2 * days)
    await station.loco.turn()
    row = await station.row(second)
    assert (row.state, row.epoch, list(station.loco.driven)) == ("running", epoch, [second])  # nobody has taken it
