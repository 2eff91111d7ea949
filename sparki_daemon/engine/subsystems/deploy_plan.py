"""What a deployment would change, and wait for: told before it is asked for. Touches nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sparki_daemon.engine.subsystems.loco import usual_ms
from sparki_daemon.engine.subsystems.releasing import Releasing, Wanted, own_name
from sparki_daemon.loco.settings import gates_of, is_asked
from sparki_daemon.model.deployment import STEPS
from sparki_daemon.model.gates import holdups
from sparki_daemon.prepare.releasing import Shipped
from sparki_daemon.source import git
from sparki_daemon.source.repository import Repository
from sparki_daemon.store import deployments, environments, projects, releases, runs
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import ReleaseRow

COMMITS = 50
SEARCHED = 500


class DeployPlan:
    """Answers `sparki deploy ENV --plan`."""

    def __init__(self, store: Store, releasing: Releasing) -> None:
        self._store = store
        self._releasing = releasing

    async def of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the deployment that `request` asks for would do. Raises what asking for it would raise."""
        source = await self._releasing.shipped(request["directory"], request["environment"], request.get("ref"))
        project = await self._store.read(lambda tx: projects.find(tx, source.repository.common_dir)) or ""
        await self._releasing.check(source, project)
        live, waits, usual, run = await self._store.read(lambda tx: self._read(tx, source, project, request.get("override") or ""))
        settings = source.environment.settings
        commits = await asyncio.to_thread(_commits, source.repository, live.commit if live else "", source.commit)
        return {
            "environment": source.environment.name,
            "adapter": settings["adapter"],
            "commit": source.commit,
            "subject": source.subject,
            "tree": source.snapshot.tree,
            "live": {"release": live.id, "number": live.number, "commit": live.commit, "tree": live.tree} if live else None,
            **commits,
            "variables": changed_names(live.settings.get("variables") or {} if live else {}, settings.get("variables") or {}),
            "secrets": _names(live.secrets if live else (), settings.get("secrets") or ()),
            "settings": changed_names(_rest(live.settings) if live else {}, _rest(settings)) if live else None,
            "artifact": {"kind": "artifact" if Wanted.of(settings).job else "source", "run": run, "starts_run": _starts(settings, run)},
            "steps": _steps(settings, usual),
            "waits": waits,
            "usual_ms": sum(usual.values()) if usual else None,
            "notes": [note.to_json() for note in source.notes],
        }

    async def _read(
        self, tx: Tx, source: Shipped, project: str, override: str
    ) -> tuple[ReleaseRow | None, list[Mapping[str, Any]], dict[str, int], str | None]:
        name, tree = source.environment.name, source.snapshot.tree
        row = await environments.get(tx, project, name) if project else None
        live = await releases.get(tx, row.live) if row and row.live else None
        gates = gates_of(source.environment.settings)
        waits = holdups(
            gates,
            author=own_name(),
            approvals=(),
            override=override,
            tree=tree,
            live_trees=await _live_trees(tx, project, gates.after),
            now=datetime.now(UTC),
            target_of=await deployments.target_holder(tx, f"{project}/{name}") or "",
        )
        past = await runs.listing(tx, project=project, limit=SEARCHED) if project else []
        run = next((one.id for one in past if one.state.value == "success" and one.source.get("tree") == tree), None)
        return live, list(waits), await usual_ms(tx, project, name), run


async def _live_trees(tx: Tx, project: str, after: str) -> dict[str, str]:
    row = await environments.get(tx, project, after) if after and project else None
    live = await releases.get(tx, row.live) if row and row.live else None
    return {after: live.tree} if live else {}


def changed_names(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names that were added, changed and removed: values stay where they are."""
    return {
        "added": sorted(now.keys() - was.keys()),
        "changed": sorted(name for name in now.keys() & was.keys() if now[name] != was[name]),
        "removed": sorted(was.keys() - now.keys()),
    }


def _names(was: Any, now: Any) -> dict[str, list[str]]:
    return {"added": sorted({*now} - {*was}), "removed": sorted({*was} - {*now})}


def _rest(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in ("variables", "secrets")}


def _steps(settings: Mapping[str, Any], usual: Mapping[str, int]) -> list[dict[str, Any]]:
    happen = [rule for rule in STEPS if is_asked(rule.name, settings)]
    return [{"name": rule.name, "does": rule.does, "usual_ms": usual.get(rule.name)} for rule in happen]


def _starts(settings: Mapping[str, Any], run: str | None) -> bool:
    """Whether a run would be started first."""
    return bool(Wanted.of(settings).job) and run is None


def _commits(repository: Repository, live: str, new: str) -> dict[str, Any]:
    """What comes and what goes between two commits, the newest first; None each where the live one is no longer in the repository."""
    if not live:
        return {"commits": None, "undone": None}
    separate = "--left-right"
    listed = git.run(["log", separate, f"--max-count={COMMITS}", "--format=%m%x00%H%x00%s", f"{live}...{new}"], cwd=repository.root)
    if listed.code != 0:
        return {"commits": None, "undone": None}
    lines = [line.split("\0", 2) for line in os.fsdecode(listed.out).splitlines()]
    told: dict[str, list[dict[str, str]]] = {"<": [], ">": []}
    for side, commit, subject in lines:
        told[side].append({"commit": commit, "subject": subject})
    return {"commits": told[">"], "undone": told["<"]}
