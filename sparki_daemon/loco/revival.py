"""Has every environment of this state folder serve again what it served before the machine was restarted."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from sparki_daemon.loco.protocol import Adapter, Place, Reviving, StepFailed
from sparki_daemon.loco.settings import folder_of
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.store import environments, releases
from sparki_daemon.store.environments import EnvironmentRow
from sparki_daemon.store.protocol import Store

log = logging.getLogger("sparki.loco")
Secrets = Callable[[str, str, tuple[str, ...]], Awaitable[Mapping[str, str]]]  # project, environment, names → values


async def revive_all(store: Store, load: Callable[[str], Adapter], secrets: Secrets, home: str) -> None:
    """Look at each environment in which something is live. What can't be brought back is told in the log, and holds up no other."""
    for row in await store.read(environments.serving):
        try:
            adapter = load(row.adapter)
            if isinstance(adapter, Reviving):
                await _revive(store, adapter, secrets, home, row)
        except (SparkiError, StepFailed) as error:
            log.error("%s: what was live can't be brought back: %s", row.name, error)  # noqa: TRY400  # the error says all
        except Exception:  # another's adapter
            log.exception("%s: what was live can't be brought back", row.name)


async def _revive(store: Store, adapter: Reviving, secrets: Secrets, home: str, row: EnvironmentRow) -> None:
    live = await store.read(lambda tx: releases.get(tx, row.live))

    async def values(release: str) -> Mapping[str, str]:
        found = await store.read(lambda tx: releases.get(tx, release))
        return await secrets(row.project, row.name, found.secrets if found else ())

    settings = live.settings if live else {}
    place = Place(project=row.project, environment=row.name, folder=folder_of(home, row.project, row.name), settings=settings)
    for release in await adapter.revive(place, values):
        log.info("%s: %s has the values of its secrets again", row.name, release)
