"""Ending process trees: asks first, then stops and kills, until nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterable

from sparki_daemon.system.process import children, descendants, is_zombie, name_of

_LOOK_S = 0.002


def reap(keep: Collection[int] = ()) -> dict[int, int]:
    """Take every child that has ended, but those in `keep`: pid → wait status. Never waits."""
    ended: dict[int, int] = {}
    if not keep:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return ended
                ended[pid] = status
        return ended
    for child in children():
        if child not in keep:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    ended[pid] = status
    return ended


def has_children() -> bool:
    """Is there any child, running or unreaped? One system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def end_children(keep: Collection[int] = (), *, term_s: float = 0.25, kill_s: float = 2.0) -> list[str]:
    """End every descendant of this process, but for the children in `keep` and what is below them; reap them too.

    This process must be a subreaper or pid 1 of its namespace: so the orphans of what is killed come here, however they escaped.
    They have `term_s` seconds after SIGTERM, then they are stopped, so that none forks away, and killed; `kill_s` bounds that
    (a process in uninterruptible sleep can't be killed). Returns the names of those that ran, each once.
    """
    if not has_children():
        return []
    reap(keep)
    victims = _below(keep)
    if not victims:
        return []
    names = {name_of(pid): None for pid in victims}
    if term_s > 0:
        signal_all(victims, signal.SIGTERM)
        signal_all(victims, signal.SIGCONT)  # a stopped process can't hear the first
        if _gone(keep, term_s):
            return [name for name in names if name]
    deadline = time.monotonic() + kill_s
    while (victims := _below(keep)) and time.monotonic() < deadline:
        names |= {name_of(pid): None for pid in victims}
        stop_and_kill(victims, keep)
        if _gone(keep, 0.05):
            break
    return [name for name in names if name]


def stop_and_kill(victims: Iterable[int], keep: Collection[int] = ()) -> None:
    """Stop all of `victims` first, then what they had forked meanwhile, then kill: a fork bomb can't outrun it."""
    stopped: set[int] = set()
    fresh = set(victims)
    for _ in range(50):
        signal_all(fresh, signal.SIGSTOP)
        stopped |= fresh
        fresh = set(_below(keep)) - stopped if fresh else set()
        if not fresh:
            break
    signal_all(stopped, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """Kill `pid`, its process group where it leads one, and all that is below it at this moment; reaps nothing."""
    victims = [pid, *descendants(pid)]
    signal_all(victims, signal.SIGSTOP)
    victims = [pid, *descendants(pid)]
    with contextlib.suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    signal_all(victims, signal.SIGKILL)


def signal_all(pids: Iterable[int], number: int) -> None:
    """Signal each; one that is gone, or isn't ours (a setuid program), is no error."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _below(keep: Collection[int]) -> list[int]:
    found = [child for child in children() if child not in keep]
    for child in found:  # grows while it is walked
        found += children(child)
    return [pid for pid in found if not is_zombie(pid)]


def _gone(keep: Collection[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while True:
        reap(keep)
        if (not _below(keep)) if keep else not has_children():
            reap(keep)  # one that ended since the last look is below nobody, and is still to be taken
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_S)
