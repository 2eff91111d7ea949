"""Forks the runners of one `sparki ci`, the first of them before this process has loaded its planner: each loads its own part then."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

from sparki_daemon.supervisor.children import NO_NAMESPACE, end_adopted, fork_runner, reap_until
from sparki_daemon.system import process

END_LIMIT_S = 5.0


class Nursery:
    """Gives birth to runners under `home`. They end with this process: `close` lets go of what they hear its death by."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._born = 0
        self.others = set(process.children(os.getpid()))  # children that came with this process are none of ours
        self._death_read, self._death_write = os.pipe2(os.O_CLOEXEC)
        process.become_subreaper()
        # Whether the system gives PID namespaces is tried with the first runner: a trial beforehand takes as long as its birth.
        self._namespace = sys.platform == "linux" and os.geteuid() == 0 and not os.environ.get(NO_NAMESPACE)
        self._ended: list[int] = []
        self._early: list[tuple[str, int]] = []

    def begin(self) -> None:
        """Fork the first runner, whom nobody waits for yet. Raises OSError."""
        for folder in ("runners", "spool"):
            os.makedirs(os.path.join(self._home, folder), mode=0o700, exist_ok=True)
        self._early.append(self._birth())

    def fork(self) -> tuple[str, int]:
        """A runner's name and pid: the one that was born early, else a new one. Raises OSError when the system refuses."""
        return self._early.pop() if self._early else self._birth()

    def died_at_birth(self) -> bool:
        """Whether a runner that has died before it spoke may be tried again, without a namespace of its own."""
        tried, self._namespace = self._namespace, False
        return tried and self._born == 1

    def path(self, name: str) -> str:
        """Where a runner listens."""
        return os.path.join(self._home, "runners", f"{name}.sock")

    def end(self, pids: Iterable[int]) -> None:
        """Kill these runners and the one that nobody has taken; `close` waits for them."""
        self._ended = [*pids, *(pid for _, pid in self._early)]
        self._early.clear()
        for pid in self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End every runner that was not ended yet, and whatever came of any."""
        self.end(self._ended)
        reap_until(time.monotonic() + END_LIMIT_S, self._ended)
        end_adopted(self.others, END_LIMIT_S)
        os.close(self._death_write)
        os.close(self._death_read)

    def _birth(self) -> tuple[str, int]:
        if self._born:
            _preload()
        self._born += 1
        name = f"ci-{self._born}"
        try:
            return name, fork_runner(_serve, name, self._home, self._death_read, namespace=self._namespace)
        except OSError:
            if not self._namespace:
                raise
            self._namespace = False
            return name, fork_runner(_serve, name, self._home, self._death_read, namespace=False)


def _serve(name: str, home: str, death_fd: int) -> None:
    os.setsid()  # before anything is loaded: Ctrl-C is for the command, which then tells its runners
    from sparki_daemon.runner.main import serve  # noqa: PLC0415  # while the command loads its planner, on another core

    serve(name, home, death_fd, outlives=False)


def _preload() -> None:
    """There are several runners: load what all of them need once, here."""
    from sparki_daemon.runner.actions import preload  # noqa: PLC0415

    preload()
