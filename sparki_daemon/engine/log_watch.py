"""Who follows the text of which running job: wakes them, and asks for news only while someone listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from sparki_daemon.model.event import Event

NET_S = 1.0  # a lost notice costs at most this


class LogWatch:
    """`on_first(uid)` is called when a job gets its first follower, `on_last(uid)` when it has lost its last."""

    def __init__(self, on_first: Callable[[str], None], on_last: Callable[[str], None], *, net_s: float = NET_S) -> None:
        self._on_first = on_first
        self._on_last = on_last
        self._net_s = net_s
        self._wakes: dict[str, dict[object, Callable[[], None]]] = {}

    def watched(self, uid: str) -> bool:
        """Someone follows the job: whoever gives it to a runner must ask for its news again."""
        return uid in self._wakes

    def notify(self, uid: str) -> None:
        """The job's log grew, or the job ended."""
        for wake in list(self._wakes.get(uid, {}).values()):
            wake()

    def told(self, event: Event) -> None:
        """An event is committed. Those of a job's steps are news of its text: its runner tells of no growth beside its records."""
        if event.kind == "job.finished" or event.kind.startswith("step."):
            self.notify(event.data["uid"])

    @contextmanager
    def waking(self, uid: str, wake: Callable[[], None]) -> Iterator[None]:
        """While open, `wake` is called at every notice about the job."""
        token = object()
        wakes = self._wakes.get(uid)
        if wakes is None:
            wakes = self._wakes[uid] = {}
            self._on_first(uid)
        wakes[token] = wake
        try:
            yield
        finally:
            del wakes[token]
            if not wakes:
                del self._wakes[uid]
                self._on_last(uid)

    @asynccontextmanager
    async def watch(self, uid: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Gives `changed()`: it returns at the next notice, at once when one came since the last call, and after a second at the latest."""
        news = asyncio.Event()

        async def changed() -> None:
            try:
                async with asyncio.timeout(self._net_s):
                    await news.wait()
            except TimeoutError:
                pass  # the net: the caller looks at the file
            news.clear()

        with self.waking(uid, news.set):
            yield changed
