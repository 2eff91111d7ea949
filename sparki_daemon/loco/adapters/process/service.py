"""The step that starts the new release's service, its look and its undoing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from sparki_daemon.loco.adapters.process import shipping
from sparki_daemon.loco.adapters.process.door import ask
from sparki_daemon.loco.adapters.process.wishes import wishes_of
from sparki_daemon.loco.keeper.client import Service, Status
from sparki_daemon.loco.protocol import Release, Seen, Sight, StepFailed, Strategy, Work

POLL_S = 0.02


async def start(work: Work) -> Mapping[str, Any]:
    """Start the new release; where the old one is to end first, end it."""
    wishes = wishes_of(work.release.settings)
    if wishes.strategy is Strategy.RECREATE and work.previous and work.previous.id != work.release.id:
        old = work.previous.id
        await ask(work, lambda keeper: keeper.stop_service(old, grace_s=wishes.grace_s))
    return _told(await _start(work, work.release))


async def look(work: Work) -> Sight:
    """The keeper knows whose service runs."""
    status = await ask(work, lambda keeper: keeper.status())
    found = status.services.get(work.release.id)
    if found is None or found.deployment != work.deployment:
        return Sight(Seen.ABSENT)
    return Sight(Seen.DONE, _told(found))


async def undo(work: Work) -> None:
    """Stop the new release, unless it was live before; where the old one was ended for it, start that again."""
    if work.serves:
        return
    before = work.previous
    wishes = wishes_of(work.release.settings)
    await drained(work, work.release.id, time.monotonic() + wishes.grace_s)
    await ask(work, lambda keeper: keeper.stop_service(work.release.id, grace_s=wishes.grace_s))
    if before is None or wishes.strategy is not Strategy.RECREATE:
        return
    await _start(work, before)
    limit_s = wishes_of(before.settings).health.within_s
    for _ in range(int(limit_s / POLL_S)):
        status = await ask(work, lambda keeper: keeper.status())
        if status.services[before.id].listening:
            await ask(work, lambda keeper: keeper.set_upstream(before.id))
            return
        await asyncio.sleep(POLL_S)
    raise StepFailed(f"release {before.id} was started again, and does not listen")


async def drained(work: Work, release: str, deadline: float) -> Status:
    """What the keeper says when a release that has no more traffic has answered what it was asked, or has had its time (monotonic)."""
    while (status := await ask(work, lambda keeper: keeper.status())).counted(release).in_flight > 0 and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    return status


async def _start(work: Work, release: Release) -> Service:
    wishes, values = wishes_of(release.settings), await work.secrets()
    secrets = {name: values[name] for name in release.secrets if name in values}
    cwd = shipping.release_folder(work.place.folder, release.id)
    return await ask(
        work,
        lambda keeper: keeper.start_service(
            release.id, wishes.command, cwd, variables=wishes.variables, secrets=secrets, limits=wishes.limits
        ),
    )


def _told(found: Service) -> dict[str, Any]:
    return {"port": found.port, "restarts": found.restarts}
