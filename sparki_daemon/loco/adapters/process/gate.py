"""The two steps that judge the new release: the health gate before the cut, and the watch after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from sparki_daemon.loco.adapters.process.door import ask
from sparki_daemon.loco.adapters.process.judging import LOOKED_BACK, Verdict, bad_share, judged
from sparki_daemon.loco.adapters.process.probe import probe, tail
from sparki_daemon.loco.adapters.process.repeats import Repeats
from sparki_daemon.loco.adapters.process.wishes import Health, wishes_of
from sparki_daemon.loco.keeper.client import Service, Status
from sparki_daemon.loco.protocol import StepFailed, Work

STARTING_S = 0.02  # between two looks, until the service listens


async def healthy(work: Work) -> Mapping[str, Any]:
    """Wait for good answers in a row. Raises StepFailed: it ended, or was not well in time."""
    health = wishes_of(work.release.settings).health
    deadline, good, wrong = time.monotonic() + health.within_s, 0, "it does not listen on $PORT"
    say = Repeats(work.tell)
    wanted = 1 if work.serves else health.successes  # no cut hangs on what serves already
    while True:
        found = await _alive(work)
        if found.listening:
            wrong = await _probe(found, health)
            good = 0 if wrong else good + 1
        say(wrong or f"{f'GET {health.path} answered {health.status}' if health.path else 'it listens'}: {good} of {wanted}")
        if good >= wanted:
            return {"port": found.port}
        if time.monotonic() >= deadline:
            last = f": {wrong}" if wrong else ", only now and then"
            say.close()
            raise StepFailed(f"the new release was not healthy within {health.within_s:g} s{last}{await _last_lines(work, found)}")
        await asyncio.sleep(health.interval_s if found.listening else STARTING_S)


async def watched(work: Work) -> Mapping[str, Any]:
    """Look at probes and at the front's counts; the window does not end on a bad probe. Raises StepFailed for a bad release."""
    wishes = wishes_of(work.release.settings)
    status = await ask(work, lambda keeper: keeper.status())
    before, deadline = status.counted(work.release.id), time.monotonic() + wishes.watch_s
    probes: list[bool] = []
    made, bad = 0, 0
    while (left := deadline - time.monotonic()) > 0 or judged(probes) is Verdict.UNSURE:
        await asyncio.sleep(min(wishes.health.interval_s, left) if left > 0 else wishes.health.interval_s)
        found = await _alive(work)
        probes = [*probes[1 - LOOKED_BACK :], not (wrong := await _probe(found, wishes.health))]
        made, bad = made + 1, bad + bool(wrong)
        if wrong:
            work.tell(f"bad probe: {wrong}")
        status = await ask(work, lambda keeper: keeper.status())
        if share := bad_share(before, status.counted(work.release.id)):
            raise StepFailed(f"the new release answers badly: {share}")
        if judged(probes) is Verdict.BAD:
            raise StepFailed(f"the new release is not healthy: {probes.count(False)} of the last {len(probes)} probes were bad: {wrong}")
    counted = _counted(status, work)
    work.tell(f"{made:,} probes, {bad:,} of them bad; {counted['requests']:,} requests, {counted['errors_5xx']:,} answered with 5xx")
    return counted


def _counted(status: Status, work: Work) -> dict[str, Any]:
    now = status.counted(work.release.id)
    return {"requests": now.requests, "dropped": now.dropped, "errors_5xx": now.errors_5xx}


async def _alive(work: Work) -> Service:
    """The new release's service. Raises StepFailed when it has ended since it was started."""
    status = await ask(work, lambda keeper: keeper.status())
    found = status.services.get(work.release.id)
    if found is None:
        raise StepFailed("the new release's service is gone: somebody stopped it")
    if found.restarts > work.results.get("start", {}).get("restarts", 0):
        code = found.exit_status
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
        raise StepFailed(f"the new release's command {how}{await _last_lines(work, found)}")
    if found.problem:
        raise StepFailed(f"the new release's service can't be started: {found.problem}")
    if found.condition == "needs_values":  # the machine was restarted since the step that started it
        values = await work.secrets()
        return await ask(work, lambda keeper: keeper.give_values(work.release.id, values))
    return found


async def _probe(found: Service, health: Health) -> str:
    if not health.path:
        return "" if found.listening else "it does not listen on $PORT"
    return await asyncio.to_thread(probe, "127.0.0.1", found.port, health)


async def _last_lines(work: Work, found: Service) -> str:
    values = await work.secrets()
    lines = await asyncio.to_thread(tail, found.log, list(values.values()))
    return f"; its last lines:\n{lines}" if lines else ""
