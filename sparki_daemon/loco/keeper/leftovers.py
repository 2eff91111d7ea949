"""Ends what is left of a service whose minder was killed and whose tree came to no keeper: the keeper that forked the minder had died, too.

A service's first process leads a session, and says who it is in a file. Whoever is in that session and bears the release is the service's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import asdict

from sparki_daemon.system import files, process


def note(folder: str) -> None:
    """Write down that this process leads the service whose folder that is. Raises OSError."""
    files.write_atomic(_path(folder), json.dumps(asdict(process.identity(os.getpid()))).encode(), durable=False)


def end(folder: str, release: str) -> None:
    """SIGKILL to all that is left, and to what that has started; nothing where all has ended."""
    try:
        with open(_path(folder), "rb") as file:
            leader = process.Identity(**json.load(file))
    except (OSError, ValueError, TypeError):
        return
    if leader.boot != process.boot_id():
        return
    for pid in map(int, filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ())):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process.alive(leader) if pid == leader.pid else _belongs(pid, leader.pid, release):
                for one in (*process.descendants(pid), pid):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(one, signal.SIGKILL)


def _belongs(pid: int, session: int, release: str) -> bool:
    """A number that was used again is no match: the release is."""
    return os.getsid(pid) == session and process.environment(pid).get("SPARKI_RELEASE") == release


def _path(folder: str) -> str:
    return os.path.join(folder, "leader.json")
