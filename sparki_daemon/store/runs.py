"""Runs: made, found, listed, and moved from state to state with an event each time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.model.run import MOVES, TERMINAL, RunEvent, RunState, advance
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = """id, seq, project, pipeline, file, number, title, state, reason, attempt, cancelling, source, options,
    created, started, finished"""
INSERT = f"""
    INSERT INTO runs ({COLUMNS})
    VALUES (:id, :seq, :project, :pipeline, :file, :number, :title, 'queued', '', 1, 0, :source, :options, :created, NULL, NULL)
    RETURNING {COLUMNS}
"""  # noqa: S608  # every SQL text here is put together from this module's own words
INSERT_DOCUMENTS = "INSERT INTO run_documents (run, plan, spec) VALUES (:run, :plan, :spec)"
EXPAND_PLAN = "UPDATE run_documents SET expanded = :plan WHERE run = :run"
FIRST_PLAN = "SELECT plan FROM run_documents WHERE run = :run"
DOCUMENTS = "SELECT coalesce(expanded, plan) AS plan, spec FROM run_documents WHERE run = :run"
GET = f"SELECT {COLUMNS} FROM runs WHERE id = :id"  # noqa: S608
LATEST = f"SELECT {COLUMNS} FROM runs ORDER BY seq DESC LIMIT 1"  # noqa: S608
LATEST_OF = f"SELECT {COLUMNS} FROM runs WHERE project = :project ORDER BY seq DESC LIMIT 1"  # noqa: S608
BY_PREFIX = f"SELECT {COLUMNS} FROM runs WHERE id >= :prefix AND id < :beyond ORDER BY seq DESC LIMIT :limit"  # noqa: S608
PAGE = f"SELECT {COLUMNS} FROM runs WHERE seq < :before ORDER BY seq DESC LIMIT :limit"  # noqa: S608
PAGE_OF = f"SELECT {COLUMNS} FROM runs WHERE project = :project AND seq < :before ORDER BY seq DESC LIMIT :limit"  # noqa: S608
ACTIVE = f"SELECT {COLUMNS} FROM runs WHERE state IN ('queued', 'running') ORDER BY seq"  # noqa: S608
NEXT_NUMBER = "SELECT coalesce(max(number), 0) + 1 AS number FROM runs WHERE project = :project AND file = :file"
CANCELLING = "UPDATE runs SET cancelling = 1 WHERE id = :id AND cancelling = 0 AND state IN ('queued', 'running')"

NEWEST = 2**62  # beyond every seq
SHOWN = 5  # candidates in a message


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as it stands. `seq` is of its first event: newer runs have greater ones. Plan and spec: `documents`."""

    id: str
    seq: int
    project: str
    pipeline: str
    file: str
    number: int  # from 1, a project and file
    title: str
    state: RunState
    reason: str
    attempt: int
    cancelling: bool
    source: dict[str, Any]
    options: dict[str, Any]
    created: str
    started: str | None
    finished: str | None


def _row(row: Row) -> RunRow:
    return RunRow(
        row["id"],
        row["seq"],
        row["project"],
        row["pipeline"],
        row["file"],
        row["number"],
        row["title"],
        RunState(row["state"]),
        row["reason"],
        row["attempt"],
        bool(row["cancelling"]),
        json.loads(row["source"]),
        json.loads(row["options"]),
        row["created"],
        row["started"],
        row["finished"],
    )


async def next_number(tx: Tx, project: str, file: str) -> int:
    """What the next run of a pipeline file bears as its number, from 1. Ask in the transaction that creates it."""
    row = await tx.one(NEXT_NUMBER, project=project, file=file)
    return row["number"] if row else 1


async def create(
    tx: Tx,
    run: str,
    *,
    project: str,
    pipeline: str,
    file: str,
    source: Mapping[str, Any],
    plan: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    title: str = "",
    number: int | None = None,
) -> RunRow:
    """Keep a new, queued run (`source`, `spec`, `options` are JSON, `plan` its text), with `run.created`. `number`: from `next_number`."""
    if number is None:
        number = await next_number(tx, project, file)
    event = await tx.append(
        "run.created", stream=run, run=run, pipeline=pipeline, file=file, number=number, title=title, source=dict(source)
    )
    row = await tx.one(
        INSERT,
        id=run,
        seq=event.seq,
        project=project,
        pipeline=pipeline,
        file=file,
        number=number,
        title=title,
        source=json.dumps(source),
        options=json.dumps(options or {}),
        created=tx.now,
    )
    assert row is not None
    await tx.execute(INSERT_DOCUMENTS, run=run, plan=plan, spec=json.dumps(spec))
    return _row(row)


async def get(tx: Tx, run: str) -> RunRow | None:
    row = await tx.one(GET, id=run)
    return _row(row) if row else None


async def documents(tx: Tx, run: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's plan and spec, as JSON. Raises SparkiError `no_such_run`."""
    row = await tx.one(DOCUMENTS, run=run)
    if row is None:
        raise _no_such_run(run)
    return json.loads(row["plan"]), json.loads(row["spec"])


async def first_plan(tx: Tx, run: str) -> dict[str, Any]:
    """A run's plan as it was made, before any of its jobs was put in the place of its legs or the other way round, as JSON."""
    row = await tx.one(FIRST_PLAN, run=run)
    if row is None:
        raise _no_such_run(run)
    return json.loads(row["plan"])  # type: ignore[no-any-return]  # it was a dict when it was kept


async def expand_plan(tx: Tx, run: str, plan: Mapping[str, Any] | None) -> None:
    """Keep the plan (JSON) of a run one of whose jobs was expanded or folded; None: go back to the plan that was made first."""
    await tx.execute(EXPAND_PLAN, run=run, plan=None if plan is None else json.dumps(plan))


async def find(tx: Tx, word: str, *, project: str | None = None) -> RunRow:
    """The run that a person means: an id, a prefix of just one id (with or without its `r-`), or `latest` (of `project`, if given).

    Raises SparkiError: `no_such_run`; `ambiguous_run`, which names candidates, newest first.
    """
    if word == "latest":
        row = await (tx.one(LATEST) if project is None else tx.one(LATEST_OF, project=project))
        if row is None:
            message = "there is no run yet" if project is None else "this project has no run yet"
            raise SparkiError(Problem(code="no_such_run", message=message, hint="sparki run starts one"), exit_code=ExitCode.NOT_FOUND)
        return _row(row)
    exact = await get(tx, word)
    if exact is not None:
        return exact
    bare = word.removeprefix("r-")
    prefix = f"r-{bare}"
    found = await tx.all(BY_PREFIX, prefix=prefix, beyond=prefix + "\U0010ffff", limit=SHOWN + 1) if bare else []
    if not found:
        raise _no_such_run(word)
    if len(found) > 1:
        ids = [row["id"] for row in found]
        more = " and more" if len(found) > SHOWN else ""
        message = f"several runs begin with '{word}': {', '.join(ids[:SHOWN])}{more}"
        raise SparkiError(Problem(code="ambiguous_run", message=message, hint="give more of the id"), exit_code=ExitCode.USAGE)
    return _row(found[0])


async def listing(tx: Tx, *, project: str | None = None, limit: int = 50, before: int | None = None) -> list[RunRow]:
    """Up to `limit` runs, newest first; those older than the one whose `seq` is `before`."""
    before = NEWEST if before is None else before
    if project is None:
        rows = await tx.all(PAGE, before=before, limit=limit)
    else:
        rows = await tx.all(PAGE_OF, project=project, before=before, limit=limit)
    return [_row(row) for row in rows]


async def active(tx: Tx) -> list[RunRow]:
    """Every run that has not ended, oldest first."""
    return [_row(row) for row in await tx.all(ACTIVE)]


async def set_cancelling(tx: Tx, run: str) -> bool:
    """Note that a cancel was asked for; what is queued of the run shall not begin. False: noted before, or the run has ended."""
    return await tx.execute(CANCELLING, id=run) == 1


def _move_sql(event: RunEvent) -> str:
    sources = [state for (state, what) in MOVES if what is event]
    (target,) = {MOVES[state, event] for state in sources}
    changes = f"state = '{target}', reason = :reason"
    if target in TERMINAL:
        changes += ", finished = :at"
    elif event is RunEvent.RETRIED:
        changes += ", attempt = attempt + 1, cancelling = 0, started = NULL, finished = NULL"
    else:
        changes += ", started = :at"
    legal = ", ".join(f"'{state}'" for state in sources)
    return f"UPDATE runs SET {changes} WHERE id = :id AND state IN ({legal}) RETURNING {COLUMNS}"  # noqa: S608


MOVE = {event: _move_sql(event) for event in RunEvent}


async def move(tx: Tx, run: str, event: RunEvent, *, reason: str = "", at: str = "") -> RunRow:
    """Move a run as MOVES has it, with its event: `run.started`, `run.finished` or `run.retried`; the run as it is then.

    `at`: when it happened, if not now.

    Raises IllegalMove where MOVES has no such move, SparkiError `no_such_run` for an unknown id; then nothing was changed.
    """
    row = await tx.one(MOVE[event], id=run, reason=reason, at=at or tx.now)
    if row is None:
        held = await get(tx, run)
        if held is None:
            raise _no_such_run(run)
        advance(run, held.state, event)  # raises: the guard let nothing through
        raise AssertionError(f"run {run}: the guard of '{event}' disagrees with MOVES")
    moved = _row(row)
    if moved.state.terminal:
        times = {"started": moved.started, "finished": moved.finished}
        await tx.append("run.finished", stream=run, run=run, status=moved.state.value, reason=reason, **times)
    elif event is RunEvent.RETRIED:
        await tx.append("run.retried", stream=run, run=run, attempt=moved.attempt)
    else:
        await tx.append("run.started", stream=run, run=run, attempt=moved.attempt, started=moved.started)
    return moved


def _no_such_run(word: str) -> SparkiError:
    problem = Problem(code="no_such_run", message=f"there is no run '{word}'", hint="sparki runs lists them")
    return SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
