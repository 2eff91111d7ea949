"""What happens to runs and jobs, each change in one transaction with its events and its consequences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sparki_daemon.builder.ports import Stop, Turn
from sparki_daemon.engine import folding, terms
from sparki_daemon.engine.folding import uid_of
from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.engine.specs import Specs
from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.job import JobEvent, JobState
from sparki_daemon.model.plan import JobPlan, Plan, plan_from_json
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.model.run import RunEvent, RunState, verdict
from sparki_daemon.pipeline.expand import with_legs
from sparki_daemon.pipeline.hosts import skip_reason
from sparki_daemon.queue.protocol import BUILDS, Queue
from sparki_daemon.store import jobs, runs
from sparki_daemon.store.protocol import Store, Tx

BUSY = (JobState.ASSIGNED, JobState.RUNNING)
PAST_RUNS = 4  # ended ones whose logs are remembered: of a run from the cache, followers hear only once all of it has ended


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
        self._past: dict[str, dict[str, tuple[int, str]]] = {}  # run → job → attempt and log
        store.on_rollback(self._forget)

    def _forget(self) -> None:
        self._live.clear()
        self._past.clear()

    async def after(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, row: jobs.JobRow) -> None:
        """What follows from the end of a job: successors, fail-fast, the end of its run."""
        ready = live.ended(job, row)
        if row.state is JobState.FAILURE and not row.tolerated and job.plan.matrix and job.plan.strategy.get("fail-fast", True):
            ready += await self._cancel_legs(tx, turn, live, job)
        await self.decide(tx, live, ready)

    async def _cancel_legs(self, tx: Tx, turn: Turn, live: Live, failed: LiveJob) -> list[LiveJob]:
        ready: list[LiveJob] = []
        for leg in live.legs[failed.plan.base]:
            if leg.state is JobState.QUEUED:
                ready += await self._cancel_queued(tx, live, leg, f"fail-fast: {failed.plan.id} failed")
        turn.stop += stops(live.legs[failed.plan.base], force=False)
        return ready

    async def _cancel_queued(self, tx: Tx, live: Live, job: LiveJob, reason: str) -> list[LiveJob]:
        row = await jobs.move(tx, job.uid, JobEvent.CANCELLED, reason=reason)
        await self._queue.drop(tx, BUILDS, [job.uid])
        live.unhold(job)
        return live.ended(job, row)

    # -- who may go ----------------------------------------------------------------------------------------------------

    async def decide(self, tx: Tx, live: Live, ready: list[LiveJob]) -> None:
        """Judge the `if` of jobs whose needs have ended: queue them, or skip them and judge those after them."""
        waiting = list(ready)
        while waiting:
            job = waiting.pop(0)
            if job.state is not JobState.QUEUED:
                continue
            try:
                goes = terms.goes(live, job)
                if goes and job.plan.deferred:
                    waiting[:0] = await self._expand(tx, live, job)
                    continue
            except SparkiError as error:
                job = await self._whole(tx, live, job, waiting)
                row = await jobs.move(tx, job.uid, JobEvent.FAILED, reason="; ".join(_line(problem) for problem in error.problems))
                waiting += live.ended(job, row)
                continue
            if reason := skip_reason(job.plan, self._system) if goes else "":
                waiting += live.ended(job, await jobs.move(tx, job.uid, JobEvent.SKIPPED, reason=reason))
            elif goes:
                waiting += await self._go(tx, live, job)
            else:
                job = await self._whole(tx, live, job, waiting)
                row = await jobs.move(tx, job.uid, JobEvent.CANCELLED if live.cancelling else JobEvent.SKIPPED)
                waiting += live.ended(job, row)
        if offers := live.offers():
            await self._queue.put(tx, BUILDS, [job.uid for job in offers])
        if live.unfinished == 0:
            self._specs.keep_logs(live.run)
            await runs.move(tx, live.run, verdict((job.state, job.tolerated) for job in live.jobs.values()))
            self._live.pop(live.run, None)
            self._past[live.run] = {uid: (job.row.attempt, job.row.log) for uid, job in live.by_uid.items()}
            if len(self._past) > PAST_RUNS:
                del self._past[next(iter(self._past))]

    async def _whole(self, tx: Tx, live: Live, job: LiveJob, waiting: list[LiveJob]) -> LiveJob:
        """What ends where `job` does not go: all legs of its matrix as one, which leave `waiting`, or it alone."""
        whole = await folding.whole(tx, live, job)
        if whole is not job:
            waiting[:] = [other for other in waiting if other.plan.base != job.plan.base]
        return whole

    async def _go(self, tx: Tx, live: Live, job: LiveJob) -> list[LiveJob]:
        """A job may run: an earlier result ends it here and now, and gives those that it makes ready; else it is held for a runner."""
        if job.plan.cache is not None:
            from sparki_daemon.engine import cached  # noqa: PLC0415  # most jobs declare no cache: `sparki ci` of such a one does without

            log_path = self._specs.log_path(live.run, job.plan.id, job.row.attempt)
            found = self._specs.caching.look(live, job, log_path)
            if isinstance(found, cached.Hit):
                return live.ended(job, await cached.end(tx, live, job, found, log_path))
            if found is not None:
                job.row = await jobs.note_cache(tx, job.row, found.told)
        live.hold(job)
        return []

    async def _expand(self, tx: Tx, live: Live, job: LiveJob) -> list[LiveJob]:
        """Put a job's legs in its place, now that its matrix, name and labels can be computed. Raises SparkiError where they can't."""
        plans = terms.legs(live, job)
        plan = with_legs(live.plan, job.plan.id, plans)
        news = [jobs.NewJob(f"{job.uid}.{index}", leg.id, leg.base, leg.name) for index, leg in enumerate(plans)]
        by_uid = {new.uid: leg for new, leg in zip(news, plans, strict=True)}
        rows = await jobs.expand(tx, job.row, news)
        await runs.expand_plan(tx, live.run, plan.to_json())
        legs = [LiveJob(row, by_uid[row.uid]) for row in rows]
        live.expand(job, legs, plan)
        return legs

    async def recover(self) -> set[str]:
        """After a start: go on with every active run. Gives the runners that the journal believes busy."""

        async def go_on(tx: Tx) -> set[str]:
            for row in await runs.active(tx):
                live = await self._run(tx, row.id)
                await self.decide(tx, live, live.ready())
            return {row.runner for row in await jobs.unfinished(tx) if row.runner}

        return await self._store.write(go_on)

    # -- what people ask -----------------------------------------------------------------------------------------------

    async def begin(self, tx: Tx, new: NewRun) -> None:
        """Write a new run with its jobs, and queue those that may go."""
        plan_text = json.dumps(new.plan.to_json())
        await runs.create(
            tx,
            new.id,
            project=new.project,
            pipeline=new.plan.name,
            file=new.plan.file,
            source=new.source,
            plan=plan_text,
            spec=new.spec,
            options=new.options,
            title=new.title,
            number=new.number,
        )
        rows = [jobs.NewJob(uid_of(new.id, position), job.id, job.base, job.name) for position, job in enumerate(new.plan.jobs)]
        made = await jobs.create_many(tx, new.id, rows)
        live = self._live[new.id] = Live(
            new.id,
            new.plan,
            [LiveJob(row, plan) for row, plan in zip(made, new.plan.jobs, strict=True)],
            spec=_of_attempt(json.loads(json.dumps(new.spec)), 1),  # as a later engine reads it
            limit=new.options.get("max_parallel"),
            plan_text=plan_text,
        )
        await self.decide(tx, live, live.ready())

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
            if live.by_uid.get(job.uid) is not job:
                continue  # a leg whose matrix was never expanded: one job ended for all of them
            offered = job.plan.id in live.offered or job.uid in held
            if job.state is JobState.QUEUED and (force or (offered and not self._wants_cancelled(live, job))):
                ending = job if offered else await self._whole(tx, live, job, ready)
                ready += await self._cancel_queued(tx, live, ending, "the run was cancelled")
        await self.decide(tx, live, ready)
        return stops(live.jobs.values(), force=force)

    def _wants_cancelled(self, live: Live, job: LiveJob) -> bool:
        try:
            return terms.goes(live, job)
        except SparkiError:
            return False

    async def retry(self, tx: Tx, run: str, *, failed: bool, resume: Mapping[str, Mapping[str, Any]] | None = None) -> int:
        """Begin the run's next attempt, and give its number: all jobs, or with `failed` those that did not succeed and all after them.

        A job that ran after a failure, by `always()` say, has seen results that no longer hold. Source: GitHub's docs, "Re-running
        failed jobs": failed jobs and their dependents. `resume`: where some of them go on, by uid.
        """
        row = await self._row(tx, run)
        if not row.state.terminal:
            raise SparkiError(Problem(code="run_active", message=f"run {run} is still {row.state}"), exit_code=ExitCode.RED)
        found = await jobs.of_run(tx, run)
        red = {job.base for job in found if job.state not in (JobState.SUCCESS, JobState.SKIPPED)}
        if failed and not red:
            problem = Problem(
                code="nothing_to_retry", message=f"every job of run {run} succeeded", hint="without --failed all of them run again"
            )
            raise SparkiError(problem)
        plan = plan_from_json((await runs.documents(tx, run))[0])
        after = set(dependents_of(plan, red))
        await runs.move(tx, run, RunEvent.RETRIED)
        again = {job.uid for job in found if not failed or job.base in after or (job.base in red and job.state is not JobState.SUCCESS)}
        found = await folding.as_planned(tx, run, found, {job.base for job in found if job.uid in again}, late=not failed)
        for job in found:
            if job.uid in again:
                await jobs.move(tx, job.uid, JobEvent.RETRIED, resume=(resume or {}).get(job.uid))
        self._live.pop(run, None)
        self._past.pop(run, None)
        live = await self._run(tx, run)
        await self.decide(tx, live, live.ready())
        return row.attempt + 1

    def link_after(self, live: Live, job: LiveJob) -> LiveJob | None:
        """The job that a runner may be given before `job`, which it has, has ended; None: there is none."""
        link = live.link_after(job)
        return None if link is None or skip_reason(link.plan, self._system) else link

    # -- the cache of rows ---------------------------------------------------------------------------------------------

    async def job(self, tx: Tx, uid: str) -> tuple[Live, LiveJob]:
        live = await self._run(tx, run_of(uid))
        return live, live.by_uid[uid]

    def live_log(self, run: str, uid: str, attempt: int) -> str | None:
        """The log of that attempt at a job, without `.log`, where its run goes on or is among the last that ended; None: it is neither.

        May be asked from the loop.
        """
        live = self._live.get(run)
        job = live.by_uid.get(uid) if live else None
        known = (job.row.attempt, job.row.log) if job else self._past.get(run, {}).get(uid, (0, ""))
        return known[1] or None if known[0] == attempt else None

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
                spec=_of_attempt(spec, row.attempt),
                attempt=row.attempt,
                cancelling=row.cancelling,
                started=row.state is not RunState.QUEUED,
                limit=row.options.get("max_parallel"),
                expansions=sum("." in job.uid for job in found),
                offered={job.plan.id for job in found if job.uid in waiting or job.state in BUSY},
            )
        return self._live[run]


def _of_attempt(spec: dict[str, Any], attempt: int) -> dict[str, Any]:
    return {**spec, "github": {**spec["github"], "run_attempt": str(attempt)}}


def dependents_of(plan: Plan, bases: Iterable[str]) -> Iterable[str]:
    """The bases that need one of `bases`, near or far."""
    needing: dict[str, set[str]] = {}
    for job in plan.jobs:
        for need in job.needs:
            needing.setdefault(need, set()).add(job.base)
    reached = list(bases)
    known = set(reached)
    for base in reached:  # grows while it is walked
        fresh = needing.get(base, set()) - known
        known |= fresh
        reached += fresh
        yield from needing.get(base, ())


def stops(which: Iterable[LiveJob], *, force: bool) -> list[Stop]:
    return [Stop(job.row.runner, job.uid, job.row.epoch, force) for job in which if job.state in BUSY]


def _line(problem: Problem) -> str:
    return f"{problem.at}: {problem.message}" if problem.at else problem.message
