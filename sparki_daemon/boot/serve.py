"""What the user's system starts: the daemon in the foreground; where one runs already, whoever waits for its end."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any

from sparki_daemon.client import launch
from sparki_daemon.client.paths import Paths

LOOK_AGAIN_S = 1.0  # where a daemon's end can't be waited for


def serve(paths: Paths, supervise: Callable[[int], int]) -> int:
    """Be the daemon of a state folder; the exit status. `supervise` is given the start lock, and lets it go when it can be asked.

    A daemon that somebody has started by hand is left alone. One that was stopped is not started again; in the place of one
    that died there is another. Raises SparkiError as `launch.connect` does.
    """
    while True:
        lock = launch.take_start_lock(paths)
        found = launch.connect(paths)
        if found is None:
            _speak_into(launch.open_log(paths))
            os.chdir("/")
            return supervise(lock)
        os.close(lock)
        sock, told = found
        sock.close()
        _await_end(told)
        if launch.read_daemon_file(paths) is None:  # it was told to stop, and has tidied up
            return 0


def _await_end(told: dict[str, Any]) -> None:
    try:
        process = os.pidfd_open(int(told["pid"]))
    except (AttributeError, OSError, KeyError, ValueError):  # gone, or no such thing on this system
        time.sleep(LOOK_AGAIN_S)
        return
    waiter = select.poll()
    waiter.register(process, select.POLLIN)
    waiter.poll()
    os.close(process)


def _speak_into(log: int) -> None:
    for fd in (1, 2):
        os.dup2(log, fd)
    os.close(log)
