"""Lets one process after the other write the state file, in turn, and remembers how far the journal had come."""

from __future__ import annotations

import fcntl
import os
from time import monotonic, sleep

POLL_S = 0.0002  # while another process writes: its transaction takes about twice as long
NOTE = b"%020d\n"


class GateHeld(Exception):  # noqa: N818  # reads as what happened
    """Another process has kept the gate for longer than we were ready to wait."""


class Gate:
    """Two locks beside the state file: `.gate`, held while writing, and `.turn`, held while waiting for `.gate`.

    SQLite's own busy handler lets a process that writes all the time starve one that writes now and then, and so does one lock.
    With two, whoever leaves must queue behind the one that waits. `flock` is let go by the kernel when its holder dies.

    `.gate` also holds the journal's seq after the last commit. It is written after the commit is on disk, so it never runs ahead
    of an intact journal: where it does, the journal has lost what it had acknowledged.
    """

    def __init__(self, path: str) -> None:
        """Open the locks of the state file at `path`, making them where they are missing. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate = os.open(path + ".gate", flags, 0o600)
        try:
            self._turn = os.open(path + ".turn", flags, 0o600)
        except OSError:
            os.close(self._gate)
            raise

    def enter(self, limit_s: float) -> None:
        """Wait for our turn. Raises GateHeld after `limit_s` seconds."""
        deadline = monotonic() + limit_s
        _lock(self._turn, deadline)
        try:
            _lock(self._gate, deadline)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def leave(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def note(self, seq: int) -> None:
        """Keep `seq` as acknowledged. Not fsynced: a note that is older than the journal is harmless."""
        try:
            os.pwrite(self._gate, NOTE % seq, 0)
        except OSError:
            return  # the commit stands; the next one notes more

    def noted(self) -> int:
        """The seq last acknowledged, 0 where nothing was."""
        try:
            return int(os.pread(self._gate, 64, 0) or b"0")
        except ValueError:
            return 0  # a torn or foreign note proves nothing

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._gate)


def _lock(fd: int, deadline: float) -> None:
    # Polled: a blocking flock has no time limit, and a stopped holder would hang us, and our own end, for good.
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise GateHeld from None
            sleep(POLL_S)
        else:
            return
