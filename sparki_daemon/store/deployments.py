"""Deployments: made, claimed under a fenced epoch, and moved by the events of their saga, which are kept to be replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.deployment import DeploymentState, Phase, Saga, SagaEvent, advance, replay
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = """id, seq, project, environment, target, release, previous, kind, state, step, reason, asked, epoch, holder, author, run,
    directory, waits, override, created, started, finished"""
INSERT = f"""
    INSERT INTO deployments ({COLUMNS})
    VALUES (:id, :seq, :project, :environment, :target, :release, '', :kind, 'queued', '', '', '', 0, '', :author, :run,
        :directory, '[]', :override, :created, NULL, NULL)
    RETURNING {COLUMNS}
"""  # noqa: S608  # every SQL text here is put together from this module's own words
GET = f"SELECT {COLUMNS} FROM deployments WHERE id = :id"  # noqa: S608
BY_PREFIX = f"SELECT {COLUMNS} FROM deployments WHERE id >= :prefix AND id < :beyond ORDER BY seq DESC LIMIT 2"  # noqa: S608
LISTING = f"""
    SELECT {COLUMNS} FROM deployments
    WHERE (:project = '' OR project = :project) AND (:environment = '' OR environment = :environment) ORDER BY seq DESC LIMIT :limit
"""  # noqa: S608
OPEN = f"SELECT {COLUMNS} FROM deployments WHERE state IN ('queued', 'waiting', 'running', 'unknown') ORDER BY seq"  # noqa: S608
NOT_BEGUN = f"""
    SELECT {COLUMNS} FROM deployments
    WHERE project = :project AND environment = :environment AND state IN ('queued', 'waiting') AND epoch = 0 ORDER BY seq
"""  # noqa: S608
CLAIM = f"""
    UPDATE deployments SET epoch = :epoch, holder = :holder, state = 'running', previous = :previous, waits = '[]',
        reason = CASE WHEN state = 'running' THEN reason ELSE '' END, started = coalesce(started, :now)
    WHERE id = :id AND state IN ('queued', 'waiting', 'running', 'unknown') RETURNING {COLUMNS}
"""  # noqa: S608
WAIT = f"""
    UPDATE deployments SET state = 'waiting', waits = :waits WHERE id = :id AND state IN ('queued', 'waiting') AND waits <> :waits
    RETURNING {COLUMNS}
"""  # noqa: S608
WAKE = f"UPDATE deployments SET state = 'queued', waits = '[]' WHERE id = :id AND state = 'waiting' RETURNING {COLUMNS}"  # noqa: S608
DROP = f"""
    UPDATE deployments SET state = :state, reason = :reason, finished = :now
    WHERE id = :id AND state IN ('queued', 'waiting') AND epoch = 0 RETURNING {COLUMNS}
"""  # noqa: S608
ASK = """
    UPDATE deployments SET asked = CASE WHEN asked = '' THEN :asked ELSE asked END
    WHERE id = :id AND state IN ('queued', 'waiting', 'running', 'unknown') RETURNING asked
"""
ROLL_BACK = "UPDATE deployments SET asked = :asked WHERE id = :id AND asked = ''"
MOVE = f"""
    UPDATE deployments SET state = :state, step = :step, reason = :reason, finished = :finished
    WHERE id = :id AND epoch = :epoch RETURNING {COLUMNS}
"""  # noqa: S608
ADD_MOVE = """
    INSERT INTO deployment_moves (deployment, n, step, event, epoch, data, time) VALUES (:id, :n, :step, :event, :epoch, :data, :time)
"""
MOVES_OF = "SELECT n, step, event, epoch, data, time FROM deployment_moves WHERE deployment = :id ORDER BY n"
ROLLBACK = "rollback:"  # asked for by the rollback whose id follows
TAKE_TARGET = "INSERT INTO targets (target, deployment, taken) VALUES (:target, :id, :now) ON CONFLICT (target) DO NOTHING"
HOLDER_OF = "SELECT deployment FROM targets WHERE target = :target"
LET_TARGET_GO = "DELETE FROM targets WHERE target = :target AND deployment = :id"
APPROVE = "INSERT INTO approvals (deployment, person, time) VALUES (:id, :person, :now) ON CONFLICT (deployment, person) DO NOTHING"
APPROVALS = "SELECT person FROM approvals WHERE deployment = :id ORDER BY time, person"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """A deployment that is asked for; `id` is new (`d-…`), `target` names what only one deployment may act on at a time."""

    id: str
    project: str
    environment: str
    target: str
    release: str
    kind: str = "deploy"  # deploy, rollback, promote
    author: str = ""
    run: str = ""
    directory: str = ""
    override: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A deployment as it stands."""

    id: str
    seq: int
    project: str
    environment: str
    target: str
    release: str
    previous: str
    kind: str
    state: DeploymentState
    step: str
    reason: str
    asked: str  # empty, cancel, keep, or rollback:d-… with who asks
    epoch: int
    holder: str
    author: str
    run: str
    directory: str
    waits: tuple[dict[str, Any], ...]
    override: str
    created: str
    started: str | None
    finished: str | None


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One event of a saga, as it is kept."""

    step: str
    event: SagaEvent
    epoch: int
    data: dict[str, Any]
    time: str


class Fenced(Exception):  # noqa: N818  # reads as what happened
    """Somebody else has claimed the deployment since: what this one says counts no longer."""

    def __init__(self, deployment: str, epoch: int) -> None:
        super().__init__(f"deployment {deployment} was claimed again: news of epoch {epoch} are refused")


def _row(row: Row) -> DeploymentRow:
    return DeploymentRow(
        row["id"],
        row["seq"],
        row["project"],
        row["environment"],
        row["target"],
        row["release"],
        row["previous"],
        row["kind"],
        DeploymentState(row["state"]),
        row["step"],
        row["reason"],
        row["asked"],
        row["epoch"],
        row["holder"],
        row["author"],
        row["run"],
        row["directory"],
        tuple(json.loads(row["waits"])),
        row["override"],
        row["created"],
        row["started"],
        row["finished"],
    )


async def create(tx: Tx, new: NewDeployment) -> DeploymentRow:
    """Keep a queued deployment, with `deployment.created`. An older one that waits for the same environment is superseded by it."""
    told = {"deployment": new.id, "environment": new.environment, "release": new.release, "kind": new.kind, "run": new.run}
    event = await tx.append("deployment.created", stream=new.id, **told)
    for older in await tx.all(NOT_BEGUN, project=new.project, environment=new.environment):
        await drop(tx, older["id"], f"superseded by {new.id}")
    row = await tx.one(
        INSERT,
        id=new.id,
        seq=event.seq,
        project=new.project,
        environment=new.environment,
        target=new.target,
        release=new.release,
        kind=new.kind,
        author=new.author,
        run=new.run,
        directory=new.directory,
        override=new.override,
        created=tx.now,
    )
    assert row is not None
    return _row(row)


async def get(tx: Tx, deployment: str) -> DeploymentRow | None:
    row = await tx.one(GET, id=deployment)
    return _row(row) if row else None


async def find(tx: Tx, word: str) -> DeploymentRow:
    """The deployment that a person means: its id, or a prefix of just one. Raises SparkiError: `no_such_deployment`, `ambiguous_…`."""
    prefix = word if word.startswith("d-") else f"d-{word}"
    found = await tx.all(BY_PREFIX, prefix=prefix, beyond=prefix + "\U0010ffff")
    if not found:
        problem = Problem(code="no_such_deployment", message=f"there is no deployment '{word}'", hint="sparki deployments lists them")
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    exact = [row for row in found if row["id"] == prefix]
    if len(found) > 1 and not exact:
        message = f"several deployments begin with '{word}'"
        raise SparkiError(Problem(code="ambiguous_deployment", message=message, hint="give more of the id"))
    return _row((exact or found)[0])


async def listing(tx: Tx, *, project: str = "", environment: str = "", limit: int = 50) -> list[DeploymentRow]:
    """Deployments, the newest first."""
    return [_row(row) for row in await tx.all(LISTING, project=project, environment=environment, limit=limit)]


async def unfinished(tx: Tx) -> list[DeploymentRow]:
    """All that have not ended, the oldest first; unknown ones too."""
    return [_row(row) for row in await tx.all(OPEN)]


# -- before it begins --------------------------------------------------------------------------------------------------


async def wait(tx: Tx, deployment: str, waits: Sequence[Mapping[str, Any]]) -> None:
    """Note what it waits for, with `deployment.waiting` where that has changed."""
    row = await tx.one(WAIT, id=deployment, waits=json.dumps(list(waits)))
    if row:
        await tx.append("deployment.waiting", stream=deployment, deployment=deployment, waits=list(waits), status="waiting")


async def wake(tx: Tx, deployment: str) -> bool:
    """It waits for nothing any more: `deployment.queued`. False: it did not wait."""
    row = await tx.one(WAKE, id=deployment)
    if row:
        await tx.append("deployment.queued", stream=deployment, deployment=deployment, status="queued")
    return row is not None


async def drop(tx: Tx, deployment: str, reason: str, *, state: DeploymentState = DeploymentState.CANCELLED) -> bool:
    """End one that nobody has begun, as cancelled or failed. False: somebody has begun it, or it has ended."""
    row = await tx.one(DROP, id=deployment, reason=reason, state=state.value, now=tx.now)
    if row is None:
        return False
    await _tell_end(tx, _row(row))
    return True


async def approve(tx: Tx, deployment: str, person: str) -> list[str]:
    """Note a person's approval, with `deployment.approved`; everybody who has approved. Twice is once."""
    if await tx.execute(APPROVE, id=deployment, person=person, now=tx.now):
        await tx.append("deployment.approved", stream=deployment, deployment=deployment, person=person)
    return await approvals(tx, deployment)


async def approvals(tx: Tx, deployment: str) -> list[str]:
    return [row["person"] for row in await tx.all(APPROVALS, id=deployment)]


async def ask(tx: Tx, deployment: str, asked: str) -> bool:
    """Ask whoever is at it to `cancel`, or to `keep` what is live and end; with `deployment.cancelling`. False: it has ended.

    The first word counts, also for a later loco.
    """
    row = await tx.one(ASK, id=deployment, asked=asked)
    if row is None:
        return False
    await tx.append("deployment.cancelling", stream=deployment, deployment=deployment, keep=row["asked"] == "keep")
    return True


async def roll_back(tx: Tx, deployment: str, by: DeploymentRow) -> str:
    """Have a deployment in its watch taken back by the rollback `by`, which wants what served before it; with `deployment.rolling_back`.

    What was asked of it, by this or before; empty: it is no such deployment, and the rollback waits for its end.
    """
    row = await get(tx, deployment)
    warm = row is not None and row.state is DeploymentState.RUNNING and row.step == "watch"
    if row is None or not warm or by.kind != "rollback" or row.previous != by.release or row.release == by.release:
        return ""
    if not row.asked:
        await tx.execute(ROLL_BACK, id=deployment, asked=f"{ROLLBACK}{by.id}")
        await tx.append("deployment.rolling_back", stream=deployment, deployment=deployment, by=by.id)
    return row.asked or f"{ROLLBACK}{by.id}"


# -- the saga ------------------------------------------------------------------------------------------------------------


async def claim(tx: Tx, deployment: str, holder: str, *, previous: str) -> tuple[DeploymentRow, Saga] | None:
    """Take a deployment and its target for `holder`: the row with its new epoch, and the saga as its journal tells it.

    The epoch is the seq of the claim's event: it grows over all deployments, so that whoever keeps a target can refuse an older one's word.

    None: another deployment has the target, or this one has ended. `previous` is the release that is live now; one that was noted
    at an earlier claim stays. Whoever claimed it before is fenced from here on.
    """
    known = await get(tx, deployment)
    if known is None or known.state.terminal:
        return None
    await tx.execute(TAKE_TARGET, target=known.target, id=deployment, now=tx.now)
    held = await tx.one(HOLDER_OF, target=known.target)
    if held is None or held["deployment"] != deployment:
        return None
    event = await tx.append("deployment.claimed", stream=deployment, deployment=deployment, holder=holder, status="running")
    noted = known.previous if known.epoch else previous
    row = await tx.one(CLAIM, id=deployment, epoch=event.seq, holder=holder, previous=noted, now=tx.now)
    assert row is not None
    claimed = _row(row)
    saga = await saga_of(tx, deployment)
    if known.epoch and saga.phase is not Phase.ENDED:
        saga = await move(tx, claimed, SagaEvent.INTERRUPTED)
    return claimed, saga


async def target_holder(tx: Tx, target: str) -> str | None:
    """The deployment that has `target`."""
    row = await tx.one(HOLDER_OF, target=target)
    return row["deployment"] if row else None


async def moves_of(tx: Tx, deployment: str) -> list[MoveRow]:
    """What happened to its steps, in order."""
    return [
        MoveRow(row["step"], SagaEvent(row["event"]), row["epoch"], json.loads(row["data"]), row["time"])
        for row in await tx.all(MOVES_OF, id=deployment)
    ]


async def saga_of(tx: Tx, deployment: str) -> Saga:
    return replay(move.event for move in await moves_of(tx, deployment))


async def move(tx: Tx, claimed: DeploymentRow, event: SagaEvent, *, reason: str = "", data: Mapping[str, Any] | None = None) -> Saga:
    """Bring the saga on by `event`, with the row and `deployment.step` or `deployment.finished`; the saga as it is then.

    `reason` says why a step failed; the first one stays the deployment's. `data` is what a step gave. At an end, and where a person
    settled an unknown one, the target goes. Raises, and then nothing was changed: Fenced for another epoch than the deployment's;
    IllegalMove where the saga has no such move.
    """
    moves = await moves_of(tx, claimed.id)
    before = replay(one.event for one in moves)
    saga = advance(before, event)
    known = await get(tx, claimed.id)
    ended = saga.phase is Phase.ENDED
    row = await tx.one(
        MOVE,
        id=claimed.id,
        epoch=claimed.epoch,
        state=saga.state.value,
        step=saga.step.name,
        reason=(known.reason if known else "") or reason,
        finished=tx.now if ended else None,
    )
    if row is None:
        raise Fenced(claimed.id, claimed.epoch)
    told = dict(data or {})
    if reason:
        told["reason"] = reason
    await tx.execute(
        ADD_MOVE,
        id=claimed.id,
        n=len(moves),
        step=before.step.name,
        event=event.value,
        epoch=claimed.epoch,
        data=json.dumps(told),
        time=tx.now,
    )
    await tx.append(
        "deployment.step",
        stream=claimed.id,
        deployment=claimed.id,
        step=before.step.name,
        direction=before.direction.value,
        event=event.value,
        reason=reason,
        data=dict(data or {}),
        status=saga.state.value,
        next=None if ended else saga.step.name,
    )
    if ended:
        await tx.execute(LET_TARGET_GO, target=claimed.target, id=claimed.id)
        await _tell_end(tx, _row(row))
    return saga


async def _tell_end(tx: Tx, row: DeploymentRow) -> None:
    await tx.append(
        "deployment.finished",
        stream=row.id,
        deployment=row.id,
        environment=row.environment,
        release=row.release,
        status=row.state.value,
        reason=row.reason,
    )
