"""The scheduler on a real store: what a runner's records make of runs and jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Turn
from sparki_daemon.engine.ledger import Ledger
from sparki_daemon.engine.scheduler import NewRun, Scheduler, run_of, uid_of
from sparki_daemon.engine.specs import Specs
from sparki_daemon.model.plan import JobPlan, Plan, StepPlan, Template
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.store import jobs as job_rows
from sparki_daemon.store import journal, runs
from sparki_daemon.store.sqlite import SqliteStore

RUN = "r-0a"


def job(ident: str, *needs: str, condition: str = "", **more: Any) -> JobPlan:
    steps = (StepPlan(index=0, line=1, column=1, run=Template("true")),)
    when = Template(condition) if condition else None
    return JobPlan(id=ident, base=more.pop("base", ident), name=ident, line=1, column=1, needs=needs, condition=when, steps=steps, **more)


@dataclass
class Bench:
    """A scheduler with its store, and runners that do what the test says."""

    store: SqliteStore
    scheduler: Scheduler
    ledger: Ledger
    spools: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[str, int, str]] = field(default_factory=dict)  # job key → runner, epoch, uid
    holding: dict[str, list[str]] = field(default_factory=dict)  # runner → uids
    stops: list[str] = field(default_factory=list)

    async def begin(self, *jobs: JobPlan, run: str = RUN, **options: Any) -> None:
        new = NewRun(
            id=run,
            project="p-1",
            plan=Plan(name="ci", file="ci.yml", jobs=jobs),
            number=await self.store.read(lambda tx: runs.next_number(tx, "p-1", "ci.yml")),
            title="",
            source={},
            spec={"github": {}, "inputs": {}, "vars": {}},
            options=options,
        )
        await self.store.write(lambda tx: self.scheduler.begin(tx, new))

    async def turn(self, *arrived: Arrived, gone: Sequence[Gone] = (), met: Sequence[Attached] = (), idle: Sequence[str] = ()) -> Turn:
        told: list[Turn] = []
        holding = {**self.holding, **{name: [] for name in idle}}
        turn = await self.ledger.turn(list(arrived), list(gone), list(met), holding, committed=told.append)
        assert told == [turn]
        dead = {one.runner for one in gone}
        self.holding = {name: [job for job in held if job not in turn.ended] for name, held in holding.items() if name not in dead}
        for runner, spec in turn.assign:
            self.held[spec["key"]] = (runner, spec["epoch"], spec["job"])
            self.holding[runner].append(spec["job"])
        self.stops += [stop.job for stop in turn.stop]
        return turn

    def says(self, key: str, *kinds: str, result: str = "success", **more: Any) -> Arrived:
        """What the runner that holds `key` writes to its spool: one line a kind."""
        runner, epoch, uid = self.held[key]
        base = {"job": uid, "epoch": epoch, "t": 1_700_000_000_000}
        ends = {"result": result, "reason": "", "outputs": {}, "log": 0, **more}
        step = {"step": 0, "name": "Run true", "from": 0}
        done = {"outcome": "success", "conclusion": "success", "exit_code": 0, "duration_ms": 1, "to": 0, "reason": "", "left": []}
        bodies = {"job.returned": {}, "job.started": {}, "step.started": step, "step.finished": {**step, **done}, "job.finished": ends}
        data = b"".join(json.dumps({"kind": kind, **base, **bodies[kind]}).encode() + b"\n" for kind in kinds)
        offset = self.spools.get(runner, 0)
        self.spools[runner] = offset + len(data)
        return Arrived(runner, offset, data)

    async def does(self, key: str, result: str = "success", **more: Any) -> Turn:
        return await self.turn(self.says(key, "job.started", "job.finished", result=result, **more))

    async def states(self, run: str = RUN) -> dict[str, str]:
        return {row.key: row.state.value for row in await self.store.read(lambda tx: job_rows.of_run(tx, run))}

    async def status(self, run: str = RUN) -> str:
        row = await self.store.read(lambda tx: runs.get(tx, run))
        assert row is not None
        return row.state.value

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.store.read(lambda tx: journal.since(tx, 0, limit=1000))]

    async def cancel(self, *, force: bool = False) -> list[str]:
        return [stop.job for stop in await self.store.write(lambda tx: self.scheduler.cancel(tx, RUN, force=force))]

    async def retry(self, *, failed: bool) -> int:
        return await self.store.write(lambda tx: self.scheduler.retry(tx, RUN, failed=failed))


def parts(store: SqliteStore, folder: Path) -> tuple[Scheduler, Ledger]:
    queue, specs = EmbeddedQueue(), Specs(str(folder), str(folder / "fast"))
    scheduler = Scheduler(store, queue, specs)
    return scheduler, Ledger(store, queue, specs, scheduler)


@pytest.fixture
async def bench(tmp_path):
    store = SqliteStore.open(str(tmp_path / "state.db"))
    yield Bench(store, *parts(store, tmp_path))
    await store.close()


async def test_a_uid_leads_to_its_run():
    assert run_of(uid_of("r-0a1b", 17)) == "r-0a1b"


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


async def test_a_run_of_good_jobs_is_a_success_and_its_events_tell_the_story(bench):
    await bench.begin(job("one"))
    await bench.turn(idle=("w1",))
    await bench.turn(bench.says("one", "job.started", "step.started", "step.finished", "job.finished"))

    assert await bench.status() == "success"
    assert await bench.kinds() == [
        "run.created",
        "job.assigned",
        "job.started",
        "run.started",
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


async def test_an_if_that_cannot_be_evaluated_fails_its_job(bench):
    await bench.begin(job("one", condition="fromJSON('{')"))

    assert await bench.states() == {"one": "failure"}
    assert await bench.status() == "failure"


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


async def test_max_parallel_and_the_runs_own_limit_hold_jobs_back(bench):
    legs = [job(f"t-{n}", base="t", matrix={"n": n}, strategy={"max-parallel": 1}) for n in range(2)]
    await bench.begin(*legs, job("a"), job("b"), max_parallel=2)
    turn = await bench.turn(idle=("w1", "w2", "w3"))

    assert [spec["key"] for _, spec in turn.assign] == ["t-0", "a"]
    turn = await bench.does("t-0")
    assert [spec["key"] for _, spec in turn.assign] == ["t-1"]


async def test_retry_failed_runs_again_what_did_not_succeed(bench):
    await bench.begin(job("good"), job("bad"), job("after", "bad"))
    await bench.turn(idle=("w1", "w2"))
    await bench.does("good", outputs={"kept": "yes"})
    await bench.does("bad", "failure")
    assert await bench.retry(failed=True) == 2

    turn = await bench.turn(idle=("w1",))
    assert [(spec["key"], spec["attempt"], spec["epoch"]) for _, spec in turn.assign] == [("bad", 2, 2)]
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
    await bench.begin(job("one"), job("two", "one"))
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


WAITING = b"""
on: push
jobs:
  pick: {runs-on: x, outputs: {all: "${{ steps.s.outputs.all }}"}, steps: [{id: s, run: "true"}]}
  test:
    needs: pick
    runs-on: x
    strategy: {matrix: "${{ fromJSON(needs.pick.outputs.all) }}"}
    steps: [{run: "true"}]
  last: {needs: test, runs-on: x, steps: [{run: "true"}]}
"""


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

    assert [(spec["key"], spec["attempt"]) for _, spec in turn.assign] == [("test-3", 2)]
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
