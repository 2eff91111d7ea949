"""The state folder as the supervisor began with it: whether it is still there, and the end of what ran in one that was removed."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from sparki_daemon.system import process

LIMIT_S = 5.0
STATIONS = (b"keeper", b"front")


class Home:
    """A folder that is known by itself and not by its name: another one in its place is another daemon's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def lost(self) -> bool:
        """Nobody finds the folder, or this daemon, by its name any more. What can't be told now is not lost."""
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    @property
    def removed(self) -> bool:
        """It is not merely elsewhere: what ran from it has no files any more."""
        return _is_removed(self.inside)

    @property
    def inside(self) -> str:
        """A path to the folder that holds wherever it was moved."""
        return f"/proc/self/fd/{self._fd}"

    def end_services(self) -> None:
        """Kill the keepers and fronts of a removed folder with all that descends from them: who kept them can't be asked any more."""
        deadline = time.monotonic() + LIMIT_S
        while (found := self._kept()) and time.monotonic() < deadline:
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _kept(self) -> list[int]:
        """Fronts first: one whose keeper ends starts another."""
        named = [(pid, words) for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if (words := self._of_ours(pid))]
        named.sort(key=lambda one: one[1] != b"front")
        trees = [below for pid, _ in named for below in process.descendants(pid)]
        return [pid for pid, _ in named] + trees

    def _of_ours(self, pid: int) -> bytes:
        """The station that a process is for an environment of this folder; empty: none, or one of another daemon in a new folder here."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
                words = file.read().split(b"\0")
        except OSError:
            return b""
        environments = os.fsencode(os.path.abspath(self._path)) + b"/environments/"
        for station in STATIONS:
            if [b"sparki_daemon", station, b"--folder"] == words[2:5] and words[5].startswith(environments):
                return station if _is_removed(f"/proc/{pid}/cwd") else b""  # it stands in its folder; a zombie nowhere
        return b""


def _is_removed(folder: str) -> bool:
    try:
        return os.stat(folder).st_nlink == 0
    except OSError:
        return False
