"""Rows of deployments, releases and environments as the public JSON shapes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sparki_daemon.loco.settings import is_asked
from sparki_daemon.model.deployment import INDEX, STEPS, DeploymentState, Direction, Saga, SagaEvent, advance
from sparki_daemon.store.deployments import DeploymentRow, MoveRow
from sparki_daemon.store.releases import ReleaseRow

_OVER = {SagaEvent.DONE: "done", SagaEvent.SEEN_DONE: "done", SagaEvent.KEPT: "done", SagaEvent.FAILED: "failed"}
_ENDED = {**_OVER, SagaEvent.CANCELLED: "cancelled", SagaEvent.ROLLED_BACK: "cancelled", SagaEvent.SEEN_UNCLEAR: "unknown"}


def deployment_line(row: DeploymentRow, release: ReleaseRow | None) -> dict[str, Any]:
    """One entry of `sparki deployments --json`."""
    return {
        "id": row.id,
        "environment": row.environment,
        "release": row.release,
        "number": release.number if release else 0,
        "commit": release.commit if release else "",
        "subject": release.subject if release else "",
        "kind": row.kind,
        "status": row.state.value,
        "step": row.step or None,
        "reason": row.reason,
        "author": row.author,
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "run": row.run or None,
        "waits": list(row.waits),
    }


def deployment_view(
    row: DeploymentRow, release: ReleaseRow | None, moves: Sequence[MoveRow], *, approvals: Sequence[str], usual_ms: Mapping[str, int]
) -> dict[str, Any]:
    """`sparki show DEPLOYMENT --json`. `usual_ms`: how long each step took in the last deployments there that went well."""
    return {
        **deployment_line(row, release),
        "tree": release.tree if release else "",
        "previous": row.previous or None,
        "override": row.override,
        "directory": row.directory,
        "asked": row.asked,
        "approvals": list(approvals),
        "steps": [{**step, "asked": is_asked(step["name"], release.settings if release else {})} for step in steps_of(moves)],
        "usual_ms": dict(usual_ms),
    }


def steps_of(moves: Iterable[MoveRow]) -> list[dict[str, Any]]:
    """Every step with what became of it.

    That is `pending`, `running`, `done`, `skipped`, `failed`, `cancelled`, `unknown`, `undoing` or `undone`.
    """
    found: list[dict[str, Any]] = [
        {"name": rule.name, "does": rule.does, "status": "pending", "reason": "", "started": None, "finished": None, "took_ms": None}
        for rule in STEPS
    ]
    saga = Saga()
    for move in moves:
        step = found[INDEX[move.step]]
        if saga.direction is Direction.BACK:
            _back(step, move)
        elif move.event is SagaEvent.BEGUN:
            step.update(status="running", started=step["started"] or move.time, finished=None)
        elif move.event in _ENDED:
            _end(step, move, "skipped" if "skipped" in move.data else _ENDED[move.event])
        saga = advance(saga, move.event)
    return found


def _back(step: dict[str, Any], move: MoveRow) -> None:
    if move.event is SagaEvent.BEGUN:
        step["status"] = "undoing"
    elif move.event is SagaEvent.DONE:
        step["status"] = "undone"
    elif move.event is SagaEvent.FAILED:
        step.update(status="unknown", reason=move.data.get("reason", ""))


def _end(step: dict[str, Any], move: MoveRow, status: str) -> None:
    step.update(status=status, reason=move.data.get("reason") or move.data.get("skipped", ""), finished=move.time)
    if step["started"] and status != "skipped":
        step["took_ms"] = milliseconds(step["started"], move.time)


def milliseconds(since: str, until: str) -> int | None:
    """From one RFC 3339 time to another; None where the clock was set back between them, so that nobody can say."""
    found = round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() * 1000)
    return found if found >= 0 else None


def release_line(row: ReleaseRow, *, live: str, states: Sequence[DeploymentState]) -> dict[str, Any]:
    """One entry of `sparki releases ENV --json`. `states`: of its deployments, the newest first."""
    return {
        "id": row.id,
        "number": row.number,
        "commit": row.commit,
        "tree": row.tree,
        "subject": row.subject,
        "created": row.created,
        "live": row.id == live,
        "state": release_state(row, live=live, states=states),
        "status": states[0].value if states else None,
        "run": row.run or None,
        "author": row.author,
        "artifact": {key: row.artifact.get(key) for key in ("kind", "digest", "bytes")},
        "settings_digest": row.settings_digest,
        "secrets": list(row.secrets),
        "pruned": row.pruned,
    }


def release_state(row: ReleaseRow, *, live: str, states: Sequence[DeploymentState]) -> str:
    """`live`; `was_live`, so that it can be gone back to; `never_live`; or `pruned`: its files are no longer kept."""
    if row.id == live:
        return "live"
    if row.pruned:
        return "pruned"
    return "was_live" if DeploymentState.LIVE in states else "never_live"
