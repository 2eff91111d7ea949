"""Which releases are kept to go back to, and how the others go: the row first, then what the platform has, then the bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from sparki_daemon.engine.subsystems.releasing import Releasing
from sparki_daemon.loco.protocol import Release
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import ReleaseRow

KEEP = 5  # where the settings don't say
log = logging.getLogger("sparki.keep")


class KeepReleases:
    """Prunes environments one at a time. An archive goes when no release that is kept names it."""

    def __init__(self, store: Store, releasing: Releasing) -> None:
        self._store = store
        self._releasing = releasing

    async def prune(self, project: str, environment: str) -> list[str]:
        """Drop the releases of an environment that are no longer kept; their ids."""

        async def work(tx: Tx) -> list[ReleaseRow]:
            gone = await _superfluous(tx, project, environment)
            return [row for row in gone if await releases.prune(tx, row.id)]

        gone = await self._store.write(work)
        for row in gone:
            await self._forget(row)
        if gone:
            await self.sweep()
        return [row.id for row in gone]

    async def sweep(self) -> None:
        """Remove archives that no kept release names: also those whose release's row was pruned by an engine that died then."""
        async with self._releasing.keeping:
            used = await self._store.read(releases.digests)
            await asyncio.to_thread(self._releasing.archives.drop_unused, used)

    async def _forget(self, row: ReleaseRow) -> None:
        try:
            adapter = self._releasing.adapter(row.settings["adapter"])
            release = Release(
                id=row.id,
                number=row.number,
                commit=row.commit,
                tree=row.tree,
                artifact=row.artifact,
                settings=row.settings,
                secrets=row.secrets,
            )
            await adapter.forget(self._releasing.place(row.project, row.environment, row.settings), release)
        except Exception:
            log.exception("what the platform has of %s could not be removed", row.id)


async def _superfluous(tx: Tx, project: str, environment: str) -> list[ReleaseRow]:
    row = await environments.get(tx, project, environment)
    live = await releases.get(tx, row.live) if row and row.live else None
    if live is None:
        return []
    made = await deployments.listing(tx, project=project, environment=environment, limit=1000)
    went_live = list(dict.fromkeys(one.release for one in made if one.state is DeploymentState.LIVE))
    in_use = {name for one in made if not one.state.terminal for name in (one.release, one.previous)}
    known = await releases.of_environment(tx, project, environment)
    return superfluous(known, live=live, went_live=went_live, in_use=in_use)


def superfluous(known: Sequence[ReleaseRow], *, live: ReleaseRow, went_live: Sequence[str], in_use: Collection[str]) -> list[ReleaseRow]:
    """The releases that may go. `went_live`: those that have been live, the latest first.

    Kept are as many of those as the live one's settings say, so that failed attempts push nothing out that can be gone back to;
    what is newer than the live one, and what a deployment under way needs.
    """
    kept = {live.id, *in_use, *went_live[: max(1, live.settings.get("keep_releases") or KEEP)]}
    return [row for row in known if not row.pruned and row.id not in kept and row.number < live.number]
