"""The supervisor's loco: started when the engine asks for it, again when it dies, and not when it has left because nothing is to do."""

from __future__ import annotations

import os
import sys
import time

from sparki_daemon.supervisor.control import DEATH_FD
from sparki_daemon.system.backoff import HEALTHY_S, delay_s


class LocoChild:
    """Its process, and when it is due. `pid` is 0 while there is none."""

    def __init__(self, home: str, death_fd: int, pid: int = 0) -> None:
        self.pid = pid
        self.due: float | None = None  # monotonic; None: it runs, or nobody wants it
        self._home = home
        self._death_fd = death_fd
        self._since = time.monotonic()
        self._deaths = 0
        self._wanted_again = False

    def want(self) -> None:
        """There is a deployment to bring on."""
        if self.pid:
            self._wanted_again = True  # it may be on its way out
        elif self.due is None:
            self.due = time.monotonic()

    def start_when_due(self) -> None:
        if self.pid or self.due is None or time.monotonic() < self.due:
            return
        command = [sys.executable, "-m", "sparki_daemon", "loco", "--home", self._home]
        actions = [
            (os.POSIX_SPAWN_DUP2, self._death_fd, 10 + DEATH_FD),  # by way of a higher number: the target may be taken
            (os.POSIX_SPAWN_DUP2, 10 + DEATH_FD, DEATH_FD),
            (os.POSIX_SPAWN_CLOSE, 10 + DEATH_FD),
        ]
        self.pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
        self._since, self.due, self._wanted_again = time.monotonic(), None, False

    def ended(self, status: int) -> None:
        """It has ended, with waitpid's `status`. One that left by itself comes again only when somebody asked meanwhile."""
        self.pid = 0
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            self._deaths = 0
            self.due = time.monotonic() if self._wanted_again else None
            return
        self._deaths = 1 if time.monotonic() - self._since > HEALTHY_S else self._deaths + 1
        self.due = time.monotonic() + delay_s(self._deaths)
