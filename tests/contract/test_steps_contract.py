"""How a job's steps are kept as its runner tells of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sparki_daemon.model.event import Event
from sparki_daemon.model.job import JobEvent
from sparki_daemon.store import jobs, journal, runs, steps
from sparki_daemon.store.jobs import JobRow
from sparki_daemon.store.protocol import Store, Tx

RunMaker = Callable[..., Awaitable[runs.RunRow]]


async def running(store: Store, uid: str) -> JobRow:
    async def work(tx: Tx) -> JobRow:
        await jobs.move(tx, uid, JobEvent.ASSIGNED)
        return await jobs.move(tx, uid, JobEvent.STARTED)

    return await store.write(work)


async def told(store: Store, kind: str) -> list[Event]:
    return [event for event in await store.read(lambda tx: journal.since(tx, 0)) if event.kind == kind]


async def finish(store: Store, job: JobRow, index: int, outcome: str, **options: object) -> bool:
    return await store.write(lambda tx: steps.finish(tx, job, index, name=f"s{index}", outcome=outcome, conclusion=outcome, **options))


async def start(store: Store, job: JobRow, index: int, **options: object) -> bool:
    return await store.write(lambda tx: steps.start(tx, job, index, name=f"s{index}", **options))


async def of_job(store: Store, job: JobRow) -> list[steps.StepRow]:
    return await store.read(lambda tx: steps.of_job(tx, job))


async def test_a_step_that_began_is_running_and_told(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")

    assert await start(store, job, 0, step_id="lint", log_from=10, at="2026-11-23T10:00:00.000Z")

    (step,) = await of_job(store, job)
    (event,) = await told(store, "step.started")
    assert (step.id, step.name, step.state, step.outcome, step.started) == ("lint", "s0", "running", "", "2026-11-23T10:00:00.000Z")
    assert (step.log_from, step.log_to, step.finished) == (10, None, None)
    assert event.stream == "r-1"
    assert event.data == {
        "job": "build",
        "uid": "j-1-build",
        "run": "r-1",
        "attempt": 1,
        "step": 0,
        "id": "lint",
        "name": "s0",
        "from": 10,
    }


async def test_a_step_that_ended_keeps_what_its_runner_said(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")
    await start(store, job, 0, log_from=10)

    await store.write(
        lambda tx: steps.finish(
            tx,
            job,
            0,
            name="s0",
            outcome="failure",
            conclusion="success",
            exit_code=3,
            reason="it left",
            duration_ms=120,
            log_from=10,
            log_to=99,
            left=["sleep"],
            annotations=[{"level": "error", "message": "no", "file": "a.py", "line": 3}],
        )
    )

    (step,) = await of_job(store, job)
    (event,) = await told(store, "step.finished")
    assert (step.state, step.outcome, step.conclusion, step.exit_code, step.reason) == ("success", "failure", "success", 3, "it left")
    assert (step.duration_ms, step.log_from, step.log_to) == (120, 10, 99)
    assert step.started is not None
    assert event.data == {
        "job": "build",
        "uid": "j-1-build",
        "run": "r-1",
        "attempt": 1,
        "step": 0,
        "id": "",
        "name": "s0",
        "outcome": "failure",
        "conclusion": "success",
        "exit_code": 3,
        "duration_ms": 120,
        "reason": "it left",
        "from": 10,
        "to": 99,
        "left": ["sleep"],
        "annotations": [{"level": "error", "message": "no", "file": "a.py", "line": 3}],
    }
    assert step.annotations == event.data["annotations"]


async def test_a_skipped_step_has_an_end_without_a_beginning(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")

    assert await finish(store, job, 2, "skipped")

    (step,) = await of_job(store, job)
    assert (step.index, step.state, step.started) == (2, "skipped", None)
    assert step.finished is not None


async def test_a_step_begins_and_ends_once(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")

    assert [await start(store, job, 0), await start(store, job, 0)] == [True, False]
    assert [await finish(store, job, 0, "success"), await finish(store, job, 0, "failure")] == [True, False]
    assert not await start(store, job, 0)

    assert [step.conclusion for step in await of_job(store, job)] == ["success"]
    assert len(await told(store, "step.started")) == len(await told(store, "step.finished")) == 1


async def test_steps_come_in_order(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")
    for index in (2, 0, 11, 1):
        await start(store, job, index)

    assert [step.index for step in await of_job(store, job)] == [0, 1, 2, 11]


async def test_the_steps_that_still_run_are_ended_for_a_runner_that_can_not(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    job = await running(store, "j-1-build")
    await start(store, job, 0)
    await finish(store, job, 0, "success")
    await start(store, job, 1, log_from=50)

    ended = await store.write(lambda tx: steps.end_running(tx, job, outcome="failure", reason="its runner died", log_to=80))

    assert ended == 1
    assert [(step.state, step.reason, step.log_to) for step in await of_job(store, job)] == [
        ("success", "", 0),
        ("failure", "its runner died", 80),
    ]
    assert await store.write(lambda tx: steps.end_running(tx, job, outcome="failure", reason="again")) == 0


async def test_a_run_shows_the_steps_of_present_attempts_only(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "b", "a")
    await a_run("r-2", "c")
    first, second = await running(store, "j-1-b"), await running(store, "j-1-a")
    await start(store, first, 0)
    await start(store, second, 0)
    await start(store, await running(store, "j-2-c"), 0)

    async def fail_and_retry(tx: Tx) -> None:
        await jobs.move(tx, first.uid, JobEvent.FAILED)
        await jobs.move(tx, first.uid, JobEvent.RETRIED)

    await store.write(fail_and_retry)
    again = await running(store, first.uid)
    assert await of_job(store, again) == []
    await start(store, again, 1)

    shown = await store.read(lambda tx: steps.of_run(tx, "r-1"))

    assert [(step.job, step.attempt, step.index) for step in shown] == [("j-1-b", 2, 1), ("j-1-a", 1, 0)]
    assert [step.index for step in await of_job(store, first)] == [0]
