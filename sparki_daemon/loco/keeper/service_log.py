"""A service's output in a file that is turned over by size, so that it never fills the disk."""

from __future__ import annotations

import contextlib
import os

LIMIT_BYTES = 10 * 1024 * 1024
KEPT_FILES = 3  # the one that is written, and older ones as NAME.1, NAME.2


class ServiceLog:
    """Append-only; a write that fails (a full disk) is dropped and counted, for the service must not stand still for its log."""

    def __init__(self, path: str, *, limit_bytes: int = LIMIT_BYTES, kept_files: int = KEPT_FILES) -> None:
        self._path, self._limit_bytes, self._kept_files = path, limit_bytes, kept_files
        self._fd = -1
        self._size = 0
        self.dropped_bytes = 0
        self._open()

    def _open(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._fd).st_size
        except OSError:
            self._fd = -1

    def write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > self._limit_bytes:
            self._turn_over()
        if self._fd < 0:
            self._open()
        view = memoryview(data)
        try:
            while view and self._fd >= 0:
                written = os.write(self._fd, view)
                self._size += written
                view = view[written:]
        except OSError:
            pass
        self.dropped_bytes += len(view)

    def _turn_over(self) -> None:
        """Oldest away, each one further, a new one begun. Killed anywhere in it, the next turn goes on: nothing is lost but by age."""
        for number in range(self._kept_files - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            with contextlib.suppress(OSError):
                os.rename(older, f"{self._path}.{number}")
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = -1, 0
        self._open()
