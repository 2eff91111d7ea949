"""Hears of what other processes commit to the journal: loco wakes the engine after each of its commits."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from sparki_daemon.engine.feed import Feed
from sparki_daemon.store import journal
from sparki_daemon.store.protocol import Store
from sparki_daemon.system import wake

WAKE, LOCO_WAKE = "engine.wake", "loco.wake"  # the sockets on which the engine and loco wake each other
NET_S = 1.0  # a lost wake-up costs at most this while somebody else may write
QUIET_S = 60.0  # without news nobody else writes any more


class Others:
    """`listen` while the engine lives; `expect` when loco was asked for."""

    def __init__(self, home: str, store: Store, feed: Feed) -> None:
        self._home = home
        self._store = store
        self._feed = feed
        self._woken = asyncio.Event()
        self._expected_until = 0.0

    def expect(self) -> None:
        """Somebody else is going to write: wake loco, and look now and then."""
        self._expected_until = asyncio.get_running_loop().time() + QUIET_S
        self._woken.set()
        wake.wake(self._home, LOCO_WAKE)

    async def listen(self) -> None:
        """Bring the feed up to the journal whenever somebody else has written; until cancelled."""
        loop = asyncio.get_running_loop()
        server = wake.listen(self._home, WAKE)
        if server is not None:
            loop.add_reader(server, self._hear, server)
        try:
            while True:
                limit = NET_S if loop.time() < self._expected_until else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limit):
                        await self._woken.wait()
                self._woken.clear()
                head = await self._store.read(journal.head)
                if head > self._feed.last:
                    self._expected_until = loop.time() + QUIET_S
                    self._feed.advance(head)
        finally:
            if server is not None:
                loop.remove_reader(server)
                server.close()

    def _hear(self, server: socket.socket) -> None:
        wake.drain(server)
        self._woken.set()
