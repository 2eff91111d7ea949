"""What is kept and what goes: by age, by room, never what runs or may be asked for again, whoever is killed in between."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparki_daemon.engine.subsystems import keep
from sparki_daemon.engine.subsystems.keep import DAY_S, Gone, Keeper
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import deployments, journal, releases, runs
from sparki_daemon.store.deployments import NewDeployment
from sparki_daemon.store.journal import EventsPruned
from sparki_daemon.store.releases import NewRelease
from sparki_daemon.store.sqlite import SqliteStore


class Place:
    """A state folder whose runs ended now; the keeper looks at it `days` later."""

    def __init__(self, home: Path, store: SqliteStore) -> None:
        self.home, self.store = home, store

    async def run(self, run: str, *, ended: bool = True, snapshot: str = "", project: str = "p-1", **retention: float) -> None:
        spec = {"source": {"snapshot": {"objects": str(self.home / "snapshots" / snapshot) if snapshot else None}}}

        async def write(tx) -> None:
            more = {"pipeline": "ci", "file": "ci.yml", "source": {}, "plan": '{"jobs": []}', "spec": spec}
            await runs.create(tx, run, project=project, options={"retention": retention}, **more)
            await runs.move(tx, run, RunEvent.STARTED)
            if ended:
                await runs.move(tx, run, RunEvent.PASSED)

        await self.store.write(write)
        self.file("logs", run, "job.log")
        self.file("artifacts", run, "1", "name", "file")
        if snapshot:
            self.file("snapshots", snapshot, "pack")

    def file(self, *parts: str, size: int = 100) -> None:
        path = self.home.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)

    async def sweep(self, days: float, *, dry_run: bool = False) -> Gone:
        keeper = Keeper(self.store, str(self.home), str(self.home / "cache"), lambda: time.time() + days * DAY_S)
        return await keeper.sweep(dry_run=dry_run)

    async def runs(self) -> list[str]:
        return [row.id for row in await self.store.read(runs.listing)]

    def names(self, kind: str) -> list[str]:
        return sorted(os.listdir(self.home / kind))


@pytest.fixture
async def place(tmp_path):
    store = SqliteStore.open(str(tmp_path / "state.db"))
    yield Place(tmp_path, store)
    await store.close()


async def test_a_fresh_run_keeps_all_that_it_has(place: Place) -> None:
    await place.run("r-1", snapshot="0" * 16)
    await place.run("r-2")

    assert await place.sweep(1) == Gone()
    assert (await place.runs(), place.names("logs"), place.names("artifacts")) == (["r-2", "r-1"], ["r-1", "r-2"], ["r-1", "r-2"])


async def test_artifacts_go_after_a_month_and_runs_after_three(place: Place) -> None:
    await place.run("r-1")
    await place.run("r-2")

    assert await place.sweep(31) == Gone(artifacts_bytes=200)
    assert (await place.runs(), place.names("logs"), place.names("artifacts")) == (["r-2", "r-1"], ["r-1", "r-2"], [])
    gone = await place.sweep(91)
    assert (gone.runs, gone.logs_bytes) == (1, 100)
    assert (await place.runs(), place.names("logs")) == (["r-2"], ["r-2"])  # the newest stays: its number goes on


async def test_an_active_run_is_never_touched(place: Place) -> None:
    await place.run("r-1", ended=False, snapshot="1" * 16)
    await place.run("r-2")

    await place.sweep(1000)

    assert await place.runs() == ["r-2", "r-1"]
    assert "r-1" in place.names("logs")
    assert "r-1" in place.names("artifacts")
    assert place.names("snapshots") == ["1" * 16]
    assert await place.store.read(lambda tx: journal.since(tx, 0)) != []  # and its events are there from the first on


async def test_a_project_keeps_as_long_as_its_newest_run_says(place: Place) -> None:
    await place.run("r-1", project="p-short")
    await place.run("r-2", project="p-short", runs_s=DAY_S)
    await place.run("r-3", project="p-long")
    await place.run("r-4", project="p-long", runs_s=1000 * DAY_S, artifacts_s=1000 * DAY_S)

    await place.sweep(100)

    assert sorted(await place.runs()) == ["r-2", "r-3", "r-4"]
    assert place.names("artifacts") == ["r-3", "r-4"]


async def test_logs_beyond_their_room_go_the_oldest_first(place: Place) -> None:
    for run in ("r-1", "r-2", "r-3"):
        await place.run(run, logs_bytes=250)

    assert await place.sweep(0) == Gone(logs_bytes=100)
    assert place.names("logs") == ["r-2", "r-3"]
    assert len(await place.runs()) == 3


async def test_a_snapshot_goes_with_the_last_run_that_may_be_started_from_it(place: Place) -> None:
    await place.run("r-1", snapshot="a" * 16)
    await place.run("r-2", snapshot="b" * 16)
    await place.run("r-3", snapshot="b" * 16)
    place.file("snapshots", "c" * 16, "pack")  # of no run: somebody was killed

    gone = await place.sweep(91)

    assert gone.snapshots_bytes == 200
    assert place.names("snapshots") == ["b" * 16]


async def test_a_young_snapshot_of_no_run_stays_for_its_run_may_just_be_beginning(place: Place) -> None:
    place.file("snapshots", "c" * 16, "pack")

    assert await place.sweep(0) == Gone()


async def test_the_log_of_a_deployment_stays_as_long_as_a_runs(place: Place) -> None:
    async def write(tx) -> None:
        about = {"commit": "c", "tree": "t", "subject": "", "run": "", "artifact": {}, "settings": {}, "settings_digest": "", "secrets": ()}
        await releases.create(tx, NewRelease(id="v-1", project="p-1", environment="e", author="ann", **about))
        for name in ("d-1", "d-2"):
            await deployments.create(tx, NewDeployment(id=name, project="p-1", environment="e", target="t", release="v-1"))

    await place.store.write(write)  # the second takes the place of the first, which has ended so
    for name in ("d-1", "d-2"):
        place.file("logs", name, "deployment.log")

    assert (await place.sweep(80), place.names("logs")) == (Gone(), ["d-1", "d-2"])
    assert (await place.sweep(91)).logs_bytes == 100
    assert place.names("logs") == ["d-2"]


async def test_a_dry_run_tells_the_same_and_removes_nothing(place: Place) -> None:
    await place.run("r-1", snapshot="a" * 16)
    await place.run("r-2")

    told = await place.sweep(91, dry_run=True)
    assert len(await place.runs()) == 2
    assert place.names("logs") == ["r-1", "r-2"]
    gone = await place.sweep(91)

    assert (told.runs, told.logs_bytes, told.artifacts_bytes, told.snapshots_bytes) == (1, 100, 200, 100)
    assert (gone.runs, gone.logs_bytes, gone.artifacts_bytes, gone.snapshots_bytes) == (1, 100, 200, 100)


async def test_old_events_go_and_whoever_asks_for_one_hears_which_is_the_first(place: Place, monkeypatch) -> None:
    monkeypatch.setattr(keep, "TURN_EVENTS", 2)
    await place.run("r-1")
    await place.run("r-2")
    head = await place.store.read(journal.head)

    gone = await place.sweep(91)

    assert gone.events == head - 1
    with pytest.raises(EventsPruned) as caught:
        await place.store.read(lambda tx: journal.since(tx, 0))
    assert caught.value.first == head


class Killed(Exception):  # noqa: N818  # stands for a kill
    pass


async def test_what_a_kill_between_rows_and_files_left_goes_with_the_next_sweep(place: Place, monkeypatch) -> None:
    await place.run("r-1", snapshot="a" * 16)
    await place.run("r-2")

    def die(*_: object) -> list[str]:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(keep, "remove_tree", die)
        with pytest.raises(Killed):
            await place.sweep(91)
    assert await place.runs() == ["r-2"]  # the row is gone, its files are not
    assert "r-1" in place.names("logs")

    await place.sweep(91)

    assert (place.names("logs"), place.names("artifacts"), place.names("snapshots")) == (["r-2"], [], [])


SWEEPS = """
import asyncio, sys, time
from sparki_daemon.engine.subsystems import keep
from sparki_daemon.store.sqlite import SqliteStore

async def main() -> None:
    keep.TURN_RUNS, keep.REST_S = 2, 0
    store = SqliteStore.open(sys.argv[1] + "/state.db")
    keeper = keep.Keeper(store, sys.argv[1], sys.argv[1] + "/cache", lambda: time.time() + 91 * keep.DAY_S)
    print("up", flush=True)
    await keeper.sweep()
    await store.close()

asyncio.run(main())
"""


async def test_a_sweep_that_is_killed_anywhere_is_finished_by_the_next_one(place: Place) -> None:
    for number in range(60):
        await place.run(f"r-{number:02}", snapshot=f"{number:016x}")
    await place.store.close()
    for turn in range(6):
        sweep = subprocess.Popen([sys.executable, "-c", SWEEPS, str(place.home)], stdout=subprocess.PIPE)
        assert sweep.stdout
        assert sweep.stdout.readline() == b"up\n"
        time.sleep(0.004 * turn)
        sweep.kill()
        sweep.wait()
        sweep.stdout.close()
    done = subprocess.run([sys.executable, "-c", SWEEPS, str(place.home)], capture_output=True, check=True)
    assert done.stderr == b""
    place.store = SqliteStore.open(str(place.home / "state.db"))
    kept = await place.runs()
    await place.store.close()

    assert kept == ["r-59"]
    assert (place.names("logs"), place.names("artifacts"), place.names("snapshots")) == (["r-59"], [], [f"{59:016x}"])
