"""The builder's turns on a real store: records, deaths, meetings, and who gets which job."""

from __future__ import annotations

import pytest
from scheduler_bench import RUN, job

from sparki_daemon.builder.ports import Arrived, Attached, Gone
from sparki_daemon.engine.scheduler import uid_of
from sparki_daemon.store import jobs as job_rows


async def test_an_idle_runner_gets_the_oldest_job_with_its_first_epoch(bench):
    await bench.begin(job("one"), job("two"))
    turn = await bench.turn(idle=("w1",))

    assert [(runner, spec["key"], spec["epoch"]) for runner, spec in turn.assign] == [("w1", "one", 1)]
    assert turn.waiting == 1
    assert await bench.states() == {"one": "assigned", "two": "queued"}


async def test_the_end_of_a_job_gives_its_runner_the_successor_in_the_same_turn(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1",))
    turn = await bench.does("one", outputs={"answer": "42"})

    assert [spec["key"] for _, spec in turn.assign] == ["two"]
    assert turn.assign[0][1]["needs"] == {"one": {"result": "success", "outputs": {"answer": "42"}}}


async def test_the_same_bytes_of_a_spool_count_once(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    whole = bench.says("one", "job.started", "step.started", "step.finished", "job.finished")
    middle = whole.data.index(b"\n") + 1
    await bench.turn(Arrived(whole.runner, 0, whole.data[:middle]))
    await bench.turn(whole)
    await bench.turn(whole)

    kinds = await bench.kinds()
    assert [kinds.count(kind) for kind in ("job.started", "step.started", "step.finished", "job.finished", "run.finished")] == [1] * 5


async def test_a_hole_in_a_spool_is_refused(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    with pytest.raises(ValueError, match="the journal has only 0"):
        await bench.turn(Arrived("w1", 5, b"{}\n"))


async def test_a_dead_runners_started_job_is_lost_and_says_why(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started", "step.started"))
    await bench.turn(gone=(Gone("w1", "its runner was killed by signal 9"),))

    rows = await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))
    assert (rows[0].state, rows[0].reason) == ("lost", "its runner was killed by signal 9")
    assert await bench.status() == "lost"
    assert "step.finished" in await bench.kinds()


async def test_a_dead_runners_job_that_never_began_goes_to_another_with_the_next_epoch(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    turn = await bench.turn(gone=(Gone("w1", "gone"),), idle=("w2",))

    assert [(runner, spec["epoch"]) for runner, spec in turn.assign] == [("w2", 2)]


async def test_news_of_an_old_epoch_are_fenced(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    late = bench.says("one", "job.started", "job.finished", result="failure")
    await bench.turn(gone=(Gone("w1", "gone"),), idle=("w2",))
    await bench.turn(late)

    assert await bench.states() == {"one": "assigned"}
    assert (await bench.kinds()).count("fenced") == 2


async def test_a_runner_met_again_without_the_job_returns_what_it_never_began(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    turn = await bench.turn(met=(Attached("w1", None, 0),), idle=("w1",))

    assert [(runner, spec["epoch"]) for runner, spec in turn.assign] == [("w1", 2)]


async def test_a_runner_met_again_with_its_job_keeps_it(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started"))
    _, epoch, uid = bench.held["one"]
    await bench.turn(met=(Attached("w1", uid, epoch),))

    assert await bench.states() == {"one": "running"}


async def test_max_parallel_and_the_runs_own_limit_hold_jobs_back(bench):
    legs = [job(f"t-{n}", base="t", matrix={"n": n}, strategy={"max-parallel": 1}) for n in range(2)]
    await bench.begin(*legs, job("a"), job("b"), max_parallel=2)
    turn = await bench.turn(idle=("w1", "w2", "w3"))

    assert [spec["key"] for _, spec in turn.assign] == ["t-0", "a"]
    turn = await bench.does("t-0")
    assert [spec["key"] for _, spec in turn.assign] == ["t-1"]


async def test_where_many_jobs_wait_a_busy_runner_gets_one_ahead(bench):
    await bench.begin(*(job(f"j{n}") for n in range(8)))
    turn = await bench.turn(idle=("w1", "w2"))

    assert [(runner, spec["key"]) for runner, spec in turn.assign] == [("w1", "j0"), ("w2", "j1"), ("w1", "j2"), ("w2", "j3")]
    turn = await bench.does("j0")
    assert [(runner, spec["key"]) for runner, spec in turn.assign] == [("w1", "j4")]
    await bench.does("j2")
    await bench.does("j4")
    assert bench.holding == {"w1": [uid_of(RUN, 5)], "w2": [uid_of(RUN, 1), uid_of(RUN, 3)]}


async def test_a_job_that_waits_behind_a_long_one_is_recalled_and_given_to_an_idle_runner(bench):
    await bench.begin(*(job(f"j{n}") for n in range(8)))
    await bench.turn(idle=("w1", "w2"))
    await bench.turn(bench.says("j1", "job.started"))
    for key in ("j0", "j2", "j4", "j5", "j6", "j7"):
        turn = await bench.does(key)

    assert [(recall.runner, recall.job) for recall in turn.recall] == [("w2", uid_of(RUN, 3))]
    turn = await bench.turn(bench.says("j3", "job.returned"))
    assert [(runner, spec["key"], spec["epoch"]) for runner, spec in turn.assign] == [("w1", "j3", 2)]
    await bench.does("j3")
    await bench.turn(bench.says("j1", "job.finished"))
    assert await bench.status() == "success"


async def test_a_recall_that_comes_too_late_changes_nothing(bench):
    await bench.begin(*(job(f"j{n}") for n in range(8)))
    await bench.turn(idle=("w1", "w2"))
    await bench.turn(bench.says("j1", "job.started"))
    for key in ("j0", "j2", "j4", "j5", "j6", "j7"):
        await bench.does(key)
    await bench.turn(bench.says("j1", "job.finished"), bench.says("j3", "job.started"), bench.says("j3", "job.returned"))

    assert (await bench.states())["j3"] == "running"
    assert "fenced" in await bench.kinds()


async def test_a_dead_runner_loses_what_it_began_and_returns_what_it_was_given_ahead(bench):
    await bench.begin(*(job(f"j{n}") for n in range(8)))
    await bench.turn(idle=("w1", "w2"))
    await bench.turn(bench.says("j0", "job.started"))
    await bench.turn(gone=(Gone("w1", "killed"),))

    states = await bench.states()
    assert (states["j0"], states["j2"]) == ("lost", "queued")
