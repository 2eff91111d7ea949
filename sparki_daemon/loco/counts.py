"""The front's counters, in a file that front and keeper both map: what a killed front counted is not lost.

A row a release, a number a field. Only the front writes a row while it serves; the keeper reads at any time, so what it sees in flight is
true at that moment and needs no question.
"""

from __future__ import annotations

import mmap
import os
from enum import IntEnum

ROWS = 256  # releases that one front can tell apart; row 0 counts requests that met no release
ROW_FIELDS = 16
SIZE_BYTES = ROWS * ROW_FIELDS * 8
NO_RELEASE = 0


class Field(IntEnum):
    """What is counted. Only `in_flight` and `tunnels` ever fall."""

    REQUESTS = 0
    IN_FLIGHT = 1  # requests without the end of their answer, tunnels too
    TUNNELS = 2  # upgraded connections that are open (WebSocket)
    RETRIES = 3  # requests sent again, because a kept connection had died before the answer's first byte
    CUTS = 4  # answers that ended in the middle, and requests in flight when the front was killed
    FAILED = 5  # answered by the front in the release's place: 502
    ERRORS_5XX = 6  # answers of the release itself with a status of 500 or more
    ABORTED = 7  # clients that left before their answer's end
    REFUSED = 8  # row 0 only: no release is live, or maintenance
    FIRST_BYTE_US = 9  # the sum of times from the request's head to the answer's first byte
    ANSWERS = 10  # answers that began: the divisor for the sum


class Sheet:
    """One front's counters, mapped. Close it, or leave it to the end of the process."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE_BYTES)
        self._all = memoryview(self._map).cast("q")

    def row(self, number: int) -> memoryview[int]:
        """The numbers of one row, writable, indexed by Field."""
        return self._all[number * ROW_FIELDS : (number + 1) * ROW_FIELDS]

    def read(self, number: int) -> dict[str, int]:
        """The row by field name."""
        row = self.row(number)
        return {field.name.lower(): row[field] for field in Field}

    def clear(self, number: int) -> None:
        """Make the row anew. The caller knows that no front writes it."""
        row = self.row(number)
        for field in Field:
            row[field] = 0


def create(path: str) -> Sheet:
    """A new sheet of zeros at `path`. Its blocks are written, so that a full disk is an OSError here and no SIGBUS later."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, bytes(SIZE_BYTES))
        return Sheet(fd)
    finally:
        os.close(fd)


def load(path: str) -> Sheet | None:
    """The sheet at `path`; None where there is none, or a torn one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return Sheet(fd) if os.fstat(fd).st_size == SIZE_BYTES else None
    finally:
        os.close(fd)


def add(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The sums, field by field."""
    return {field.name.lower(): one.get(field.name.lower(), 0) + other.get(field.name.lower(), 0) for field in Field}


def ended(counted: dict[str, int]) -> dict[str, int]:
    """A dead front's row: what it had in flight was cut."""
    return counted | {"cuts": counted["cuts"] + counted["in_flight"], "in_flight": 0, "tunnels": 0}
