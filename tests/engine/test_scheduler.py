"""The scheduler on a real store: what a runner's records make of runs and jobs."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from scheduler_bench import RUN, WAITING, job, parts

from sparki_daemon.engine.scheduler import run_of, uid_of
from sparki_daemon.model.plan import Template
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.store import jobs as job_rows
from sparki_daemon.store import journal


async def test_a_uid_leads_to_its_run():
    assert run_of(uid_of("r-0a1b", 17)) == "r-0a1b"


async def test_a_run_begins_with_its_first_job_and_not_after_it(bench):
    await bench.begin(job("one"), job("two"))
    await bench.turn(idle=("w1", "w2"))
    await bench.turn(bench.says("one", "job.started"), bench.says("two", "job.started"))

    told = await bench.store.read(lambda tx: journal.since(tx, 0))
    begun = [(event.kind, event.data["started"]) for event in told if event.kind.endswith(".started")]
    assert [kind for kind, _ in begun] == ["run.started", "job.started", "job.started"]
    assert begun[0][1] == begun[1][1]


async def test_a_run_of_good_jobs_is_a_success_and_its_events_tell_the_story(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started", "step.started", "step.finished", "job.finished"))

    assert await bench.status() == "success"
    assert await bench.kinds() == [
        "run.created",
        "job.assigned",
        "run.started",
        "job.started",
        "step.started",
        "step.finished",
        "job.finished",
        "run.finished",
    ]


async def test_a_failed_need_skips_those_after_it_near_and_far_but_for_always(bench):
    await bench.begin(job("one"), job("two", "one"), job("three", "two"), job("last", "three", condition="always()"))
    await bench.turn(idle=("w1",))
    turn = await bench.does("one", "failure")

    assert [spec["key"] for _, spec in turn.assign] == ["last"]
    await bench.does("last")
    assert await bench.states() == {"one": "failure", "two": "skipped", "three": "skipped", "last": "success"}
    assert await bench.status() == "failure"


async def test_a_tolerated_failure_lets_its_run_and_its_successors_succeed(bench):
    await bench.begin(job("one", continue_on_error=Template("true")), job("two", "one"))
    await bench.turn(idle=("w1",))
    await bench.does("one", "failure")
    await bench.does("two")

    assert await bench.status() == "success"


async def test_a_continue_on_error_that_cannot_be_evaluated_tolerates_nothing_and_says_so(bench):
    await bench.begin(job("one", continue_on_error=Template("${{ fromJSON('{') }}", 3, 5)))
    await bench.turn(idle=("w1",))
    await bench.does("one", "failure")

    assert await bench.status() == "failure"
    (row,) = await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))
    assert row.reason.startswith("ci.yml:3:5: 'continue-on-error' can't be evaluated: ")


async def test_an_if_that_cannot_be_evaluated_fails_its_job(bench):
    await bench.begin(job("one", condition="fromJSON('{')"))

    assert await bench.states() == {"one": "failure"}
    assert await bench.status() == "failure"


async def test_a_cancel_ends_what_waits_and_tells_what_runs(bench):
    await bench.begin(job("one"), job("two"), job("three", "one"), job("clean", "three", condition="always()"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started"))

    assert await bench.cancel() == [uid_of(RUN, 0)]
    assert await bench.states() == {"one": "running", "two": "cancelled", "three": "queued", "clean": "queued"}
    turn = await bench.turn(bench.says("one", "job.finished", result="cancelled"))
    assert [spec["key"] for _, spec in turn.assign] == ["clean"]
    await bench.does("clean")
    assert await bench.states() == {"one": "cancelled", "two": "cancelled", "three": "cancelled", "clean": "success"}
    assert await bench.status() == "cancelled"


async def test_a_forced_cancel_ends_everything_that_waits(bench):
    await bench.begin(job("one"), job("clean", "one", condition="always()"))
    assert await bench.cancel(force=True) == []

    assert await bench.status() == "cancelled"
    with pytest.raises(SparkiError, match="has ended already"):
        await bench.cancel()


async def test_a_failed_leg_cancels_its_siblings_unless_fail_fast_is_off(bench):
    legs = [job(f"t-{n}", base="t", matrix={"n": n}, strategy={"fail-fast": True}) for n in range(3)]
    await bench.begin(*legs, job("after", "t", condition="failure()"))
    await bench.turn(idle=("w1", "w2"))
    await bench.turn(bench.says("t-1", "job.started"))
    turn = await bench.does("t-0", "failure")

    assert bench.stops == [uid_of(RUN, 1)]
    assert turn.assign == []
    assert await bench.states() == {"t-0": "failure", "t-1": "running", "t-2": "cancelled", "after": "queued"}


async def test_retry_failed_runs_again_what_did_not_succeed(bench):
    await bench.begin(job("good"), job("bad"), job("after", "bad"))
    await bench.turn(idle=("w1", "w2"))
    await bench.does("good", outputs={"kept": "yes"})
    await bench.does("bad", "failure")
    assert await bench.retry(failed=True) == 2

    turn = await bench.turn(idle=("w1",))
    assert [(spec["key"], spec["attempt"], spec["epoch"]) for _, spec in turn.assign] == [("bad", 2, 2), ("after", 2, 2)]
    await bench.does("bad")
    await bench.does("after")
    assert await bench.status() == "success"
    rows = await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))
    assert [(row.key, row.attempt) for row in rows] == [("good", 1), ("bad", 2), ("after", 2)]


async def test_retry_failed_runs_again_what_came_after_a_failure_too(bench):
    await bench.begin(job("a"), job("b", "a"), job("c", "b"), job("d", "b", condition="always()"), job("e", "a"))
    await bench.turn(idle=("w1",))
    for key, result in (("a", "success"), ("b", "failure"), ("e", "success"), ("d", "success")):
        await bench.does(key, result)
    await bench.retry(failed=True)
    await bench.turn(idle=("w1",))
    for key in ("b", "c", "d"):
        await bench.does(key)

    rows = await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))
    assert [(row.key, row.attempt) for row in rows] == [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 1)]
    assert await bench.status() == "success"


async def test_jobs_see_which_attempt_at_the_run_it_is(bench):
    await bench.begin(job("a", condition="github.run_attempt == '2'"))
    assert await bench.states() == {"a": "skipped"}
    await bench.retry(failed=False)

    assert await bench.states() == {"a": "queued"}


async def test_retry_is_refused_while_a_run_is_active_and_where_nothing_failed(bench):
    await bench.begin(job("one"))
    with pytest.raises(SparkiError, match="is still"):
        await bench.retry(failed=False)
    await bench.turn(idle=("w1",))
    await bench.does("one")
    with pytest.raises(SparkiError, match="every job of run"):
        await bench.retry(failed=True)
    assert await bench.retry(failed=False) == 2


async def test_another_scheduler_goes_on_from_the_rows_alone(bench, tmp_path):
    await bench.begin(job("one"), job("two", "one"), job("three"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started"))
    bench.scheduler, bench.ledger = parts(bench.store, tmp_path)

    assert await bench.scheduler.recover() == {"w1"}
    turn = await bench.turn(bench.says("one", "job.finished"))
    assert [spec["key"] for _, spec in turn.assign] == ["three"]
    await bench.does("three")
    await bench.does("two")
    assert await bench.status() == "success"


async def test_a_turn_that_was_undone_leaves_nothing_remembered(bench):
    await bench.begin(job("one"), job("two", "one", condition="success()"))
    await bench.turn(idle=("w1",))
    done = bench.says("one", "job.started", "job.finished")

    async def fail(tx):
        await bench.ledger._turn([done], [], [], {}, tx)
        raise RuntimeError("the power of tests")

    with pytest.raises(RuntimeError):
        await bench.store.write(partial(fail))
    assert await bench.states() == {"one": "assigned", "two": "queued"}
    turn = await bench.turn(done)
    assert [spec["key"] for _, spec in turn.assign] == ["two"]


async def test_a_long_chain_is_walked_to_its_end(bench):
    names = [f"j{n}" for n in range(1500)]
    await bench.begin(job(names[0], condition="false"), *(job(name, before) for before, name in pairwise(names)))

    assert await bench.status() == "success"
    assert set((await bench.states()).values()) == {"skipped"}


async def test_a_job_whose_matrix_waits_is_put_in_the_place_of_its_legs(bench):
    await bench.begin(*plan(read(WAITING, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1", "w2"))
    turn = await bench.does("pick", outputs={"all": '{"n": [1, 2]}'})

    assert [spec["key"] for _, spec in turn.assign] == ["test-1", "test-2"]
    assert await bench.states() == {"pick": "success", "test-1": "assigned", "test-2": "assigned", "last": "queued"}
    await bench.does("test-1")
    await bench.does("test-2")
    await bench.does("last")
    assert await bench.status() == "success"
    assert "job.expanded" in await bench.kinds()


async def test_another_attempt_at_all_jobs_computes_a_late_matrix_again(bench):
    await bench.begin(*plan(read(WAITING, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.does("pick", outputs={"all": '{"n": [1, 2]}'})
    await bench.does("test-1")
    await bench.does("test-2")
    await bench.does("last")
    await bench.retry(failed=False)
    assert await bench.states() == {"pick": "queued", "test": "queued", "last": "queued"}
    await bench.turn(idle=("w1",))
    turn = await bench.does("pick", outputs={"all": '{"n": [3]}'})

    assert [(spec["key"], spec["attempt"]) for _, spec in turn.assign] == [("test-3", 2), ("last", 2)]
    await bench.does("test-3")
    await bench.does("last")
    assert await bench.status() == "success"


async def test_legs_that_were_made_late_are_known_to_the_next_engine(bench, tmp_path):
    await bench.begin(*plan(read(WAITING, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.does("pick", outputs={"all": '{"n": [1, 2]}'})
    bench.scheduler, bench.ledger = parts(bench.store, tmp_path)
    await bench.scheduler.recover()
    await bench.does("test-1")
    await bench.does("test-2")
    await bench.does("last")

    assert await bench.status() == "success"


async def test_a_matrix_that_cannot_be_computed_fails_its_job_with_the_reason(bench):
    await bench.begin(*plan(read(WAITING, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.does("pick", outputs={"all": "{"})

    assert await bench.states() == {"pick": "success", "test": "failure", "last": "skipped"}
    rows = await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))
    assert rows[1].reason.startswith("ci.yml:8:")
