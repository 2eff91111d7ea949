"""Jobs: made with their run, then moved by one function from state to state with an event each time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.job import MOVES, TERMINAL, IllegalMove, JobEvent, JobState, advance
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = """uid, run, position, key, base, name, state, reason, tolerated, cached, epoch, attempt, runner, outputs,
    log, log_bytes, created, started, finished, summary_bytes, cache, tests, resume"""
INSERT = f"""
    INSERT INTO jobs ({COLUMNS})
    VALUES (:uid, :run, :position, :key, :base, :name, 'queued', '', 0, 0, :epoch, :attempt, '', '{{}}', '', 0, :created, NULL, NULL, 0,
        '', '', '')
"""  # noqa: S608  # every SQL text here is put together from this module's own words
GET = f"SELECT {COLUMNS} FROM jobs WHERE uid = :uid"  # noqa: S608
REMOVE = "DELETE FROM jobs WHERE uid = :uid AND state = 'queued'"
REMOVE_ANY = "DELETE FROM jobs WHERE uid = :uid"
OF_RUN = f"SELECT {COLUMNS} FROM jobs WHERE run = :run ORDER BY position"  # noqa: S608
QUALIFIED = ", ".join(f"jobs.{column.strip()}" for column in COLUMNS.split(","))
# Through the runs that have not ended: an index of its own would cost every move two writes.
UNFINISHED = f"""
    SELECT {QUALIFIED} FROM runs JOIN jobs ON jobs.run = runs.id
    WHERE runs.state IN ('queued', 'running') AND jobs.state IN ('queued', 'assigned', 'running')
    ORDER BY runs.seq, jobs.position
"""  # noqa: S608
HELD_BY = f"""
    SELECT {QUALIFIED} FROM runs JOIN jobs ON jobs.run = runs.id
    WHERE runs.state IN ('queued', 'running') AND jobs.state IN ('assigned', 'running') AND jobs.runner = :runner
    ORDER BY runs.seq, jobs.position
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a plan says of a job; `uid` is new (`j-…`), `key` unique in the run, `base` what `needs` names."""

    uid: str
    key: str
    base: str
    name: str


POSITION_GAP = 512  # room for the legs of a job that is expanded later: a matrix has 256 at most


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it stands, in its present attempt."""

    uid: str
    run: str
    position: int  # orders the jobs of a run as the plan has them
    key: str
    base: str
    name: str
    state: JobState
    reason: str
    tolerated: bool  # it failed, and `continue-on-error` lets that pass
    cached: bool
    epoch: int  # of its last assignment; 0: never assigned
    attempt: int  # from 1
    runner: str  # empty: none
    outputs: dict[str, str]
    log: str  # path without ".log"; empty: none yet
    log_bytes: int
    created: str
    started: str | None
    finished: str | None
    summary_bytes: int = 0  # of the Markdown beside its log
    cache: str = ""  # JSON: what the cache had to say of it; empty: nothing
    tests: str = ""  # JSON: what its test reports say; empty: nothing
    resume: str = ""  # JSON: where its present attempt goes on; empty: it begins at its first step


class Fenced(Exception):  # noqa: N818  # reads as what happened
    """News of a job with an epoch that is not its present one: somebody else has it now, or had it."""

    def __init__(self, job: JobRow, epoch: int) -> None:
        super().__init__(f"job {job.uid} is at epoch {job.epoch}: news of epoch {epoch} are refused")
        self.job = job
        self.epoch = epoch


STATES = {state.value: state for state in JobState}


def _row(row: Row) -> JobRow:
    outputs = row["outputs"]
    return JobRow(
        row["uid"],
        row["run"],
        row["position"],
        row["key"],
        row["base"],
        row["name"],
        STATES[row["state"]],
        row["reason"],
        row["tolerated"] == 1,
        row["cached"] == 1,
        row["epoch"],
        row["attempt"],
        row["runner"],
        {} if outputs == "{}" else json.loads(outputs),
        row["log"],
        row["log_bytes"],
        row["created"],
        row["started"],
        row["finished"],
        row["summary_bytes"],
        row["cache"],
        row["tests"],
        row["resume"],
    )


async def create_many(tx: Tx, run: str, jobs: Sequence[NewJob]) -> list[JobRow]:
    """Keep the jobs of a new run, in the plan's order, all queued. They have no event: `run.created` stands for them."""
    placed = [(index * POSITION_GAP, job) for index, job in enumerate(jobs)]
    await _insert(tx, run, placed, attempt=1)
    return [
        JobRow(
            uid=job.uid,
            run=run,
            position=position,
            key=job.key,
            base=job.base,
            name=job.name,
            state=JobState.QUEUED,
            reason="",
            tolerated=False,
            cached=False,
            epoch=0,
            attempt=1,
            runner="",
            outputs={},
            log="",
            log_bytes=0,
            created=tx.now,
            started=None,
            finished=None,
        )
        for position, job in placed
    ]


async def _insert(tx: Tx, run: str, placed: Sequence[tuple[int, NewJob]], *, attempt: int, epoch: int = 0) -> None:
    created = tx.now
    rows = [
        {
            "uid": job.uid,
            "run": run,
            "position": position,
            "key": job.key,
            "base": job.base,
            "name": job.name,
            "attempt": attempt,
            "epoch": epoch,
            "created": created,
        }
        for position, job in placed
    ]
    await tx.many(INSERT, rows)


async def expand(tx: Tx, job: JobRow, legs: Sequence[NewJob]) -> list[JobRow]:
    """Put the legs of a queued job that waited for its matrix in its place, with `job.expanded`; the legs as they are then."""
    if not await tx.execute(REMOVE, uid=job.uid):
        raise IllegalMove(f"job {job.uid}", job.state, "expanded")
    placed = [(job.position + index, leg) for index, leg in enumerate(legs)]
    await _insert(tx, job.run, placed, attempt=job.attempt, epoch=job.epoch)
    return await _tell_expanded(tx, job, legs)


async def _tell_expanded(tx: Tx, job: JobRow, legs: Sequence[NewJob]) -> list[JobRow]:
    told = [{"job": leg.key, "uid": leg.uid, "name": leg.name} for leg in legs]
    await tx.append("job.expanded", stream=job.run, run=job.run, job=job.key, uid=job.uid, legs=told)
    uids = {leg.uid for leg in legs}
    return [row for row in await of_run(tx, job.run) if row.uid in uids]


async def fold(tx: Tx, legs: Sequence[JobRow], job: NewJob, *, place: int, attempt: int) -> JobRow:
    """Put a job, queued, in the place of all its legs, with `job.folded`. `place`: of the job in the plan as it was made first, from 0."""
    run = legs[0].run
    for leg in legs:
        await tx.execute(REMOVE_ANY, uid=leg.uid)
    await _insert(tx, run, [(place * POSITION_GAP, job)], attempt=attempt, epoch=max(leg.epoch for leg in legs))
    await tx.append("job.folded", stream=run, run=run, job=job.key, uid=job.uid, name=job.name, legs=[leg.key for leg in legs])
    return next(row for row in await of_run(tx, run) if row.uid == job.uid)


async def unfold(tx: Tx, job: JobRow, legs: Sequence[tuple[int, NewJob]], *, attempt: int) -> list[JobRow]:
    """Put legs, queued, in the place of the job that stood for them, with `job.expanded`. Each has its place as in `fold`."""
    await tx.execute(REMOVE_ANY, uid=job.uid)
    await _insert(tx, job.run, [(place * POSITION_GAP, leg) for place, leg in legs], attempt=attempt, epoch=job.epoch)
    return await _tell_expanded(tx, job, [leg for _, leg in legs])


async def get(tx: Tx, uid: str) -> JobRow | None:
    row = await tx.one(GET, uid=uid)
    return _row(row) if row else None


async def of_run(tx: Tx, run: str) -> list[JobRow]:
    """A run's jobs, in the plan's order."""
    return [_row(row) for row in await tx.all(OF_RUN, run=run)]


async def unfinished(tx: Tx) -> list[JobRow]:
    """Every job that has not ended, oldest run first."""
    return [_row(row) for row in await tx.all(UNFINISHED)]


async def held_by(tx: Tx, runner: str) -> list[JobRow]:
    """The jobs that are assigned to a runner or run there, in the order in which it was to take them."""
    return [_row(row) for row in await tx.all(HELD_BY, runner=runner)]


CHANGES = {
    JobEvent.ASSIGNED: "epoch = epoch + 1, runner = :runner, log = :log, name = coalesce(:name, name)",
    JobEvent.RETURNED: "runner = ''",
    JobEvent.STARTED: "started = :at",
    JobEvent.RETRIED: """attempt = attempt + 1, runner = '', outputs = '{}', tolerated = 0, cached = 0, log = '',
        log_bytes = 0, summary_bytes = 0, cache = '', resume = :resume, tests = '',
        started = NULL, finished = NULL""",
}
END = """
    finished = :at, outputs = :outputs, tolerated = :tolerated, cached = :cached, log_bytes = :log_bytes, summary_bytes = :summary_bytes,
    tests = :tests"""


def _move_sql(event: JobEvent) -> str:
    sources = [state for (state, what) in MOVES if what is event]
    (target,) = {MOVES[state, event] for state in sources}
    changes = END if target in TERMINAL else CHANGES[event]
    if event is JobEvent.CACHED:
        changes += ", log = :log, started = :at, cache = :cache"
    elif target in TERMINAL:
        changes += ", cache = CASE :cache WHEN '' THEN cache ELSE :cache END"
    legal = ", ".join(f"'{state}'" for state in sources)
    return f"""
        UPDATE jobs SET state = '{target}', reason = :reason, {changes} WHERE uid = :uid AND state IN ({legal})
    """  # noqa: S608


MOVE = {event: f"{_move_sql(event)} RETURNING {COLUMNS}" for event in JobEvent}
MOVE_FENCED = {event: f"{_move_sql(event)} AND epoch = :epoch RETURNING {COLUMNS}" for event in JobEvent}
KINDS = {
    JobEvent.ASSIGNED: "job.assigned",
    JobEvent.STARTED: "job.started",
    JobEvent.RETURNED: "job.queued",
    JobEvent.RETRIED: "job.queued",
}


async def move(
    tx: Tx,
    uid: str,
    event: JobEvent,
    *,
    epoch: int | None = None,
    reason: str = "",
    at: str = "",
    runner: str = "",
    log: str = "",
    name: str | None = None,
    outputs: Mapping[str, str] | None = None,
    tolerated: bool = False,
    cached: bool = False,
    log_bytes: int = 0,
    summary_bytes: int = 0,
    cache: Mapping[str, Any] | None = None,
    tests: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> JobRow:
    """Move a job as MOVES has it, with its event; the job as it is then. Nothing else changes a job.

    `epoch`: what the news came with; leave it out for the scheduler's own decisions. ASSIGNED adds one to it, and takes `runner`, `log`
    and, where it had to wait for `needs`, `name`. The ends take `outputs`, `tolerated`, `cached`, `log_bytes`, `summary_bytes`, `tests`.
    RETRIED takes `resume`: where it goes on. CACHED takes `log` too, and `cache`: what the cache says of it.
    `at`: when it happened, if not now.

    Raises, and then nothing was changed: Fenced for another epoch than the job's; IllegalMove where MOVES has no such move;
    SparkiError `no_such_job`.
    """
    row = await tx.one(
        MOVE[event] if epoch is None else MOVE_FENCED[event],
        uid=uid,
        epoch=epoch,
        reason=reason,
        at=at or tx.now,
        runner=runner,
        log=log,
        name=name,
        outputs=json.dumps(outputs) if outputs else "{}",
        tolerated=int(tolerated),
        cached=int(cached),
        log_bytes=log_bytes,
        summary_bytes=summary_bytes,
        cache=json.dumps(cache) if cache else "",
        tests=json.dumps(tests) if tests else "",
        resume=json.dumps(resume) if resume else "",
    )
    if row is None:
        raise await _why_not(tx, uid, event, epoch)
    job = _row(row)
    await _tell(tx, job, KINDS.get(event, "job.finished"))
    return job


NOTE_CACHE = "UPDATE jobs SET cache = :cache WHERE uid = :uid"


async def note_cache(tx: Tx, job: JobRow, cache: Mapping[str, Any]) -> JobRow:
    """Note why a job that declares a cache runs all the same, with `job.missed`; the job as it is then."""
    text = json.dumps(cache)
    await tx.execute(NOTE_CACHE, uid=job.uid, cache=text)
    await tx.append("job.missed", stream=job.run, run=job.run, job=job.key, uid=job.uid, cache=dict(cache))
    return replace(job, cache=text)


async def _tell(tx: Tx, job: JobRow, kind: str) -> None:
    data: dict[str, Any] = {
        "job": job.key,
        "uid": job.uid,
        "run": job.run,
        "status": job.state.public,
        "reason": job.reason,
        "epoch": job.epoch,
        "attempt": job.attempt,
    }
    if kind == "job.assigned":
        data["runner"] = job.runner
        data["name"] = job.name
    elif kind == "job.started":
        data["started"] = job.started  # the event's own time is that of the journal's entry, which comes later
    elif kind == "job.finished":
        data["started"], data["finished"] = job.started, job.finished
        data["outputs"] = job.outputs
        data["cached"] = job.cached
        if job.cache:
            data["cache"] = json.loads(job.cache)
        if job.tests:
            data["tests"] = json.loads(job.tests)
        data["tolerated"] = job.tolerated
        data["log_bytes"] = job.log_bytes
    await tx.append(kind, stream=job.run, **data)


async def _why_not(tx: Tx, uid: str, event: JobEvent, epoch: int | None) -> Exception:
    job = await get(tx, uid)
    if job is None:
        problem = Problem(code="no_such_job", message=f"there is no job '{uid}'", hint="sparki show RUN lists a run's jobs")
        return SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    if epoch is not None and epoch != job.epoch:
        return Fenced(job, epoch)
    advance(uid, job.state, event)  # raises: the guard let nothing through
    return AssertionError(f"job {uid}: the guard of '{event}' disagrees with MOVES")
