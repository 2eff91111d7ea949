"""The steps of a deployment on this machine. The environment's keeper holds all that must outlive loco, and is what a look looks at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sparki_daemon.loco import recorder
from sparki_daemon.loco.adapters.process import service, shipping
from sparki_daemon.loco.adapters.process.door import address_of, ask, ask_as_now, revived_status, running_status, to_its_end, try_address
from sparki_daemon.loco.adapters.process.drifting import drift_of
from sparki_daemon.loco.adapters.process.execution import execute
from sparki_daemon.loco.adapters.process.gate import healthy, watched
from sparki_daemon.loco.adapters.process.probe import probe
from sparki_daemon.loco.adapters.process.reviving import revive
from sparki_daemon.loco.adapters.process.wishes import problems_of, wishes_of
from sparki_daemon.loco.protocol import Capabilities, Drift, Observed, Place, Release, Seen, Sight, StepFailed, Strategy, Work
from sparki_daemon.model.problem import Problem
from sparki_daemon.pipeline.environment_keys import OWN_KEYS

POLL_S = 0.05
FOLLOW_S = 0.2
RETRY_AFTER_S = 60  # of a maintenance whose end nobody has said. Source: RFC 9110, 10.2.3


class ProcessAdapter:
    """Fills `Adapter` over a keeper, a front and services of this machine."""

    name = "process"
    capabilities = Capabilities(
        strategies=frozenset({Strategy.BLUEGREEN, Strategy.RECREATE}),
        exec=True,
        logs=True,
        maintenance=True,
        down=True,
        warm=True,
        release_command=True,
        artifacts=frozenset({"source", "artifact"}),
        keys=OWN_KEYS["process"],
    )

    def problems(self, place: Place) -> Sequence[Problem]:
        return problems_of(place.settings)

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        return await _DO[step](work)

    async def look(self, step: str, work: Work) -> Sight:
        return await _LOOK[step](work)

    async def undo(self, step: str, work: Work) -> None:
        await _UNDO[step](work)

    async def observe(self, place: Place) -> Observed:
        status = await asyncio.to_thread(revived_status, place.folder, acting=False)
        if status is None or not status.live:
            return Observed(release="", healthy=None)
        found = status.services.get(status.live)
        well = found is not None and found.listening
        wishes = wishes_of(place.settings)
        if found is not None and well and wishes.health.path:
            well = not await asyncio.to_thread(probe, "127.0.0.1", found.port, wishes.health)
        counted = status.counted(status.live)
        facts = {
            "pid": found.pid if found else None,
            "port": found.port if found else None,
            "restarts": found.restarts if found else 0,
            "requests": counted.requests,
            "dropped": counted.dropped,
        }
        return Observed(release=status.live, healthy=well, url=f"http://{status.listen}/", facts=facts)

    async def logs(self, place: Place, *, release: str, follow: bool) -> AsyncIterator[str]:
        path = os.path.join(place.folder, "logs", f"{release}.log")
        with contextlib.suppress(StepFailed):  # its lines can be read all the same
            await asyncio.to_thread(revived_status, place.folder, acting=False)
        try:
            file = await asyncio.to_thread(open, path, encoding="utf-8", errors="replace")
        except OSError:
            return
        with file:
            while True:
                if line := file.readline():
                    yield line.rstrip("\n")
                elif not follow:
                    return
                else:
                    await asyncio.sleep(FOLLOW_S)

    async def execute(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> int:
        return await execute(place.folder, command, tell)

    async def maintenance(self, place: Place, *, on: bool) -> None:
        await ask_as_now(
            place.folder, lambda keeper: keeper.set_maintenance("down for maintenance" if on else None, retry_after_s=RETRY_AFTER_S)
        )

    async def down(self, place: Place) -> None:
        grace_s = wishes_of(place.settings).grace_s
        await ask_as_now(place.folder, lambda keeper: keeper.down(grace_s=grace_s))

    async def revive(self, place: Place, values: Callable[[str], Awaitable[Mapping[str, str]]]) -> Sequence[str]:
        return await revive(place.folder, values)

    async def drift(self, place: Place, release: Release) -> Sequence[Drift]:
        return await asyncio.to_thread(drift_of, place.folder, release)

    async def forget(self, place: Place, release: Release) -> None:
        await asyncio.to_thread(shipping.forget, place.folder, release.id)


# -- steps ---------------------------------------------------------------------------------------------------------------


async def _lock(work: Work) -> Mapping[str, Any]:
    """The public socket is the lock: whoever holds it, of whatever state folder, has the target."""
    wishes = wishes_of(work.release.settings)
    status = await ask(work, lambda keeper: keeper.status())
    if status.listen in ("", wishes.listen):
        await ask(work, lambda keeper: keeper.ensure_front(wishes.listen))
    return {"listen": wishes.listen}


async def _unlock(work: Work) -> None:
    """The last thing undone: no release command that was cancelled, or took too long, goes on either."""
    await asyncio.to_thread(recorder.end, _commands(work))
    if work.previous is not None:
        with contextlib.suppress(StepFailed):  # no fault of what is taken back here
            await _present(work)
    status = await asyncio.to_thread(running_status, work.place.folder)
    if status is not None and not status.live and not status.services and status.epoch <= work.epoch:
        await ask(work, lambda keeper: keeper.down(grace_s=0.0))


async def _prepare(work: Work) -> Mapping[str, Any]:
    if found := problems_of(work.release.settings):
        raise StepFailed("; ".join(one.message for one in found))
    values = await work.secrets()
    if missing := sorted(set(work.release.secrets) - set(values)):
        raise StepFailed(f"there is no value for {', '.join(missing)}: set it with `sparki secret set`")
    status, listen = await ask(work, lambda keeper: keeper.status()), wishes_of(work.release.settings).listen
    if status.listen and address_of(status.listen) != address_of(listen):  # the switch takes it: too late to hear that it can't
        await asyncio.to_thread(try_address, listen)
    return {}


async def _ship(work: Work) -> Mapping[str, Any]:
    stop = threading.Event()
    what = (work.place.folder, work.release.id, work.release.artifact)
    ship = partial(shipping.ship, *what, work.tell, deployment=work.deployment, stopped=stop.is_set)
    return {"folder": await to_its_end(ship, leave=stop.set)}


async def _take_away(work: Work) -> None:
    """The files that this deployment brought, unless people were served from them: what the service has added may be theirs.

    The release is kept as an archive. What can't be removed costs room, and no deployment its end.
    """
    status = await asyncio.to_thread(running_status, work.place.folder)
    if work.serves or (status is not None and status.counted(work.release.id).requests):
        return
    for left in await asyncio.to_thread(shipping.take_away, work.place.folder, work.release.id, work.deployment):
        work.tell(f"left behind: {left}")


async def _release_command(work: Work) -> Mapping[str, Any]:
    wishes = wishes_of(work.release.settings)
    if not wishes.release_command:
        return {}
    cwd = shipping.release_folder(work.place.folder, work.release.id)
    secrets = await work.secrets()
    environment = {**wishes.variables, **secrets, "SPARKI_RELEASE": work.release.id}
    running = await asyncio.to_thread(
        recorder.begin, _commands(work), wishes.release_command, cwd, environment, work.log, hidden=sorted(secrets)
    )
    while running.poll() is None:
        await asyncio.sleep(POLL_S)
    sight = await _look_at_release_command(work)
    if sight.seen is not Seen.DONE:
        raise StepFailed(sight.reason or "the release command left no record of its end")
    return sight.data


async def _look_at_release_command(work: Work) -> Sight:
    if not wishes_of(work.release.settings).release_command:
        return Sight(Seen.DONE)
    while True:
        seen, code = await asyncio.to_thread(recorder.seen, _commands(work))
        if seen is not None:
            break
        await asyncio.sleep(POLL_S)
    reasons = {
        Seen.FAILED: f"the release command ended with {code}",
        Seen.UNCLEAR: "the release command began, and nobody can say how it ended: the machine went down, or it was killed",
    }
    return Sight(seen, {"exit": code} if seen is Seen.DONE else {}, reasons.get(seen, ""))


def _commands(work: Work) -> str:
    return os.path.join(work.place.folder, "commands", work.deployment)


async def _switch(work: Work) -> Mapping[str, Any]:
    listen = wishes_of(work.release.settings).listen
    await ask(work, lambda keeper: keeper.ensure_front(listen))
    await ask(work, lambda keeper: keeper.set_upstream(work.release.id))
    return {"url": f"http://{listen}/"}


async def _look_at_switch(work: Work) -> Sight:
    status = await ask(work, lambda keeper: keeper.status())
    listen = wishes_of(work.release.settings).listen
    if status.live == work.release.id and address_of(status.listen) == address_of(listen):
        return Sight(Seen.DONE, {"url": f"http://{listen}/"})
    return Sight(Seen.ABSENT)


async def _switch_back(work: Work) -> None:
    status = await ask(work, lambda keeper: keeper.status())
    before = work.previous
    if before is not None and before.id in status.services:
        await ask(work, lambda keeper: keeper.set_upstream(before.id))
        await ask(work, lambda keeper: keeper.ensure_front(wishes_of(before.settings).listen))
    elif status.live == work.release.id:
        await ask(work, lambda keeper: keeper.set_upstream(None))


async def _retire(work: Work) -> Mapping[str, Any]:
    """End all but the new release, each when it has answered what it was asked, or its grace is over."""
    grace_s = wishes_of(work.release.settings).grace_s
    deadline = time.monotonic() + grace_s
    status = await ask(work, lambda keeper: keeper.status())
    for old in sorted(set(status.services) - {work.release.id}):
        status = await service.drained(work, old, deadline)
        await ask(work, lambda keeper, old=old: keeper.stop_service(old, grace_s=grace_s))  # type: ignore[misc]
    counted = {release: status.counted(release) for release in {work.release.id, work.previous.id if work.previous else work.release.id}}
    requests, dropped = sum(one.requests for one in counted.values()), sum(one.dropped for one in counted.values())
    work.tell(f"{dropped:,} of {requests:,} requests dropped")
    return {"requests": requests, "dropped": dropped}


async def _present(work: Work) -> Mapping[str, Any]:
    """Leave the environment with a keeper: one that died with its front since the last question comes back when it is asked."""
    await ask(work, lambda keeper: keeper.status())
    return {}


_DO = {
    "lock": _lock,
    "prepare": _prepare,
    "ship": _ship,
    "release_command": _release_command,
    "start": service.start,
    "health": healthy,
    "switch": _switch,
    "watch": watched,
    "retire": _retire,
    "done": _present,
}
_LOOK = {"release_command": _look_at_release_command, "start": service.look, "switch": _look_at_switch}
_UNDO = {"lock": _unlock, "ship": _take_away, "start": service.undo, "switch": _switch_back}
