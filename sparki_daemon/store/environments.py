"""Environments: what is live where, and since when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = "project, name, adapter, live, deployment, since, maintenance, facts"
GET = f"SELECT {COLUMNS} FROM environments WHERE project = :project AND name = :name"  # noqa: S608  # this module's own words
OF = f"SELECT {COLUMNS} FROM environments WHERE project = :project ORDER BY name"  # noqa: S608
SERVING = f"SELECT {COLUMNS} FROM environments WHERE live <> '' ORDER BY project, name"  # noqa: S608
ADD = f"""
    INSERT INTO environments ({COLUMNS}) VALUES (:project, :name, :adapter, '', '', NULL, 0, '{{}}')
    ON CONFLICT (project, name) DO UPDATE SET adapter = :adapter
"""  # noqa: S608
SET_LIVE = """
    UPDATE environments SET live = :release, deployment = :deployment, since = :now WHERE project = :project AND name = :name
"""
SET_FACTS = "UPDATE environments SET facts = :facts WHERE project = :project AND name = :name"
SET_MAINTENANCE = "UPDATE environments SET maintenance = :on WHERE project = :project AND name = :name AND maintenance <> :on"
REMOVE = "DELETE FROM environments WHERE project = :project AND name = :name"


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """An environment as it stands."""

    project: str
    name: str
    adapter: str
    live: str  # the release; empty: none
    deployment: str  # that made it live
    since: str | None
    maintenance: bool
    facts: dict[str, Any]  # what the adapter wants to find again


def _row(row: Row) -> EnvironmentRow:
    return EnvironmentRow(
        row["project"],
        row["name"],
        row["adapter"],
        row["live"],
        row["deployment"],
        row["since"],
        row["maintenance"] == 1,
        json.loads(row["facts"]),
    )


async def find_or_add(tx: Tx, project: str, name: str, *, adapter: str) -> EnvironmentRow:
    """The environment, kept from here on; its adapter is the one that its settings name now."""
    await tx.execute(ADD, project=project, name=name, adapter=adapter)
    row = await tx.one(GET, project=project, name=name)
    assert row is not None
    return _row(row)


async def get(tx: Tx, project: str, name: str) -> EnvironmentRow | None:
    row = await tx.one(GET, project=project, name=name)
    return _row(row) if row else None


async def of_project(tx: Tx, project: str) -> list[EnvironmentRow]:
    return [_row(row) for row in await tx.all(OF, project=project)]


async def serving(tx: Tx) -> list[EnvironmentRow]:
    """Those of all projects in which something is live."""
    return [_row(row) for row in await tx.all(SERVING)]


async def set_live(tx: Tx, project: str, name: str, *, release: str, deployment: str) -> None:
    """Note what is live from now on (empty: nothing), with `environment.live`; in the transaction of the deployment's switch or end."""
    await tx.execute(SET_LIVE, project=project, name=name, release=release, deployment=deployment, now=tx.now)
    await tx.append("environment.live", stream=deployment, environment=name, release=release, deployment=deployment)


async def set_facts(tx: Tx, project: str, name: str, facts: Mapping[str, Any]) -> None:
    """Keep what the adapter wants to find again (JSON); never a secret."""
    await tx.execute(SET_FACTS, project=project, name=name, facts=json.dumps(facts))


async def set_maintenance(tx: Tx, project: str, name: str, *, on: bool) -> None:
    if await tx.execute(SET_MAINTENANCE, project=project, name=name, on=int(on)):
        await tx.append("environment.maintenance", stream=f"{project}/{name}", environment=name, on=on)
