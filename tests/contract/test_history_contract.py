"""What the store tells of the past: of one project, one pipeline, and no further back than asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sparki_daemon.model.job import JobEvent
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import history, jobs, runs, steps
from sparki_daemon.store.protocol import Store, Tx

RunMaker = Callable[..., Awaitable[runs.RunRow]]


async def end(store: Store, run: str, key: str, *, good: bool) -> None:
    async def work(tx: Tx) -> None:
        uid = f"j-{run[2:]}-{key}"
        await jobs.move(tx, uid, JobEvent.ASSIGNED, runner="1", log="l")
        job = await jobs.move(tx, uid, JobEvent.STARTED)
        await steps.start(tx, job, 0, name="s")
        await steps.finish(tx, job, 0, name="s", outcome="x", conclusion="success" if good else "failure", duration_ms=1)
        await jobs.move(tx, uid, JobEvent.PASSED if good else JobEvent.FAILED)
        if (row := await runs.get(tx, run)) and row.state.value == "queued":
            await runs.move(tx, run, RunEvent.STARTED)
            await runs.move(tx, run, RunEvent.PASSED if good else RunEvent.FAILED)

    await store.write(work)


async def test_ended_jobs_of_a_project_come_newest_first(store: Store, a_run: RunMaker) -> None:
    for run, project in (("r-1", "p-1"), ("r-2", "p-2"), ("r-3", "p-1")):
        await a_run(run, "a", "b", project=project)
        await end(store, run, "a", good=run != "r-3")
    mine = await store.read(lambda tx: history.of_project(tx, "p-1"))
    assert [(one.run, one.key, one.good, one.tree) for one in mine] == [("r-3", "a", False, "t"), ("r-1", "a", True, "t")]
    assert len(await store.read(lambda tx: history.of_project(tx, None))) == 3


async def test_a_run_is_told_of_its_own_pipeline_up_to_itself(store: Store, a_run: RunMaker) -> None:
    for run, file in (("r-1", "ci.yml"), ("r-2", "other.yml"), ("r-3", "ci.yml"), ("r-4", "ci.yml")):
        await a_run(run, "a", file=file)
        await end(store, run, "a", good=run == "r-1")

    async def read(tx: Tx) -> tuple[list[str], list[str]]:
        row = await runs.get(tx, "r-3")
        assert row is not None
        ends, ended, more = await history.up_to(tx, row)
        assert not more
        return [f"{one.id} {one.state}" for one in ends], [one.run for one in ended]

    assert await store.read(read) == (["r-3 failure", "r-1 success"], ["r-3", "r-1"])


@pytest.mark.parametrize(("limit", "more"), [(2, True), (3, False)])
async def test_whether_there_are_older_runs_than_those_looked_at_is_told(
    store: Store, a_run: RunMaker, monkeypatch: pytest.MonkeyPatch, limit: int, more: bool
) -> None:
    monkeypatch.setattr(history, "LOOK_BACK", limit)
    for run in ("r-1", "r-2", "r-3"):
        await a_run(run, "a", file="ci.yml")
        await end(store, run, "a", good=False)

    async def read(tx: Tx) -> tuple[list[str], bool]:
        row = await runs.get(tx, "r-3")
        assert row is not None
        ends, _, older = await history.up_to(tx, row)
        return [one.id for one in ends], older

    assert await store.read(read) == (["r-3", "r-2", "r-1"][:limit], more)


async def test_a_job_that_failed_at_an_earlier_attempt_is_known(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "a")
    await end(store, "r-1", "a", good=False)
    await store.write(lambda tx: jobs.move(tx, "j-1-a", JobEvent.RETRIED))
    await end(store, "r-1", "a", good=True)
    [one] = await store.read(lambda tx: history.of_project(tx, "p-1"))
    assert (one.good, one.failed_before) == (True, True)


async def test_a_job_that_was_lost_with_its_runner_says_nothing_of_its_source(store: Store, a_run: RunMaker) -> None:
    async def lose(tx: Tx, uid: str) -> None:
        await jobs.move(tx, uid, JobEvent.ASSIGNED, runner="1", log="l")
        job = await jobs.move(tx, uid, JobEvent.STARTED)
        await steps.start(tx, job, 0, name="s")
        await steps.end_running(tx, job, outcome="failure", reason="its runner died")
        await jobs.move(tx, uid, JobEvent.RUNNER_DIED)

    await a_run("r-1", "a", "b")
    await store.write(lambda tx: lose(tx, "j-1-b"))
    await store.write(lambda tx: lose(tx, "j-1-a"))
    await store.write(lambda tx: jobs.move(tx, "j-1-a", JobEvent.RETRIED))
    await end(store, "r-1", "a", good=True)
    [one] = await store.read(lambda tx: history.of_project(tx, "p-1"))
    assert (one.key, one.good, one.failed_before) == ("a", True, False)
