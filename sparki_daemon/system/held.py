"""Locks that say who holds them: a file under flock with pid, start time and boot id inside."""

from __future__ import annotations

import json
import os
import time

from sparki_daemon.system import files, process

WRITE_LIMIT_S = 1.0  # between taking a lock and having said who


def take(path: str) -> int | None:
    """Take the lock and write who this process is; the descriptor is the lock. None: somebody holds it."""
    lock = files.try_lock(path)
    if lock is not None:
        who = process.identity(os.getpid())
        data = json.dumps({"pid": who.pid, "start": who.start, "boot": who.boot}).encode()
        os.pwrite(lock, data, 0)
        os.ftruncate(lock, len(data))
    return lock


def holder(path: str) -> process.Identity | None:
    """The living process that holds the lock; None where it is free. A record without a lock is believed by nobody."""
    deadline = time.monotonic() + WRITE_LIMIT_S
    while files.is_locked(path):
        who = written(path)
        if who is not None and process.alive(who):
            return who
        if time.monotonic() > deadline:
            return None
        time.sleep(0.002)
    return None


def written(path: str) -> process.Identity | None:
    """Who wrote the record last, dead or alive."""
    try:
        with open(path, "rb") as file:
            told = json.loads(file.read())
        return process.Identity(int(told["pid"]), int(told["start"]), str(told["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
