"""How runs are kept, found and moved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sparki_daemon.model.job import IllegalMove
from sparki_daemon.model.problem import ExitCode, SparkiError
from sparki_daemon.model.run import MOVES, RunEvent, RunState
from sparki_daemon.store import jobs, journal, runs
from sparki_daemon.store.protocol import Store, Tx

RunMaker = Callable[..., Awaitable[runs.RunRow]]

WAY: dict[RunState, list[RunEvent]] = {
    RunState.QUEUED: [],
    RunState.RUNNING: [RunEvent.STARTED],
    RunState.SUCCESS: [RunEvent.STARTED, RunEvent.PASSED],
    RunState.FAILURE: [RunEvent.STARTED, RunEvent.FAILED],
    RunState.CANCELLED: [RunEvent.CANCELLED],
    RunState.LOST: [RunEvent.STARTED, RunEvent.LOST],
}


async def moved(store: Store, run: str, *events: RunEvent, reason: str = "") -> runs.RunRow:
    async def work(tx: Tx) -> runs.RunRow:
        for event in events:
            await runs.move(tx, run, event, reason=reason)
        row = await runs.get(tx, run)
        assert row is not None
        return row

    return await store.write(work)


async def ids(store: Store, **options: object) -> list[str]:
    return [row.id for row in await store.read(lambda tx: runs.listing(tx, **options))]


async def refused(store: Store, word: str, **options: object) -> SparkiError:
    with pytest.raises(SparkiError) as caught:
        await store.read(lambda tx: runs.find(tx, word, **options))
    return caught.value


async def test_a_new_run_is_queued_and_told(store: Store, a_run: RunMaker) -> None:
    row = await a_run("r-1", "build")
    (event,) = await store.read(lambda tx: journal.since(tx, 0))

    assert (row.state, row.attempt, row.cancelling, row.reason) == (RunState.QUEUED, 1, False, "")
    assert (row.started, row.finished) == (None, None)
    assert (event.kind, event.stream, event.seq, event.time) == ("run.created", "r-1", row.seq, row.created)
    assert {key: event.data[key] for key in ("run", "pipeline", "file", "source")} == {
        "run": "r-1",
        "pipeline": "CI",
        "file": "ci.yml",
        "source": {"tree": "t"},
    }
    assert await store.read(lambda tx: runs.get(tx, "r-1")) == row


async def test_plan_and_spec_come_back_as_they_were_given(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1")

    assert await store.read(lambda tx: runs.documents(tx, "r-1")) == ({"name": "CI"}, {"run": "r-1"})
    with pytest.raises(SparkiError, match="no run"):
        await store.read(lambda tx: runs.documents(tx, "r-2"))


async def test_an_id_is_used_once(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1")

    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        await a_run("r-1")

    assert await store.read(journal.head) == 1


@pytest.mark.parametrize("event", RunEvent)
@pytest.mark.parametrize("state", RunState)
async def test_a_move_is_legal_or_refused_exactly_as_the_table_says(
    store: Store, a_run: RunMaker, state: RunState, event: RunEvent
) -> None:
    await a_run("r-1")
    before = await moved(store, "r-1", *WAY[state])
    seq = await store.read(journal.head)
    assert before.state is state

    if (state, event) in MOVES:
        after = await moved(store, "r-1", event, reason="why")
        assert after.state is MOVES[state, event]
        assert await store.read(journal.head) == seq + 1
    else:
        with pytest.raises(IllegalMove):
            await moved(store, "r-1", event)
        assert await store.read(lambda tx: runs.get(tx, "r-1")) == before
        assert await store.read(journal.head) == seq


async def test_a_run_tells_how_it_went(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1")
    await store.write(lambda tx: runs.move(tx, "r-1", RunEvent.STARTED, at="2026-01-02T03:04:05.006Z"))
    ended = await moved(store, "r-1", RunEvent.FAILED, reason="job build failed")
    await moved(store, "r-1", RunEvent.RETRIED)
    times = {"started": "2026-01-02T03:04:05.006Z", "finished": ended.finished}

    events = await store.read(lambda tx: journal.since(tx, 1))

    assert [(event.kind, event.data) for event in events] == [
        ("run.started", {"run": "r-1", "attempt": 1, "started": times["started"]}),
        ("run.finished", {"run": "r-1", "status": "failure", "reason": "job build failed", **times}),
        ("run.retried", {"run": "r-1", "attempt": 2}),
    ]


async def test_a_retried_run_has_no_times_no_reason_and_no_cancel_of_before(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1")
    await store.write(lambda tx: runs.set_cancelling(tx, "r-1"))
    ended = await moved(store, "r-1", RunEvent.STARTED, RunEvent.CANCELLED, reason="asked")
    assert ended.started is not None
    assert ended.finished is not None
    assert (ended.cancelling, ended.reason) == (True, "asked")

    row = await moved(store, "r-1", RunEvent.RETRIED)

    assert (row.started, row.finished, row.reason, row.cancelling, row.attempt) == (None, None, "", False, 2)


async def test_a_cancel_is_noted_once_and_only_while_a_run_goes_on(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1")
    await a_run("r-2")
    await moved(store, "r-2", RunEvent.PASSED)

    noted = [await store.write(lambda tx, run=run: runs.set_cancelling(tx, run)) for run in ("r-1", "r-1", "r-2", "r-3")]

    assert noted == [True, False, False, False]


async def test_an_unknown_run_can_not_move(store: Store) -> None:
    with pytest.raises(SparkiError) as caught:
        await store.write(lambda tx: runs.move(tx, "r-1", RunEvent.STARTED))

    assert caught.value.problems[0].code == "no_such_run"


async def test_a_run_is_found_by_id_by_a_unique_prefix_and_as_the_latest(store: Store, a_run: RunMaker) -> None:
    for run in ("r-ab12", "r-ab34", "r-cd56"):
        await a_run(run)

    found = {word: (await store.read(lambda tx, word=word: runs.find(tx, word))).id for word in ("r-ab12", "r-c", "cd", "r-ab3", "latest")}

    assert found == {"r-ab12": "r-ab12", "r-c": "r-cd56", "cd": "r-cd56", "r-ab3": "r-ab34", "latest": "r-cd56"}


async def test_an_id_that_begins_another_is_still_that_id(store: Store, a_run: RunMaker) -> None:
    await a_run("r-ab")
    await a_run("r-abc")

    assert (await store.read(lambda tx: runs.find(tx, "r-ab"))).id == "r-ab"


async def test_the_latest_run_may_be_that_of_a_project(store: Store, a_run: RunMaker) -> None:
    await a_run("r-1", project="p-1")
    await a_run("r-2", project="p-2")

    assert (await store.read(lambda tx: runs.find(tx, "latest", project="p-1"))).id == "r-1"
    assert (await refused(store, "latest", project="p-3")).problems[0].code == "no_such_run"


async def test_an_ambiguous_prefix_names_its_candidates(store: Store, a_run: RunMaker) -> None:
    for n in range(7):
        await a_run(f"r-a{n}")

    error = await refused(store, "r-a")

    assert error.problems[0].code == "ambiguous_run"
    assert error.exit_code is ExitCode.USAGE
    assert "r-a6, r-a5, r-a4, r-a3, r-a2 and more" in error.problems[0].message


@pytest.mark.parametrize("word", ["r-zz", "zz", "", "r-", "%", "r-_", "latest", "r-\udcff"])
async def test_what_names_no_run_is_told_so(store: Store, a_run: RunMaker, word: str) -> None:
    if word != "latest":
        await a_run("r-1")

    error = await refused(store, word)

    assert error.problems[0].code == "no_such_run"
    assert error.exit_code is ExitCode.NOT_FOUND


async def test_a_listing_has_the_newest_first_and_goes_on_where_the_page_before_ended(store: Store, a_run: RunMaker) -> None:
    for n in range(5):
        await a_run(f"r-{n}", project=f"p-{n % 2}")

    first = await store.read(lambda tx: runs.listing(tx, limit=2))

    assert [row.id for row in first] == ["r-4", "r-3"]
    assert await ids(store, before=first[-1].seq) == ["r-2", "r-1", "r-0"]
    assert await ids(store, project="p-1") == ["r-3", "r-1"]
    assert await ids(store, project="p-0", limit=1, before=first[0].seq) == ["r-2"]


async def test_runs_that_go_on_are_those_queued_and_running(store: Store, a_run: RunMaker) -> None:
    for n, state in enumerate(RunState):
        await a_run(f"r-{n}")
        await moved(store, f"r-{n}", *WAY[state])

    assert [(row.id, row.state) for row in await store.read(runs.active)] == [("r-0", RunState.QUEUED), ("r-1", RunState.RUNNING)]


async def test_runs_of_a_file_are_numbered_from_one_in_each_project(store: Store, a_run: RunMaker) -> None:
    numbers = [
        (await a_run(f"r-{n}", project=project, file=file)).number
        for n, (project, file) in enumerate([("p-1", "a"), ("p-1", "a"), ("p-1", "b"), ("p-2", "a"), ("p-1", "a")])
    ]

    assert numbers == [1, 2, 1, 1, 3]
    assert await store.read(lambda tx: runs.next_number(tx, "p-1", "a")) == 4


async def test_a_job_needs_its_run(store: Store) -> None:
    with pytest.raises(Exception, match=r"FOREIGN KEY|foreign key"):
        await store.write(lambda tx: jobs.create_many(tx, "r-none", [jobs.NewJob("j-1", "a", "a", "A")]))
