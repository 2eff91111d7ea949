"""Tells which processes outlive loco or the whole daemon: the supervisor adopts what loses its parent, and must not end those."""

from __future__ import annotations

import glob
import os

from sparki_daemon.system import held, process

# Locks of keepers, fronts and minders in <home>/environments/<project>/<environment>/, and of who records how a command ends.
LOCKS = (
    "environments/*/*/keeper.lock",
    "environments/*/*/front-*.lock",
    "environments/*/*/services/*/minder.lock",
    "environments/*/*/commands/*/lock",
    "hooks/*/*/lock",
)


def kept_pids(home: str) -> set[int]:
    """The pids of what environments and deployments keep running.

    A mark in the environment would not do: every job that a service starts would bear it.
    """
    found = set()
    for pattern in LOCKS:
        for path in glob.glob(os.path.join(glob.escape(home), pattern)):
            who = held.written(path)
            if who is not None and process.alive(who):
                found.add(who.pid)
    return found
