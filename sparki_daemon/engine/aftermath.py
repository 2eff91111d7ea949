"""What follows from events, whoever committed them: notices, pruned releases, ends of binds. Goes on where the last engine stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

from sparki_daemon.engine.feed import Feed
from sparki_daemon.engine.subsystems.keep_releases import KeepReleases
from sparki_daemon.engine.subsystems.notices import KINDS, Notices
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.store import deployments
from sparki_daemon.store.protocol import Store
from sparki_daemon.system.files import write_atomic

_MARK = "aftermath.seq"  # in the state folder: the last event that was seen to
log = logging.getLogger("sparki.engine")


class Aftermath:
    """`run` while the engine lives."""

    def __init__(
        self, home: str, store: Store, feed: Feed, notices: Notices, keep: KeepReleases, settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._mark = os.path.join(home, _MARK)
        self._store = store
        self._feed = feed
        self._notices = notices
        self._keep = keep
        self._settle = settle  # asked when something has ended

    async def run(self) -> None:
        """See to each event once, in order; until cancelled."""
        subscription = self._feed.subscription(self._begin(), None)
        woken = asyncio.Event()
        woken.set()
        try:
            await self._quietly(self._keep.sweep())
            with self._feed.waking(woken.set):
                while True:
                    await woken.wait()
                    woken.clear()
                    try:
                        while events := await subscription.page():
                            await self._take(events)
                    except SparkiError as error:  # what was kept since is gone: nobody wants to hear of it now
                        log.warning("%s", error)
                        subscription = self._feed.subscription(self._feed.last, None)
        finally:
            await self._notices.close()

    def _begin(self) -> int:
        """After which event to begin: in a state folder that has no mark yet, after the present."""
        with contextlib.suppress(OSError, ValueError), open(self._mark, encoding="ascii") as file:
            return min(int(file.read()), self._feed.last)
        return self._feed.last

    async def _take(self, events: list[Event]) -> None:
        matter = [event for event in events if event.kind in KINDS]
        if matter:  # before anything is told: a notice that is lost by a kill is better than one that comes at each start
            with contextlib.suppress(OSError):
                await asyncio.to_thread(write_atomic, self._mark, str(events[-1].seq).encode(), durable=False)
        for event in matter:
            self._notices.tell(event)
            if event.kind == "deployment.finished" and event.data.get("status") == "live":
                await self._quietly(self._prune(event.stream))
        if any(event.kind.endswith(".finished") for event in matter):
            await self._quietly(self._settle())

    async def _prune(self, deployment: str) -> None:
        row = await self._store.read(lambda tx: deployments.get(tx, deployment))
        if row is not None:
            await self._keep.prune(row.project, row.environment)

    async def _quietly(self, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception:
            log.exception("what follows from an end could not be done")
