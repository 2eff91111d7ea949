"""Runners as child processes: forked without exec, reaped, and cleaned up after. For whoever is the parent of a state folder's runners."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Container, Iterable
from typing import NoReturn

from sparki_daemon.system import process

NO_NAMESPACE = "SPARKI_NO_PID_NAMESPACE"  # set to anything: runners have no PID namespace, as where the system refuses them
RunnerMain = Callable[[str, str, int], None]


def namespaces_wanted() -> bool:
    """Whether runners get PID namespaces: the system gives them, and nobody said no."""
    return not os.environ.get(NO_NAMESPACE) and process.pid_namespaces_work()


def fork_runner(runner_main: RunnerMain, name: str, home: str, death_fd: int, *, namespace: bool) -> int:
    """Fork a child that is the runner `name` of the folder `home`, with no descriptor of ours but `death_fd`; its pid.

    The caller has one thread, and holds no lock that a child could keep. Raises OSError when the system refuses.
    """

    def child() -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.closerange(3, death_fd)
            os.closerange(death_fd + 1, 4096)
            runner_main(name, home, death_fd)
            status = 0
        finally:
            os._exit(status)

    if namespace:
        return process.fork_in_pid_namespace(child)
    pid = os.fork()
    if pid == 0:
        child()
    return pid


def reap_until(deadline: float, pids: Iterable[int]) -> list[int]:
    """Take the ends of these children until `deadline` (monotonic); gives those that have not ended by then."""
    left = list(pids)
    while True:
        for pid in list(left):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:
                ended = pid
            if ended:
                left.remove(pid)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.001)


def end_adopted(known: Container[int], limit_s: float = 2.0, spared: Callable[[], Container[int]] = tuple) -> None:
    """Kill the children of this process that are not `known`: a dead runner left them, and they came here.

    `spared`, asked only when there is a stranger, tells those that stay: what an environment keeps running may come here too.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        strangers = [pid for pid in process.children(os.getpid()) if pid not in known]
        if strangers:
            kept = spared()
            strangers = [pid for pid in strangers if pid not in kept]
        if not strangers:
            return
        for pid in strangers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if reap_until(deadline, strangers):
            return  # in uninterruptible sleep: the next death looks again
