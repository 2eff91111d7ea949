"""How jobs move: exactly as the table of moves says, fenced, each time with its event."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable

import pytest

from sparki_daemon.model.event import Event
from sparki_daemon.model.job import MOVES, TERMINAL, IllegalMove, JobEvent, JobState
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import jobs, journal, runs
from sparki_daemon.store.jobs import JobRow
from sparki_daemon.store.protocol import Store, Tx

RunMaker = Callable[..., Awaitable[runs.RunRow]]
UID = "j-1-build"
TESTS = {"total": 2, "failed": 1}


def way_to(target: JobState) -> list[JobEvent]:
    """The shortest list of events that brings a new job into a state."""
    ways = deque([(JobState.QUEUED, [])])
    while ways:
        state, way = ways.popleft()
        if state is target:
            return way
        ways.extend((end, [*way, event]) for (begin, event), end in MOVES.items() if begin is state and len(way) < 4)
    raise AssertionError(target)


async def moved(store: Store, uid: str, *events: JobEvent, **options: object) -> JobRow:
    async def work(tx: Tx) -> JobRow:
        row = await jobs.get(tx, uid)
        for event in events:
            row = await jobs.move(tx, uid, event, **options)
        assert row is not None
        return row

    return await store.write(work)


async def held(store: Store, uid: str = UID) -> JobRow:
    row = await store.read(lambda tx: jobs.get(tx, uid))
    assert row is not None
    return row


async def last_event(store: Store) -> Event:
    return (await store.read(lambda tx: journal.since(tx, 0, limit=10_000)))[-1]


@pytest.mark.parametrize("event", JobEvent)
@pytest.mark.parametrize("state", JobState)
async def test_a_move_is_legal_or_refused_exactly_as_the_table_says(
    store: Store, a_run: RunMaker, state: JobState, event: JobEvent
) -> None:
    await a_run("r-1", "build")
    before = await moved(store, UID, *way_to(state))
    seq = await store.read(journal.head)
    assert before.state is state

    if (state, event) in MOVES:
        row = await moved(store, UID, event)
        told = await last_event(store)
        assert row.state is MOVES[state, event]
        assert await held(store) == row
        assert told.seq == seq + 1
        assert (told.stream, told.data["uid"], told.data["job"], told.data["run"]) == ("r-1", UID, "build", "r-1")
        assert (told.data["status"], told.data["epoch"], told.data["attempt"]) == (row.state.public, row.epoch, row.attempt)
    else:
        with pytest.raises(IllegalMove):
            await moved(store, UID, event)
        assert await held(store) == before
        assert await store.read(journal.head) == seq


@pytest.mark.parametrize("event", JobEvent)
@pytest.mark.parametrize("state", JobState)
async def test_news_of_an_old_epoch_never_move_a_job(store: Store, a_run: RunMaker, state: JobState, event: JobEvent) -> None:
    await a_run("r-1", "build")
    await moved(store, UID, JobEvent.ASSIGNED, JobEvent.RETURNED)  # so that epoch 1 is somebody's
    before = await moved(store, UID, *way_to(state))
    seq = await store.read(journal.head)

    with pytest.raises(jobs.Fenced) as fenced:
        await moved(store, UID, event, epoch=before.epoch - 1)

    assert (fenced.value.job, fenced.value.epoch) == (before, before.epoch - 1)
    assert await held(store) == before
    assert await store.read(journal.head) == seq


async def test_news_of_the_present_epoch_count(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    assigned = await moved(store, UID, JobEvent.ASSIGNED, runner="7", log="/logs/x")

    row = await moved(store, UID, JobEvent.STARTED, JobEvent.PASSED, epoch=assigned.epoch)

    assert (row.state, row.epoch, row.runner, row.log) == (JobState.SUCCESS, 1, "7", "/logs/x")


async def test_of_two_assignments_at_once_one_is_refused(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")

    results = await asyncio.gather(*(moved(store, UID, JobEvent.ASSIGNED, runner=runner) for runner in "12"), return_exceptions=True)

    assert [type(result) for result in results].count(IllegalMove) == 1
    assert (await held(store)).epoch == 1


async def test_cancel_racing_finish_gives_one_terminal_state(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    await moved(store, UID, JobEvent.ASSIGNED, JobEvent.STARTED)

    results = await asyncio.gather(
        moved(store, UID, JobEvent.CANCELLED), moved(store, UID, JobEvent.PASSED, epoch=1), return_exceptions=True
    )
    events = await store.read(lambda tx: journal.since(tx, 0))

    assert [type(result) for result in results].count(IllegalMove) == 1
    assert [event.kind for event in events].count("job.finished") == 1


async def test_each_assignment_bears_a_new_epoch_over_attempts_too(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")

    epochs = [
        (await moved(store, UID, JobEvent.ASSIGNED)).epoch,
        (await moved(store, UID, JobEvent.RETURNED, JobEvent.ASSIGNED)).epoch,
        (await moved(store, UID, JobEvent.STARTED, JobEvent.FAILED, JobEvent.RETRIED, JobEvent.ASSIGNED)).epoch,
    ]

    assert epochs == [1, 2, 3]


async def test_a_job_that_was_retried_is_as_new_but_for_attempt_and_epoch(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    fresh = await held(store)
    await moved(store, UID, JobEvent.ASSIGNED, runner="7", log="/logs/x")
    ended = await moved(
        store, UID, JobEvent.STARTED, JobEvent.FAILED, outputs={"a": "1"}, tolerated=True, reason="why", log_bytes=9, tests=TESTS
    )
    assert (json.loads(ended.tests), (await last_event(store)).data["tests"]) == (TESTS, TESTS)
    assert (ended.outputs, ended.tolerated, ended.reason, ended.log_bytes) == ({"a": "1"}, True, "why", 9)

    again = await moved(store, UID, JobEvent.RETRIED)

    assert (again.attempt, again.epoch) == (2, 1)
    assert {name: getattr(again, name) for name in JobRow.__slots__ if name not in ("attempt", "epoch")} == {
        name: getattr(fresh, name) for name in JobRow.__slots__ if name not in ("attempt", "epoch")
    }


async def test_a_returned_job_has_no_runner(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")

    row = await moved(store, UID, JobEvent.ASSIGNED, JobEvent.RETURNED, runner="7")

    assert (row.state, row.runner) == (JobState.QUEUED, "")
    assert (await last_event(store)).kind == "job.queued"


async def test_an_assigned_job_is_queued_to_the_public(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    await moved(store, UID, JobEvent.ASSIGNED, runner="7", name="Build (3.11)")

    event = await last_event(store)

    assert event.kind == "job.assigned"
    assert (event.data["status"], event.data["runner"], event.data["name"]) == ("queued", "7", "Build (3.11)")
    assert (await held(store)).name == "Build (3.11)"


async def test_an_assignment_without_a_name_leaves_the_planned_one(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")

    assert (await moved(store, UID, JobEvent.ASSIGNED)).name == "Build"


async def test_the_end_of_a_job_tells_its_outputs(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    await moved(store, UID, JobEvent.ASSIGNED, JobEvent.STARTED)
    await moved(store, UID, JobEvent.PASSED, outputs={"version": "1.2"}, log_bytes=77)

    event = await last_event(store)

    assert event.kind == "job.finished"
    assert event.data["outputs"] == {"version": "1.2"}
    assert (event.data["status"], event.data["reason"], event.data["cached"], event.data["log_bytes"]) == ("success", "", False, 77)


async def test_times_are_the_runners_where_it_gives_them(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "build")
    begun, ended = "2026-11-23T10:00:00.000Z", "2026-11-23T10:00:01.500Z"
    await moved(store, UID, JobEvent.ASSIGNED)
    await moved(store, UID, JobEvent.STARTED, at=begun)

    row = await moved(store, UID, JobEvent.PASSED, at=ended)

    assert (row.started, row.finished) == (begun, ended)


async def test_an_unknown_job_is_told_so(store: Store) -> None:
    with pytest.raises(SparkiError) as refused:
        await moved_unknown(store)

    assert refused.value.problems[0].code == "no_such_job"
    assert await store.read(lambda tx: jobs.get(tx, "j-none")) is None


async def moved_unknown(store: Store) -> JobRow:
    return await store.write(lambda tx: jobs.move(tx, "j-none", JobEvent.ASSIGNED, epoch=1))


async def test_a_runs_jobs_come_in_the_plans_order(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "z", "a", "m-1", "m-2")
    await a_run("r-2", "other")

    rows = await store.read(lambda tx: jobs.of_run(tx, "r-1"))

    assert [(row.key, row.base) for row in rows] == [("z", "z"), ("a", "a"), ("m-1", "m"), ("m-2", "m")]
    assert {row.state for row in rows} == {JobState.QUEUED}


async def test_a_key_is_unique_in_a_run(store: Store, a_run: RunMaker) -> None:
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        await a_run("r-1", "build", "build")

    assert await store.read(journal.head) == 0


async def test_unfinished_jobs_are_those_of_runs_that_go_on(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", "a", "b", "c")
    await a_run("r-2", "a")
    await a_run("r-3", "a")
    await moved(store, "j-1-a", JobEvent.ASSIGNED, JobEvent.STARTED, runner="7")
    await moved(store, "j-1-b", JobEvent.SKIPPED)
    await moved(store, "j-1-c", JobEvent.ASSIGNED, runner="7")
    await moved(store, "j-2-a", JobEvent.CANCELLED)
    await store.write(lambda tx: runs.move(tx, "r-2", RunEvent.CANCELLED))

    unfinished = await store.read(jobs.unfinished)
    held_by_seven = await store.read(lambda tx: jobs.held_by(tx, "7"))

    assert [row.uid for row in unfinished] == ["j-1-a", "j-1-c", "j-3-a"]
    assert [row.uid for row in held_by_seven] == ["j-1-a", "j-1-c"]
    assert await store.read(lambda tx: jobs.held_by(tx, "8")) == []


async def test_only_ends_are_terminal(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", *(state.value for state in TERMINAL))
    for state in TERMINAL:
        row = await moved(store, f"j-1-{state.value}", *way_to(state))
        assert row.finished is not None

    assert await store.read(jobs.unfinished) == []
