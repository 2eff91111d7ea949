"""The builder's turns on a real store: records, deaths, meetings, and who gets which job."""

from __future__ import annotations

import pytest
from scheduler_bench import RUN, job

from sparki_daemon.builder.ports import Arrived, Attached, Gone
from sparki_daemon.engine.scheduler import uid_of
from sparki_daemon.store import jobs as job_rows
from sparki_daemon.vault.of_runs import RunSecrets


async def test_an_idle_runner_gets_the_oldest_job_with_its_first_epoch(bench):
    await bench.begin(job("one"), job("two"))
    turn = await bench.turn(idle=("w1",))

    assert [(runner, spec["key"], spec["epoch"]) for runner, spec in turn.assign] == [("w1", "one", 1)]
    assert turn.waiting == 1
    assert await bench.states() == {"one": "assigned", "two": "queued"}


async def test_the_end_of_a_job_gives_its_runner_the_successor_in_the_same_turn(bench):
    await bench.begin(job("one"), job("two", "one", condition="success()"))
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


async def test_where_many_jobs_wait_busy_runners_get_some_ahead(bench):
    await bench.begin(*(job(f"j{n}") for n in range(12)))
    turn = await bench.turn(idle=("w1", "w2"))

    given = [("w1", "j0"), ("w2", "j1"), ("w1", "j2"), ("w2", "j3"), ("w1", "j4"), ("w2", "j5"), ("w1", "j6"), ("w2", "j7")]
    assert [(runner, spec["key"]) for runner, spec in turn.assign] == given
    turn = await bench.does("j0")
    assert [(runner, spec["key"]) for runner, spec in turn.assign] == [("w1", "j8")]
    turn = await bench.does("j1")
    assert turn.assign == []  # three wait: they had better go to whoever is free first
    assert turn.waiting == 3


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


# -- links of a chain ----------------------------------------------------------------------------------------------------


async def test_a_runner_gets_the_jobs_that_come_right_after_its_own(bench):
    await bench.begin(job("one"), job("two", "one"), job("three", "two"))
    turn = await bench.turn(idle=("w1", "w2"))

    assert [(runner, spec["key"]) for runner, spec in turn.assign] == [("w1", "one"), ("w1", "two"), ("w1", "three")]
    assert turn.assign[0][1].get("after") is None
    assert [spec.get("after") for _, spec in turn.assign[1:]] == [
        {"job": uid_of(RUN, 0), "epoch": 1, "base": "one"},
        {"job": uid_of(RUN, 1), "epoch": 1, "base": "two"},
    ]
    ended = bench.says("one", "job.started", "job.finished"), bench.says("two", "job.started", "job.finished")
    await bench.turn(*ended)
    await bench.does("three")
    assert await bench.status() == "success"


@pytest.mark.parametrize(
    "after",
    [
        [job("two", "one", condition="always()")],
        [job("other"), job("two", "one", "other")],
        [job("two-1", "one", base="two", matrix={"n": 1}), job("two-2", "one", base="two", matrix={"n": 2})],
        [job("two", "one", deferred=("needs.one.outputs.x",))],
        [job("two", "one", runs_on=("windows-latest",))],
    ],
    ids=["if", "two needs", "legs", "deferred", "another system"],
)
async def test_a_job_is_no_link_where_anything_but_the_end_of_one_decides_on_it(bench, after):
    await bench.begin(job("one"), *after)
    turn = await bench.turn(idle=("w1", "w2"))

    assert [spec["key"] for _, spec in turn.assign if "after" in spec] == []


async def test_no_link_follows_a_job_that_may_run_after_a_failure(bench):
    await bench.begin(job("one"), job("two", "one", condition="always()"), job("three", "two"))
    await bench.turn(idle=("w1",))
    turn = await bench.does("one", "failure")
    assert [spec["key"] for _, spec in turn.assign] == ["two"]
    await bench.does("two")

    assert (await bench.states())["three"] == "skipped"


async def test_a_link_that_comes_back_after_a_failure_is_skipped_with_all_after_it(bench):
    await bench.begin(job("one"), job("two", "one"), job("three", "two"), job("last", "three", condition="always()"))
    await bench.turn(idle=("w1",))
    turn = await bench.turn(
        bench.says("one", "job.started", "job.finished", result="failure"),
        bench.says("two", "job.returned"),
        bench.says("three", "job.returned"),
    )

    assert [spec["key"] for _, spec in turn.assign] == ["last"]
    assert await bench.states() == {"one": "failure", "two": "skipped", "three": "skipped", "last": "assigned"}


async def test_a_link_whose_runner_dies_waits_for_its_need_again(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1",))
    turn = await bench.turn(gone=(Gone("w1", "gone"),), idle=("w2",))

    assert [(runner, spec["key"], spec["epoch"]) for runner, spec in turn.assign] == [("w2", "one", 2), ("w2", "two", 2)]
    await bench.turn(bench.says("one", "job.started"))
    await bench.turn(gone=(Gone("w2", "killed"),), idle=("w3",))
    assert await bench.states() == {"one": "lost", "two": "skipped"}


async def test_a_runner_met_again_without_its_links_gets_them_anew(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started"))
    _, epoch, uid = bench.held["one"]
    bench.holding["w1"] = [uid]
    turn = await bench.turn(met=(Attached("w1", uid, epoch),))

    assert [(spec["key"], spec["epoch"]) for _, spec in turn.assign] == [("two", 2)]
    await bench.turn(bench.says("one", "job.finished"), bench.says("two", "job.started", "job.finished"))
    assert await bench.status() == "success"


async def test_a_link_is_not_recalled_for_an_idle_runner(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1", "w2"))
    turn = await bench.turn(bench.says("one", "job.started"))

    assert turn.recall == []


async def test_links_do_not_count_against_the_runs_own_limit_before_their_turn(bench):
    await bench.begin(job("one"), job("two", "one"), job("other"), job("more"), max_parallel=2)
    turn = await bench.turn(idle=("w1", "w2", "w3"))

    assert {spec["key"] for _, spec in turn.assign} == {"one", "two", "other"}
    turn = await bench.does("one")
    assert turn.assign == []  # two has its place
    turn = await bench.does("two")
    assert [spec["key"] for _, spec in turn.assign] == ["more"]


async def test_a_cancel_stops_links_too(bench):
    await bench.begin(job("one"), job("two", "one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started"))

    assert await bench.cancel() == [uid_of(RUN, 0), uid_of(RUN, 1)]
    await bench.turn(bench.says("two", "job.finished", result="cancelled"), bench.says("one", "job.finished", result="cancelled"))
    assert await bench.status() == "cancelled"


async def test_a_job_is_given_its_runs_secrets_and_a_run_without_any_gives_none(bench, tmp_path):
    RunSecrets(str(tmp_path)).keep(RUN, 1, {"TOKEN": "canary"})
    await bench.begin(job("one"))
    await bench.begin(job("other"), run="r-0b")
    turn = await bench.turn(idle=("w1", "w2"))

    assert {spec["run"]: spec.get("secrets") for _, spec in turn.assign} == {RUN: {"TOKEN": "canary"}, "r-0b": None}


async def test_jobs_whose_secrets_can_not_be_read_fail_with_the_reason_and_keep_nobody_up(bench, tmp_path):
    RunSecrets(str(tmp_path)).keep(RUN, 1, {"TOKEN": "canary"})
    (tmp_path / "secrets/key").unlink()
    await bench.begin(job("one"), job("two", "one", condition="always()"))
    await bench.begin(job("other"), run="r-0b")
    turns = [await bench.turn(idle=("w1", "w2")) for _ in range(3)]

    assert [spec["run"] for turn in turns for _, spec in turn.assign] == ["r-0b"]
    assert await bench.states() == {"one": "failure", "two": "failure"}
    row = await bench.store.read(lambda tx: job_rows.get(tx, uid_of(RUN, 0)))
    assert "secrets can't be read" in row.reason
