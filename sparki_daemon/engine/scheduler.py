"""What happens to runs and jobs, each change in one transaction with its events and its consequences."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Recall, Stop, Turn
from sparki_daemon.engine import records, terms
from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.engine.records import BadRecord
from sparki_daemon.engine.specs import Specs
from sparki_daemon.model.job import IllegalMove, JobEvent, JobState
from sparki_daemon.model.plan import JobPlan, Plan, plan_from_json
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.model.run import RunEvent, RunState, verdict
from sparki_daemon.pipeline.expand import with_legs
from sparki_daemon.pipeline.hosts import skip_reason
from sparki_daemon.pipeline.needs import needs_context
from sparki_daemon.queue.protocol import BUILDS, Queue
from sparki_daemon.store import cursors, jobs, runs, steps
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.system.clock import rfc3339

log = logging.getLogger("sparki.scheduler")
AHEAD_FACTOR = 2  # waiting jobs a runner from which one is given ahead: few jobs had better go to whoever is free first
ENOUGH = 256  # waiting jobs that are counted: more change nothing
BUSY = (JobState.ASSIGNED, JobState.RUNNING)
ENDS = {"success": JobEvent.PASSED, "failure": JobEvent.FAILED, "cancelled": JobEvent.CANCELLED, "lost": JobEvent.RUNNER_DIED}


def uid_of(run: str, position: int) -> str:
    """The uid of a run's job: `j-`, what follows `r-` in the run's id, and its place in the plan."""
    return f"j-{run[2:]}-{position}"


def run_of(uid: str) -> str:
    """The run of a job's uid."""
    return f"r-{uid[2:].rpartition('-')[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to begin."""

    id: str
    project: str
    plan: Plan
    number: int
    title: str
    source: dict[str, Any]
    spec: dict[str, Any]  # RunSpec without the plan
    options: dict[str, Any]  # max_parallel, jobs, directory


class Scheduler:
    """The one that moves runs and jobs. Its methods that take a Tx run in the store's writer, one at a time."""

    def __init__(self, store: Store, queue: Queue, specs: Specs, *, system: str = "Linux") -> None:
        self._store = store
        self._queue = queue
        self._specs = specs
        self._system = system  # as RUNNER_OS names it: jobs for another one are skipped
        self._live: dict[str, Live] = {}  # a cache of the rows, which a rollback empties
        store.on_rollback(self._live.clear)

    # -- the builder's Ledger ------------------------------------------------------------------------------------------

    async def turn(
        self,
        arrived: list[Arrived],
        gone: list[Gone],
        attached: list[Attached],
        holding: Mapping[str, Sequence[str]],
        *,
        committed: Callable[[Turn], None],
    ) -> Turn:
        return await self._store.write(partial(self._turn, arrived, gone, attached, holding), first=committed)

    async def cursor(self, runner: str) -> int:
        return await self._store.read(lambda tx: cursors.get(tx, runner))

    async def forget(self, runner: str) -> None:
        await asyncio.to_thread(self._specs.forget_runner, runner)
        await self._store.write(lambda tx: cursors.delete(tx, runner))
        self._specs.sweep_runner(runner)

    async def _turn(
        self, arrived: list[Arrived], gone: list[Gone], attached: list[Attached], holding: Mapping[str, Sequence[str]], tx: Tx
    ) -> Turn:
        turn = Turn()
        for piece in arrived:
            await self._take(tx, turn, piece)
        for runner in gone:
            await self._lose(tx, turn, runner.runner, runner.reason)
        for met in attached:
            await self._meet(tx, turn, met)
        dead = {runner.runner for runner in gone}
        idle_first = sorted(holding.items(), key=lambda one: bool(one[1]))  # whose job ends in this turn has still to tidy up
        left = {name: [job for job in held if job not in turn.ended] for name, held in idle_first if name not in dead}
        await self._assign(tx, turn, left)
        return turn

    async def _take(self, tx: Tx, turn: Turn, piece: Arrived) -> None:
        """Bring a piece of a spool into the journal: what lies before the cursor was taken already."""
        taken = turn.cursors.get(piece.runner)
        if taken is None:
            taken = await cursors.get(tx, piece.runner)
        end = piece.offset + len(piece.data)
        if piece.offset > taken:
            raise ValueError(f"spool of {piece.runner}: bytes from {piece.offset}, but the journal has only {taken}")
        for line in piece.data[taken - piece.offset :].splitlines() if end > taken else ():
            try:
                record = records.read(line)
                await self._record(tx, turn, record)
            except BadRecord as bad:
                log.warning("a record of runner %s is set aside: %s", piece.runner, bad)
                await tx.append("record.refused", stream=piece.runner, runner=piece.runner, reason=str(bad))
            except (jobs.Fenced, IllegalMove) as refused:
                await tx.append("fenced", stream=run_of(record["job"]), run=run_of(record["job"]), uid=record["job"], reason=str(refused))
                if record["kind"] in ("job.finished", "job.returned"):
                    turn.ended.add(record["job"])
        turn.cursors[piece.runner] = max(taken, end)
        await cursors.advance(tx, piece.runner, max(taken, end))

    async def _record(self, tx: Tx, turn: Turn, record: dict[str, Any]) -> None:
        try:
            live, job = await self._job(tx, record["job"])
        except (SparkiError, KeyError):
            raise BadRecord(f"there is no job {record['job']}") from None
        kind = record["kind"]
        if kind.startswith("step."):
            await self._step(tx, job, record)
        elif kind == "job.started":
            job.row = await jobs.move(tx, job.uid, JobEvent.STARTED, epoch=record["epoch"], at=rfc3339(record["t"]))
            if not live.started:
                live.started = True
                await runs.move(tx, live.run, RunEvent.STARTED)
        elif kind == "job.finished":
            await self._job_ends(tx, turn, live, job, record)
            turn.ended.add(job.uid)
        elif kind == "job.returned":
            await self._return(tx, live, job, epoch=record["epoch"])
            turn.ended.add(job.uid)

    async def _step(self, tx: Tx, job: LiveJob, record: dict[str, Any]) -> None:
        if record["epoch"] != job.row.epoch:
            raise jobs.Fenced(job.row, record["epoch"])
        index, at = record["step"], rfc3339(record["t"])
        planned_steps = job.plan.steps
        if not 0 <= index < 2 * len(planned_steps) + 1:  # behind the planned ones come the posts of actions
            raise BadRecord(f"job {job.uid} has no step {index}")
        planned = planned_steps[index].id if index < len(planned_steps) else ""
        if record["kind"] == "step.started":
            await steps.start(tx, job.row, index, name=record["name"], step_id=planned, log_from=record["from"], at=at)
            return
        await steps.finish(
            tx,
            job.row,
            index,
            name=record["name"],
            outcome=record["outcome"],
            conclusion=record["conclusion"],
            step_id=planned,
            exit_code=record["exit_code"],
            reason=record["reason"],
            duration_ms=record["duration_ms"],
            log_from=record["from"],
            log_to=record["to"],
            left=record["left"],
            annotations=record.get("annotations", ()),
            at=at,
        )

    async def _job_ends(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, record: dict[str, Any]) -> None:
        row = await jobs.move(
            tx,
            job.uid,
            ENDS[record["result"]],
            epoch=record["epoch"],
            reason=record["reason"],
            at=rfc3339(record["t"]),
            outputs=record["outputs"],
            tolerated=record["result"] == "failure" and terms.tolerated(live, job),
            log_bytes=record["log"],
            summary_bytes=record.get("summary", 0),
        )
        if row.state is JobState.LOST:
            await steps.end_running(tx, row, outcome="failure", reason=row.reason, log_to=row.log_bytes)
        await self._after(tx, turn, live, job, row)

    async def _after(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, row: jobs.JobRow) -> None:
        """What follows from the end of a job: successors, fail-fast, the end of its run."""
        ready = live.ended(job, row)
        if row.state is JobState.FAILURE and not row.tolerated and job.plan.matrix and job.plan.strategy.get("fail-fast", True):
            ready += await self._cancel_legs(tx, turn, live, job)
        await self._decide(tx, live, ready)

    async def _cancel_legs(self, tx: Tx, turn: Turn, live: Live, failed: LiveJob) -> list[LiveJob]:
        ready: list[LiveJob] = []
        for leg in live.legs[failed.plan.base]:
            if leg.state is JobState.QUEUED:
                ready += await self._cancel_queued(tx, live, leg, f"fail-fast: {failed.plan.id} failed")
        turn.stop += _stops(live.legs[failed.plan.base], force=False)
        return ready

    async def _cancel_queued(self, tx: Tx, live: Live, job: LiveJob, reason: str) -> list[LiveJob]:
        row = await jobs.move(tx, job.uid, JobEvent.CANCELLED, reason=reason)
        await self._queue.drop(tx, BUILDS, [job.uid])
        live.unhold(job)
        return live.ended(job, row)

    # -- who may go ----------------------------------------------------------------------------------------------------

    async def _decide(self, tx: Tx, live: Live, ready: list[LiveJob]) -> None:
        """Judge the `if` of jobs whose needs have ended: queue them, or skip them and judge those after them."""
        waiting = list(ready)
        while waiting:
            job = waiting.pop(0)
            if job.state is not JobState.QUEUED:
                continue
            if reason := skip_reason(job.plan, self._system):
                waiting += live.ended(job, await jobs.move(tx, job.uid, JobEvent.SKIPPED, reason=reason))
                continue
            try:
                goes = terms.goes(live, job)
                if goes and job.plan.deferred:
                    waiting[:0] = await self._expand(tx, live, job)
                    continue
            except SparkiError as error:
                row = await jobs.move(tx, job.uid, JobEvent.FAILED, reason="; ".join(_line(problem) for problem in error.problems))
                waiting += live.ended(job, row)
                continue
            if goes:
                live.hold(job)
            else:
                row = await jobs.move(tx, job.uid, JobEvent.CANCELLED if live.cancelling else JobEvent.SKIPPED)
                waiting += live.ended(job, row)
        if offers := live.offers():
            await self._queue.put(tx, BUILDS, [job.uid for job in offers])
        if live.unfinished == 0:
            self._specs.keep_logs(live.run)
            await runs.move(tx, live.run, verdict((job.state, job.tolerated) for job in live.jobs.values()))
            self._live.pop(live.run, None)

    async def _expand(self, tx: Tx, live: Live, job: LiveJob) -> list[LiveJob]:
        """Put a job's legs in its place, now that its matrix, name and labels can be computed. Raises SparkiError where they can't."""
        plans = terms.legs(live, job)
        plan = with_legs(live.plan, job.plan.id, plans)
        news = [jobs.NewJob(f"{job.uid}.{index}", leg.id, leg.base, leg.name) for index, leg in enumerate(plans)]
        by_uid = {new.uid: leg for new, leg in zip(news, plans, strict=True)}
        rows = await jobs.expand(tx, job.row, news)
        await runs.replace_plan(tx, live.run, plan.to_json())
        legs = [LiveJob(row, by_uid[row.uid]) for row in rows]
        live.expand(job, legs, plan)
        return legs

    async def _assign(self, tx: Tx, turn: Turn, holding: Mapping[str, list[str]]) -> None:
        """Give queued jobs to idle runners; where many wait, one ahead to busy ones, which hides the way of an end to the next start."""
        free = [name for name, held in holding.items() if not held]
        while free and (taken := await self._queue.take(tx, BUILDS, len(free))):
            await self._give_all(tx, turn, taken, free)
        turn.waiting = await self._queue.depth(tx, BUILDS, most=ENOUGH)
        if turn.waiting >= AHEAD_FACTOR * max(1, len(holding)):
            room = [name for name, held in holding.items() if len(held) < 2 and name not in free]
            taken = await self._queue.take(tx, BUILDS, len(room))
            await self._give_all(tx, turn, taken, room)
            turn.waiting -= len(taken)
        elif free and not turn.waiting:
            for held in [held for held in holding.values() if len(held) > 1][: len(free)]:
                _, job = await self._job(tx, held[1])
                turn.recall.append(Recall(job.row.runner, job.uid, job.row.epoch))

    async def _give_all(self, tx: Tx, turn: Turn, taken: Iterable[str], runners: list[str]) -> None:
        for uid in taken:
            live, job = await self._job(tx, uid)
            if job.state is JobState.QUEUED:  # else: delivered twice, or cancelled meanwhile
                await self._give(tx, turn, live, job, runners)

    async def _give(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, free: list[str]) -> None:
        runner = free.pop(0)
        log = self._specs.log_path(live.run, job.plan.id, job.row.attempt)
        job.row = await jobs.move(tx, job.uid, JobEvent.ASSIGNED, runner=runner, log=log)
        turn.assign.append((runner, self._specs.job(live, job, needs_context(job.plan, live.results))))

    # -- deaths and meetings -------------------------------------------------------------------------------------------

    async def _lose(self, tx: Tx, turn: Turn, runner: str, reason: str) -> None:
        """Judge what a dead runner held: begun is lost; not begun goes back to the queue."""
        for row in await jobs.held_by(tx, runner):
            live, job = await self._job(tx, row.uid)
            if row.state is JobState.RUNNING:
                await self._is_lost(tx, turn, live, job, reason)
            else:
                await self._return(tx, live, job)

    async def _is_lost(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, reason: str) -> None:
        size = self._specs.log_size(job.row.log)
        await steps.end_running(tx, job.row, outcome="failure", reason=reason, log_to=size)
        row = await jobs.move(tx, job.uid, JobEvent.RUNNER_DIED, epoch=job.row.epoch, reason=reason, log_bytes=size)
        await self._after(tx, turn, live, job, row)

    async def _return(self, tx: Tx, live: Live, job: LiveJob, *, epoch: int | None = None) -> None:
        job.row = await jobs.move(tx, job.uid, JobEvent.RETURNED, epoch=job.row.epoch if epoch is None else epoch)
        live.offered.discard(job.plan.id)
        await self._decide(tx, live, [job])

    async def _meet(self, tx: Tx, turn: Turn, runner: Attached) -> None:
        """Compare what a runner says that it holds with what the journal says."""
        for row in await jobs.held_by(tx, runner.runner):
            live, job = await self._job(tx, row.uid)
            if (row.uid, row.epoch) == (runner.job, runner.epoch):
                turn.stop += _stops([job], force=False) if live.cancelling else []
            elif row.state is JobState.ASSIGNED:
                await self._return(tx, live, job)
            else:
                await self._is_lost(tx, turn, live, job, "its runner no longer knows it")

    async def recover(self) -> set[str]:
        """After a start: go on with every active run. Gives the runners that the journal believes busy."""

        async def go_on(tx: Tx) -> set[str]:
            for row in await runs.active(tx):
                live = await self._run(tx, row.id)
                await self._decide(tx, live, live.ready())
            return {row.runner for row in await jobs.unfinished(tx) if row.runner}

        return await self._store.write(go_on)

    # -- what people ask -----------------------------------------------------------------------------------------------

    async def begin(self, tx: Tx, new: NewRun) -> None:
        """Write a new run with its jobs, and queue those that may go."""
        await runs.create(
            tx,
            new.id,
            project=new.project,
            pipeline=new.plan.name,
            file=new.plan.file,
            source=new.source,
            plan=new.plan.to_json(),
            spec=new.spec,
            options=new.options,
            title=new.title,
            number=new.number,
        )
        rows = [jobs.NewJob(uid_of(new.id, position), job.id, job.base, job.name) for position, job in enumerate(new.plan.jobs)]
        await jobs.create_many(tx, new.id, rows)
        live = await self._run(tx, new.id)
        await self._decide(tx, live, live.ready())

    async def cancel(self, tx: Tx, run: str, *, force: bool) -> list[Stop]:
        """Cancel a run: what waits ends at once, unless its `if` wants to run after a cancel; what runs is told.

        Raises SparkiError `run_finished` where there is nothing to cancel.
        """
        row = await self._row(tx, run)
        if row.state.terminal:
            problem = Problem(code="run_finished", message=f"run {run} has ended already: {row.state}")
            raise SparkiError(problem, exit_code=ExitCode.RED)
        live = await self._run(tx, run)
        live.cancelling = True
        await runs.set_cancelling(tx, run)
        await tx.append("run.cancelling", stream=run, run=run, force=force)
        held = {job.uid for job in live.held()}
        ready: list[LiveJob] = []
        for job in list(live.jobs.values()):
            offered = job.plan.id in live.offered or job.uid in held
            if job.state is JobState.QUEUED and (force or (offered and not self._wants_cancelled(live, job))):
                ready += await self._cancel_queued(tx, live, job, "the run was cancelled")
        await self._decide(tx, live, ready)
        return _stops(live.jobs.values(), force=force)

    def _wants_cancelled(self, live: Live, job: LiveJob) -> bool:
        try:
            return terms.goes(live, job)
        except SparkiError:
            return False

    async def retry(self, tx: Tx, run: str, *, failed: bool) -> int:
        """Begin the run's next attempt, and give its number: all jobs, or with `failed` those that did not succeed."""
        row = await self._row(tx, run)
        if not row.state.terminal:
            raise SparkiError(Problem(code="run_active", message=f"run {run} is still {row.state}"), exit_code=ExitCode.RED)
        again = [job for job in await jobs.of_run(tx, run) if not failed or job.state is not JobState.SUCCESS]
        if not any(job.state is not JobState.SKIPPED for job in again):
            problem = Problem(
                code="nothing_to_retry", message=f"every job of run {run} succeeded", hint="without --failed all of them run again"
            )
            raise SparkiError(problem)
        await runs.move(tx, run, RunEvent.RETRIED)
        for job in again:
            await jobs.move(tx, job.uid, JobEvent.RETRIED)
        self._live.pop(run, None)
        live = await self._run(tx, run)
        await self._decide(tx, live, live.ready())
        return row.attempt + 1

    # -- the cache of rows ---------------------------------------------------------------------------------------------

    async def _job(self, tx: Tx, uid: str) -> tuple[Live, LiveJob]:
        live = await self._run(tx, run_of(uid))
        return live, live.by_uid[uid]

    async def _row(self, tx: Tx, run: str) -> runs.RunRow:
        row = await runs.get(tx, run)
        if row is None:
            raise SparkiError(Problem(code="no_such_run", message=f"there is no run {run}"), exit_code=ExitCode.NOT_FOUND)
        return row

    async def _run(self, tx: Tx, run: str) -> Live:
        if run not in self._live:
            row = await self._row(tx, run)
            plan_data, spec = await runs.documents(tx, run)
            plan = plan_from_json(plan_data)
            by_key: dict[str, JobPlan] = {job.id: job for job in plan.jobs}
            found = [LiveJob(job, by_key[job.key]) for job in await jobs.of_run(tx, run)]
            waiting = set(await self._queue.waiting(tx, BUILDS))
            self._live[run] = Live(
                run,
                plan,
                found,
                spec=spec,
                attempt=row.attempt,
                cancelling=row.cancelling,
                started=row.state is not RunState.QUEUED,
                limit=row.options.get("max_parallel"),
                expansions=sum("." in job.uid for job in found),
                offered={job.plan.id for job in found if job.uid in waiting or job.state in BUSY},
            )
        return self._live[run]


def _stops(which: Iterable[LiveJob], *, force: bool) -> list[Stop]:
    return [Stop(job.row.runner, job.uid, job.row.epoch, force) for job in which if job.state in BUSY]


def _line(problem: Problem) -> str:
    return f"{problem.at}: {problem.message}" if problem.at else problem.message
