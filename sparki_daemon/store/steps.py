"""Steps: begun and ended as the runner's records tell, with an event each time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.store.jobs import JobRow
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = """job, attempt, idx, id, name, state, outcome, conclusion, exit_code, reason, started, finished, duration_ms,
    log_from, log_to, annotations"""
START = """
    INSERT INTO steps (job, attempt, idx, id, name, state, outcome, conclusion, exit_code, reason, started, finished, duration_ms,
        log_from, log_to)
    VALUES (:job, :attempt, :idx, :id, :name, 'running', '', '', NULL, '', :at, NULL, NULL, :log_from, NULL)
    ON CONFLICT (job, attempt, idx) DO NOTHING
"""
# A step that was skipped never began: its end is all there is. One that has ended stays as it is.
FINISH = """
    INSERT INTO steps (job, attempt, idx, id, name, state, outcome, conclusion, exit_code, reason, started, finished, duration_ms,
        log_from, log_to, annotations)
    VALUES (:job, :attempt, :idx, :id, :name, :conclusion, :outcome, :conclusion, :exit_code, :reason, NULL, :at, :duration_ms,
        :log_from, :log_to, :annotations)
    ON CONFLICT (job, attempt, idx) DO UPDATE SET name = excluded.name, state = excluded.state, outcome = excluded.outcome,
        conclusion = excluded.conclusion, exit_code = excluded.exit_code, reason = excluded.reason, finished = excluded.finished,
        duration_ms = excluded.duration_ms, log_from = excluded.log_from, log_to = excluded.log_to,
        annotations = excluded.annotations
    WHERE steps.finished IS NULL
"""
OF_JOB = f"SELECT {COLUMNS} FROM steps WHERE job = :job AND attempt = :attempt ORDER BY idx"  # noqa: S608  # this module's own words
OF_RUN = f"""
    SELECT {", ".join(f"steps.{column.strip()}" for column in COLUMNS.split(","))}
    FROM jobs JOIN steps ON steps.job = jobs.uid AND steps.attempt = jobs.attempt
    WHERE jobs.run = :run ORDER BY jobs.position, steps.idx
"""  # noqa: S608  # this module's own words


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of one attempt at a job. Steps that have neither begun nor been skipped have no row: the plan names them."""

    job: str  # uid
    attempt: int
    index: int  # from 0
    id: str
    name: str
    state: str  # running, then its conclusion
    outcome: str  # success, failure, cancelled, skipped; empty while it runs
    conclusion: str  # what `continue-on-error` makes of the outcome
    exit_code: int | None
    reason: str
    started: str | None
    finished: str | None
    duration_ms: int | None
    log_from: int  # bytes of the job's log
    log_to: int | None
    annotations: list[dict[str, Any]] = field(default_factory=list)  # level, message, title, file, line, column …


def _row(row: Row) -> StepRow:
    return StepRow(
        row["job"],
        row["attempt"],
        row["idx"],
        row["id"],
        row["name"],
        row["state"],
        row["outcome"],
        row["conclusion"],
        row["exit_code"],
        row["reason"],
        row["started"],
        row["finished"],
        row["duration_ms"],
        row["log_from"],
        row["log_to"],
        json.loads(row["annotations"]) if row["annotations"] != "[]" else [],
    )


async def start(tx: Tx, job: JobRow, index: int, *, name: str, step_id: str = "", log_from: int = 0, at: str = "") -> bool:
    """A step of the job's present attempt has begun (`at`: when, if not now). False, with no event: it had already."""
    added = await tx.execute(START, job=job.uid, attempt=job.attempt, idx=index, id=step_id, name=name, at=at or tx.now, log_from=log_from)
    if added:
        await _tell(tx, "step.started", job, index, step_id, name=name, **{"from": log_from})
    return added == 1


async def hold(tx: Tx, job: JobRow, index: int, *, step_id: str, **told: Any) -> None:
    """A step has failed, and its job waits for somebody to look: an event, and nothing to keep. `told`: name, from, to, hold."""
    await _tell(tx, "step.held", job, index, step_id, **told)


async def finish(
    tx: Tx,
    job: JobRow,
    index: int,
    *,
    name: str,
    outcome: str,
    conclusion: str,
    step_id: str = "",
    exit_code: int | None = None,
    reason: str = "",
    duration_ms: int | None = None,
    log_from: int = 0,
    log_to: int = 0,
    left: Sequence[str] = (),
    annotations: Sequence[Mapping[str, Any]] = (),
    at: str = "",
) -> bool:
    """A step of the job's present attempt has ended; `left` names processes that were ended with it.

    False, with no event: it had ended already.
    """
    changed = await tx.execute(
        FINISH,
        job=job.uid,
        attempt=job.attempt,
        idx=index,
        id=step_id,
        name=name,
        outcome=outcome,
        conclusion=conclusion,
        exit_code=exit_code,
        reason=reason,
        at=at or tx.now,
        duration_ms=duration_ms,
        log_from=log_from,
        log_to=log_to,
        annotations=json.dumps(list(annotations)) if annotations else "[]",
    )
    if changed:
        ended: dict[str, Any] = {"outcome": outcome, "conclusion": conclusion, "exit_code": exit_code, "duration_ms": duration_ms}
        place = {"from": log_from, "to": log_to}
        said = {"left": list(left), "annotations": list(annotations)}
        await _tell(tx, "step.finished", job, index, step_id, name=name, **ended, reason=reason, **place, **said)
    return changed == 1


async def end_running(tx: Tx, job: JobRow, *, outcome: str, reason: str, log_to: int = 0) -> int:
    """End what still counts as running of a job whose runner can't tell any more; how many steps."""
    running = [step for step in await of_job(tx, job) if step.finished is None]
    for step in running:
        await finish(
            tx,
            job,
            step.index,
            name=step.name,
            step_id=step.id,
            outcome=outcome,
            conclusion=outcome,
            reason=reason,
            log_from=step.log_from,
            log_to=max(step.log_from, log_to),
        )
    return len(running)


async def of_job(tx: Tx, job: JobRow) -> list[StepRow]:
    """The steps of the job's present attempt, in order."""
    return [_row(row) for row in await tx.all(OF_JOB, job=job.uid, attempt=job.attempt)]


async def of_run(tx: Tx, run: str) -> list[StepRow]:
    """The steps of the present attempt of each of a run's jobs, in the plan's order."""
    return [_row(row) for row in await tx.all(OF_RUN, run=run)]


async def _tell(tx: Tx, kind: str, job: JobRow, index: int, step_id: str, **data: Any) -> None:
    # `uid` and `attempt` too: log text is asked for by them.
    await tx.append(kind, stream=job.run, job=job.key, uid=job.uid, run=job.run, attempt=job.attempt, step=index, id=step_id, **data)
