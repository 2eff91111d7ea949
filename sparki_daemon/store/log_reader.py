"""Reads a job's log by byte, by line and from its end, while it grows and after its writer was killed."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right, insort
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

# One record of the index: byte offset where a line begins, newlines before it, milliseconds since the epoch when it was written.
RECORD = Struct("<QQQ")
BLOCK_BYTES = 64 * 1024
TAIL_BYTES_MAX = 256 * 1024

Record = tuple[int, int, int]
Line = tuple[int, int, bytes]


def index_path(log: str) -> str:
    """Where the index of the log at path `log` is: `x.idx` beside `x.log`."""
    return log.removesuffix(".log") + ".idx"


class LogReader:
    """One log, read any number of times; a missing file is an empty log.

    Lines count from 1 and end with a newline byte. The index only shortens the way: what it lacks is counted in the log itself, and what
    it says beyond the log's end, or of a place where no line begins, is not believed.
    """

    __slots__ = ("_counted", "_fd", "_index", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._fd = -1
        self._index = _Index(index_path(self.path))
        self._counted: list[tuple[int, int]] = []  # offset and newlines before it, of blocks that were counted here

    def size(self) -> int:
        """Bytes in the log now."""
        return os.fstat(self._fd).st_size if self._open() else 0

    def read(self, start: int, limit: int) -> bytes:
        """At most `limit` bytes from offset `start` on; none at or after the end."""
        return os.pread(self._fd, limit, start) if limit > 0 and self._open() else b""

    def line_at(self, offset: int) -> int:
        """The number of the line to which the byte at `offset` belongs, or would belong, being the next."""
        at, newlines = self._before_offset(offset)
        for block in self._blocks(at, offset):
            self._remember(at, newlines)
            newlines += block.count(b"\n")
            at += len(block)
        return newlines + 1

    def offset_of_line(self, number: int) -> int | None:
        """Where line `number` begins; None: it has not begun."""
        end = self.size()
        if number <= 1:
            return 0 if number == 1 and end else None
        at, newlines = self._before_line(number)
        for block in self._blocks(at, end):
            self._remember(at, newlines)
            found = block.count(b"\n")
            if newlines + found >= number - 1:
                begin = at + _after_newline(block, number - 1 - newlines)
                return begin if begin < end else None
            newlines += found
            at += len(block)
        return None

    def lines(self, start: int = 0, end: int | None = None) -> Iterator[Line]:
        """Number, offset and text (without its newline) of each line in a byte range; `end` None is the size now.

        A range may begin and end inside a line. A line longer than 64 KiB comes in pieces of one number, none over 128 KiB.
        """
        end = self.size() if end is None else end
        number = self.line_at(start)
        kept, cut = b"", False  # the beginning of a line, and whether a piece of it has come out already
        for block in self._blocks(start, end):
            *whole, rest = (kept + block).split(b"\n")
            for text in whole:
                if text or not cut:
                    yield number, start, text
                number, start, cut = number + 1, start + len(text) + 1, False
            if len(rest) >= BLOCK_BYTES:
                yield number, start, rest
                start, rest, cut = start + len(rest), b"", True
            kept = rest
        if kept:
            yield number, start, kept

    def tail_lines(self, start: int, end: int, count: int) -> list[bytes]:
        """The last `count` lines of a byte range, without their newlines, read from its end.

        At most 256 KiB is read: of a longer text the beginning is missing, as it is of a line that `start` cuts.
        """
        end = min(end, self.size())
        low, data = end, b""
        while low > start and len(data) < TAIL_BYTES_MAX and data.count(b"\n", 0, -1) < count:
            size = min(BLOCK_BYTES, low - start)
            low -= size
            data = self.read(low, size) + data
        texts = data.removesuffix(b"\n").split(b"\n") if data else []
        return texts[-count:] if count > 0 else []

    def time_at(self, offset: int) -> int | None:
        """When the line at `offset` was written, in milliseconds since the epoch and good to a second; None: the log has no index there."""
        found = bisect_right(self._index, offset, hi=self.trusted_records(), key=itemgetter(0))
        return self._index[found - 1][2] if found else None

    def trusted_records(self) -> int:
        """How many records of the index agree with the log: not a torn end, zeros after a power cut, places beyond the log's end."""
        count = bisect_left(self._index, self.size(), key=itemgetter(0))
        while count and not self._agrees(self._index[count - 1]):
            count -= 1
        return count

    def record(self, number: int) -> Record:
        """Record `number` of the index, from 0: offset, newlines before it, milliseconds."""
        return self._index[number]

    def close(self) -> None:
        """Let the files go. A later call opens them again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> bool:
        if self._fd < 0:
            self._fd = _open(self.path)
        return self._fd >= 0

    def _agrees(self, record: Record) -> bool:
        """Whether a line begins where the record says one does."""
        offset, newlines, _ = record
        return newlines == 0 if offset == 0 else newlines > 0 and self.read(offset - 1, 1) == b"\n"

    def _before_offset(self, offset: int) -> tuple[int, int]:
        """The nearest known place at or before `offset`, and the newlines before it."""
        found = bisect_right(self._index, offset, hi=self.trusted_records(), key=itemgetter(0))
        counted = bisect_right(self._counted, offset, key=itemgetter(0))
        return max(self._known(found), self._counted[counted - 1] if counted else (0, 0))

    def _before_line(self, number: int) -> tuple[int, int]:
        """The last known place before line `number` begins, and the newlines before it."""
        found = bisect_left(self._index, number - 1, hi=self.trusted_records(), key=itemgetter(1))
        counted = bisect_left(self._counted, number - 1, key=itemgetter(1))
        return max(self._known(found), self._counted[counted - 1] if counted else (0, 0))

    def _known(self, found: int) -> tuple[int, int]:
        return self._index[found - 1][:2] if found and self._agrees(self._index[found - 1]) else (0, 0)

    def _remember(self, at: int, newlines: int) -> None:
        """Keep a place that was counted, unless a near one is kept: an index that was lost is made again, 64 KiB apart."""
        place = bisect_right(self._counted, at, key=itemgetter(0))
        if all(abs(at - near) >= BLOCK_BYTES for near, _ in self._counted[max(0, place - 1) : place + 1]):
            insort(self._counted, (at, newlines))

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end and (block := self.read(start, min(BLOCK_BYTES, end - start))):
            yield block
            start += len(block)


class _Index:
    """The records on disk as a sequence, for `bisect`: a question costs a few reads, however long the log is."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __len__(self) -> int:
        if self._fd < 0:
            self._fd = _open(self._path)
        return os.fstat(self._fd).st_size // RECORD.size if self._fd >= 0 else 0

    def __getitem__(self, number: int) -> Record:
        offset, newlines, ms = RECORD.unpack(os.pread(self._fd, RECORD.size, number * RECORD.size))
        return offset, newlines, ms

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _open(path: str) -> int:
    """A descriptor to read from; -1: there is no such file, yet."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _after_newline(block: bytes, count: int) -> int:
    """The place behind newline number `count`, from 1."""
    at = 0
    for _ in range(count):
        at = block.index(b"\n", at) + 1
    return at
