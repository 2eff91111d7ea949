"""The builder's turns: what runners wrote, who died, who is met again, and who gets which job; one transaction each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Recall, Turn
from sparki_daemon.engine import records, terms
from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.engine.records import BadRecord
from sparki_daemon.engine.scheduler import Scheduler, run_of, stops
from sparki_daemon.engine.specs import Specs
from sparki_daemon.model.job import MOVES, IllegalMove, JobEvent, JobState
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.run import RunEvent
from sparki_daemon.pipeline.needs import needs_context
from sparki_daemon.queue.protocol import BUILDS, Queue
from sparki_daemon.store import cursors, jobs, runs, steps
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.system.clock import rfc3339

AHEAD_FACTOR = 2  # waiting jobs a runner from which one is given ahead: few jobs had better go to whoever is free first
AHEAD = 4  # jobs that a runner has then at the most
LINKS = 16  # jobs of a chain that a runner has at the most: each time that it is given more is a turn
ENOUGH = 256  # waiting jobs that are counted: more change nothing
ENDS = {"success": JobEvent.PASSED, "failure": JobEvent.FAILED, "cancelled": JobEvent.CANCELLED, "lost": JobEvent.RUNNER_DIED}


class Ledger:
    """Fills the builder's `Ledger`. What follows from a job's end, the scheduler knows."""

    def __init__(self, store: Store, queue: Queue, specs: Specs, scheduler: Scheduler) -> None:
        self._store = store
        self._queue = queue
        self._specs = specs
        self._scheduler = scheduler

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
        import asyncio  # noqa: PLC0415  # `sparki ci` has no event loop, and does not pay for one

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
                import logging  # noqa: PLC0415  # 4 ms, and no runner of ours writes such a record

                logging.getLogger("sparki.ledger").warning("a record of runner %s is set aside: %s", piece.runner, bad)
                await tx.append("record.refused", stream=piece.runner, runner=piece.runner, reason=str(bad))
            except (jobs.Fenced, IllegalMove) as refused:
                await tx.append("fenced", stream=run_of(record["job"]), run=run_of(record["job"]), uid=record["job"], reason=str(refused))
                if record["kind"] in ("job.finished", "job.returned"):
                    turn.ended.add(record["job"])
        turn.cursors[piece.runner] = max(taken, end)
        await cursors.advance(tx, piece.runner, max(taken, end))

    async def _record(self, tx: Tx, turn: Turn, record: dict[str, Any]) -> None:
        try:
            live, job = await self._scheduler.job(tx, record["job"])
        except (SparkiError, KeyError):
            raise BadRecord(f"there is no job {record['job']}") from None
        kind = record["kind"]
        if kind.startswith("step."):
            await self._step(tx, job, record)
        elif kind == "job.started":
            at = rfc3339(record["t"])
            if not live.started and record["epoch"] == job.row.epoch and (job.state, JobEvent.STARTED) in MOVES:
                live.started = True  # a run begins with its first job, and not after it
                await runs.move(tx, live.run, RunEvent.STARTED, at=at)
            job.row = await jobs.move(tx, job.uid, JobEvent.STARTED, epoch=record["epoch"], at=at)
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
        is_planned = 0 <= index < len(planned_steps)
        if not is_planned and not record.get("post"):  # before the planned ones come the pres of actions, behind them their posts
            raise BadRecord(f"job {job.uid} has no step {index}")
        planned = planned_steps[index].id if is_planned else ""
        if record["kind"] == "step.started":
            await steps.start(tx, job.row, index, name=record["name"], step_id=planned, log_from=record["from"], at=at)
            return
        if record["kind"] == "step.held":
            place = {"from": record["from"], "to": record["to"]}
            await steps.hold(tx, job.row, index, name=record["name"], step_id=planned, hold=record["hold"], **place)
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
        tolerated, why_not = terms.tolerated(live, job) if record["result"] == "failure" else (False, "")
        row = await jobs.move(
            tx,
            job.uid,
            ENDS[record["result"]],
            epoch=record["epoch"],
            reason=record["reason"] or why_not,
            at=rfc3339(record["t"]),
            outputs=record["outputs"],
            tolerated=tolerated,
            log_bytes=record["log"],
            summary_bytes=record.get("summary", 0),
            cache=_kept(job, record),
            tests=record.get("tests"),
        )
        if row.state is JobState.LOST:
            await steps.end_running(tx, row, outcome="failure", reason=row.reason, log_to=row.log_bytes)
        await self._scheduler.after(tx, turn, live, job, row)

    async def _assign(self, tx: Tx, turn: Turn, held: dict[str, list[str]]) -> None:
        """Give queued jobs to idle runners; and ahead, where that keeps nobody waiting: it hides the way of an end to the next start."""
        turn.waiting = await self._queue.depth(tx, BUILDS, most=ENOUGH)
        for most in range(1, AHEAD + 1):
            if not turn.waiting or (most > 1 and turn.waiting < AHEAD_FACTOR * len(held)):
                break
            room = [name for name, uids in held.items() if len(uids) < most]
            while room and (taken := await self._queue.take(tx, BUILDS, len(room))):
                turn.waiting -= len(taken)
                for uid in taken:
                    live, job = await self._scheduler.job(tx, uid)
                    if job.state is not JobState.QUEUED:  # delivered twice, or cancelled meanwhile
                        continue
                    if reason := self._specs.without_secrets(live):
                        row = await jobs.move(tx, uid, JobEvent.FAILED, reason=reason)
                        await self._scheduler.after(tx, turn, live, job, row)
                    else:
                        await self._give(tx, turn, live, job, room.pop(0), held)
        if turn.waiting <= 0:
            await self._recall(tx, turn, held)
            await self._give_links(tx, turn, held)

    async def _recall(self, tx: Tx, turn: Turn, held: Mapping[str, list[str]]) -> None:
        """Ask for jobs back that wait behind others while runners are idle."""
        idle = sum(not uids for uids in held.values())
        for uids in sorted(held.values(), key=len, reverse=True)[:idle]:
            for uid in reversed(uids[1:]):
                live, job = await self._scheduler.job(tx, uid)
                if live.met(job):
                    turn.recall.append(Recall(job.row.runner, job.uid, job.row.epoch))
                    break

    async def _give_links(self, tx: Tx, turn: Turn, held: dict[str, list[str]]) -> None:
        """Give runners the jobs that come right after what they have: a chain then goes on without a word to and fro."""
        for name, uids in held.items():
            while uids and len(uids) < LINKS:
                live, last = await self._scheduler.job(tx, uids[-1])
                link = self._scheduler.link_after(live, last)
                if link is None or self._specs.without_secrets(live):
                    break
                await self._give(tx, turn, live, link, name, held, after=last)

    async def _give(
        self, tx: Tx, turn: Turn, live: Live, job: LiveJob, runner: str, held: dict[str, list[str]], *, after: LiveJob | None = None
    ) -> None:
        log = self._specs.log_path(live.run, job.plan.id, job.row.attempt)
        job.row = await jobs.move(tx, job.uid, JobEvent.ASSIGNED, runner=runner, log=log)
        if after is None:
            spec = self._specs.job(live, job, needs_context(job.plan, live.results))
        else:
            spec = self._specs.job(live, job, {})
            spec["after"] = {"job": after.uid, "epoch": after.row.epoch, "base": after.plan.base}
        turn.assign.append((runner, spec))
        held[runner].append(job.uid)

    # -- deaths and meetings -------------------------------------------------------------------------------------------

    async def _lose(self, tx: Tx, turn: Turn, runner: str, reason: str) -> None:
        """Judge what a dead runner held: begun is lost; not begun goes back to the queue."""
        for row in await jobs.held_by(tx, runner):
            live, job = await self._scheduler.job(tx, row.uid)
            if row.state is JobState.RUNNING:
                await self._is_lost(tx, turn, live, job, reason)
            else:
                await self._return(tx, live, job)

    async def _is_lost(self, tx: Tx, turn: Turn, live: Live, job: LiveJob, reason: str) -> None:
        size = self._specs.log_size(job.row.log)
        await steps.end_running(tx, job.row, outcome="failure", reason=reason, log_to=size)
        row = await jobs.move(tx, job.uid, JobEvent.RUNNER_DIED, epoch=job.row.epoch, reason=reason, log_bytes=size)
        await self._scheduler.after(tx, turn, live, job, row)

    async def _return(self, tx: Tx, live: Live, job: LiveJob, *, epoch: int | None = None) -> None:
        job.row = await jobs.move(tx, job.uid, JobEvent.RETURNED, epoch=job.row.epoch if epoch is None else epoch)
        live.offered.discard(job.plan.id)
        await self._scheduler.decide(tx, live, [job] if live.met(job) else [])

    async def _meet(self, tx: Tx, turn: Turn, runner: Attached) -> None:
        """Compare what a runner says that it holds with what the journal says."""
        for row in await jobs.held_by(tx, runner.runner):
            live, job = await self._scheduler.job(tx, row.uid)
            if (row.uid, row.epoch) == (runner.job, runner.epoch):
                turn.stop += stops([job], force=False) if live.cancelling else []
            elif row.state is JobState.ASSIGNED:
                await self._return(tx, live, job)
            else:
                await self._is_lost(tx, turn, live, job, "its runner no longer knows it")


def _kept(job: LiveJob, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the cache has to say of a job that has run: why, and what was kept of it; None: nothing more than before."""
    kept = record.get("kept")
    return {**json.loads(job.row.cache or "{}"), "kept": kept} if isinstance(kept, dict) else None
