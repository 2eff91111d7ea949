"""What happened, in the order in which it did: JSON lines in a file that outlives the runner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

_PIECE_BYTES = 256 * 1024
FULL_DISK_PAUSE_S = 0.2

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode  # made once: json.dumps makes one a call for such options


class Spool:
    """Appends records, and gives back whole lines from any offset.

    No byte waits in this process and none is brought to the disk: a kill loses nothing, and after a power cut every runner is dead anyway.
    `pause(seconds)` is called while the disk takes nothing.
    """

    def __init__(self, path: str, pause: Callable[[float], None]) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._pause = pause
        self.size = os.fstat(self._fd).st_size  # bytes, whole records only

    def append(self, *records: dict[str, Any]) -> None:
        """Write records in one call. On a full or failing disk it goes on trying for as long as that lasts: a record is never lost."""
        data = b"".join([_encode(record).encode() + b"\n" for record in records])
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError:
                self._pause(FULL_DISK_PAUSE_S)
        self.size += len(data)

    def read(self, offset: int) -> bytes:
        """Whole lines from `offset` (the start of one) on: about 256 KiB, or one line if it is longer; empty at the end."""
        want = _PIECE_BYTES
        while offset < self.size:
            data = os.pread(self._fd, min(want, self.size - offset), offset)
            if end := data.rfind(b"\n") + 1:
                return data[:end]
            want *= 4
        return b""

    def close(self) -> None:
        os.close(self._fd)
