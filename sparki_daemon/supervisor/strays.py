"""Finds and ends processes of jobs whose runner died while no supervisor was there to adopt them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from sparki_daemon.system import files, nonce


def end_strays(home: str, limit_s: float = 5.0) -> int:
    """Kill every stray of the state folder `home` until two passes find none; gives how many were ended.

    A process that cleaned its environment is missed: only a PID namespace a runner ends those.
    """
    ended, clean, deadline = 0, 0, time.monotonic() + limit_s
    alive: dict[str, bool] = {}
    while clean < 2 and time.monotonic() < deadline:
        found = list(strays(home, alive))
        clean = 0 if found else clean + 1
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
        if found:
            time.sleep(0.01)  # a killed process stays in the table until its parent reaped it
    return ended


def strays(home: str, alive: dict[str, bool]) -> Iterator[int]:
    """Pids whose nonce names a runner of this folder that is dead; `alive` remembers the answers."""
    marker = f"{nonce.VARIABLE}=".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb", buffering=0) as file:
                environment = file.read()
        except OSError:
            continue  # gone, or another user's
        for variable in environment.split(b"\0"):
            if variable.startswith(marker):
                runner = nonce.runner_of(variable[len(marker) :].decode(errors="replace"), home)
                if runner is not None and runner not in alive:
                    alive[runner] = _alive(home, runner)
                if runner is not None and not alive[runner]:
                    yield int(entry)
                break


def _alive(home: str, runner: str) -> bool:
    return files.is_locked(os.path.join(home, "runners", f"{runner}.lock"))
