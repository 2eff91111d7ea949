"""The one loop of a runner: file descriptors, timers, and nothing that blocks."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

READ = select.POLLIN
WRITE = select.POLLOUT
_FAULT = select.POLLERR | select.POLLHUP | select.POLLNVAL

OnReady = Callable[[], None]


class Loop:
    """Calls back for descriptors that are ready and for moments that have come.

    A callback may add and remove descriptors and timers, its own too. Callbacks must not block, and must bear being called
    when there is nothing to do: a descriptor's number may have been used again within one turn.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._ready: dict[int, OnReady] = {}
        self._timers: dict[str, tuple[float, OnReady]] = {}

    def watch(self, fd: int, events: int, on_ready: OnReady) -> None:
        """Call `on_ready` whenever `fd` is ready for `events`, or broken. Watching it again replaces what was asked before."""
        self._poll.register(fd, events)
        self._ready[fd] = on_ready

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; must be called before it is closed. One that isn't watched is no error."""
        if self._ready.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def after(self, name: str, seconds: float, then: OnReady) -> None:
        """Call `then` once, `seconds` from now. A timer of the same name is replaced."""
        self._timers[name] = (time.monotonic() + seconds, then)

    def waiting(self, name: str) -> bool:
        """Tell whether a timer of that name is to come."""
        return name in self._timers

    def drop(self, name: str) -> None:
        """Forget a timer; one that is not there is no error."""
        self._timers.pop(name, None)

    def suspend(self, *names: str) -> OnReady:
        """Stop the clock of those timers; what this gives puts them back, with the time that each had left."""
        now = time.monotonic()
        stopped = {name: (at - now, then) for name in names if (found := self._timers.pop(name, None)) for at, then in [found]}

        def resume() -> None:
            for name, (left_s, then) in stopped.items():
                self.after(name, left_s, then)

        return resume

    def turn(self) -> None:
        """Wait for the next thing that happens, and do all that is due."""
        for fd, _ in self._poll.poll(self._wait_ms()):
            if on_ready := self._ready.get(fd):
                on_ready()
        if self._timers:
            self._ring()

    def sleep(self, seconds: float) -> None:
        """Go on serving for `seconds`."""
        over = False

        def end() -> None:
            nonlocal over
            over = True

        self.after("sleep", seconds, end)
        while not over:
            self.turn()

    def _wait_ms(self) -> float | None:
        if not self._timers:
            return None
        nearest = min(at for at, _ in self._timers.values())
        # Rounded up: a wait that ends before its time would spin.
        return max(0, int((nearest - time.monotonic()) * 1000) + 1)

    def _ring(self) -> None:
        now = time.monotonic()
        for name, (at, then) in [*self._timers.items()]:
            if at <= now and self._timers.get(name) == (at, then):  # one before it may have dropped or replaced it
                del self._timers[name]
                then()
