"""Appends a job's output to its log file, with a sparse index of lines and times beside it once the log is long, in bytes or in time."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from sparki_daemon.store.log_reader import RECORD, LogReader, index_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INDEX_FROM_BYTES = 64 * 1024  # most logs are shorter, and a new file costs up to 0.2 ms
LINES_A_RECORD = 256
MS_A_RECORD = 1000  # so much earlier than the truth may the time of a line be
# Counting newlines is most of the work of an index, and pieces of this size need one pass for lines of 32 bytes and more.
PIECE_BYTES = 8 * 1024
# Counting a flood's lines as it comes would hold up whoever writes it: from so many bytes within a second on they are counted later.
FLOOD_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
CATCH_UP_INDEX_BYTES = 16 * 1024  # records of counted lines wait for so many: a reader counts what the index lacks
CALM_MS = 200  # without a write
CATCH_UP_BYTES = 4 * 1024 * 1024  # at a write after a calm; the rest at the end
WRITEBACK_BYTES = 8 * 1024 * 1024  # the disk is asked to begin after so many: `sync` then waits for the last of them only


class LogWriteError(OSError):
    """The log took only `written` bytes of what it was given; `errno` says why. The rest may be written again later."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror, error.filename)
        self.written = written


def wall_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class LogWriter:
    """The one writer of a log. Nothing is on disk before the first byte, and no byte waits in this process: a kill loses none.

    A path that exists is continued: `size` begins at its length. A log all of whose text comes within a second of its writer's making
    gets no index for its times: the beginnings of the steps say them well enough. The index of a flood is made up at `close`, or in the
    next calm; until then a reader counts for itself.
    """

    __slots__ = (
        "_began_ms",
        "_counted",
        "_fd",
        "_flood",
        "_index_fd",
        "_index_size",
        "_last_ms",
        "_line_begin",
        "_named",
        "_newlines",
        "_noted",
        "_now_ms",
        "_pending",
        "_synced",
        "_times",
        "_writing_back",
        "path",
        "size",
    )

    def __init__(self, path: str | os.PathLike[str], *, now_ms: Callable[[], int] = wall_ms) -> None:
        self.path = os.fspath(path)
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._fd = self._index_fd = -1
        self._newlines = self._line_begin = 0  # newlines so far, and where the line that is being written began
        self._noted = (-1, 0, 0)  # offset, newlines before it and time of the last record
        self._pending = bytearray()  # records that the index does not have yet
        self._index_size = 0
        self._times: list[tuple[int, int]] = []  # (offset, time) of writes whose lines are still to be counted
        self._flood = (0, 0)  # the size at a moment, and that moment: what came since is the flood, or none
        self._last_ms = 0
        self._writing_back = 0
        self.size = self._synced = 0
        with suppress(OSError):  # no log yet; where it is worse than that, the first write says so
            self.size = os.stat(self.path).st_size
        self._counted = self.size  # the lines up to there are counted

    def write(self, data: bytes) -> int:
        """Append `data`; returns the offset where it begins.

        Raises LogWriteError, an OSError, when the disk is full or broken; `written` bytes of `data` are in the log then, and `size` counts
        them. The writer stays usable: `write(data[error.written:])` goes on.
        """
        start, done = self.size, 0
        if not data:
            return start
        try:
            if self._fd < 0:
                self._open()
            done = os.write(self._fd, data)
            while done < len(data):  # a full disk takes a part first, and says why only when asked again
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError as error:
            raise LogWriteError(error, done) from error
        finally:
            if done:
                self._take_note(data if done == len(data) else data[:done])
        return start

    def sync(self) -> None:
        """Make every byte so far survive a power cut: once, at the job's end. Raises OSError where the disk cannot promise it.

        The log's name in its folder is brought to the disk once a run, with those of its other jobs.
        """
        if self._synced == self.size:
            return
        if self._fd < 0:
            self._open()
        os.fdatasync(self._fd)
        self._synced = self.size

    def close(self) -> None:
        """Make up the index, and let the files go. A later write opens them again."""
        self._catch_up(self.size)
        for fd in (self._fd, self._index_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._index_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._fd = os.open(self.path, flags, 0o600)
        if not self.size:
            with suppress(OSError):  # an index left over from a log that is gone
                os.unlink(index_path(self.path))
        elif self._noted[0] < 0:
            self._resume()

    def _resume(self) -> None:
        """Go on where an earlier writer stopped: count its lines, drop what its index says beyond the log."""
        with LogReader(self.path) as reader:
            self._newlines = reader.line_at(self.size) - 1
            self._line_begin = reader.offset_of_line(self._newlines + 1) or self.size
            records = reader.trusted_records()
            if records:
                self._noted = reader.record(records - 1)
        self._index_size = records * RECORD.size
        with suppress(OSError):
            os.truncate(index_path(self.path), self._index_size)

    def _take_note(self, data: bytes) -> None:
        """Count what was written, now or later."""
        now_ms = self._now_ms()
        if not self._floods(now_ms):
            if self._counted < self.size and now_ms - self._last_ms >= CALM_MS:
                self._catch_up(self._counted + CATCH_UP_BYTES)
            if self._counted == self.size:
                self._note(self.size, data, now_ms)
                self._counted = self.size + len(data)
        if self._counted <= self.size and (not self._times or now_ms - self._times[-1][1] >= MS_A_RECORD):
            self._times.append((self.size, now_ms))
        self.size += len(data)
        self._last_ms = now_ms
        if self.size - self._writing_back >= WRITEBACK_BYTES:
            self._write_back()

    def _floods(self, now_ms: int) -> bool:
        size, since_ms = self._flood
        if not 0 <= now_ms - since_ms < MS_A_RECORD:
            self._flood = self.size, now_ms
            return False
        return self.size - size >= FLOOD_BYTES

    def _write_back(self) -> None:
        """Have the system begin to write: it keeps the dirty pages that it is told of as not needed, and starts on them."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            with suppress(OSError):
                os.posix_fadvise(self._fd, self._writing_back, self.size - self._writing_back, os.POSIX_FADV_DONTNEED)
        self._writing_back = self.size

    def _catch_up(self, upto: int) -> None:
        """Count what a flood left, up to about `upto`; what can't be read is left to the readers."""
        if self._counted >= self.size:
            return
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            while self._counted < min(upto, self.size):
                data = os.pread(fd, min(BLOCK_BYTES, self.size - self._counted), self._counted)
                if not data:
                    return
                while len(self._times) > 1 and self._times[1][0] <= self._counted:
                    del self._times[0]
                self._count(self._counted, data, self._times[0][1] if self._times else self._last_ms)
                self._counted += len(data)
                if len(self._pending) >= CATCH_UP_INDEX_BYTES:
                    self._write_index()
        except OSError:
            return
        finally:
            os.close(fd)
            if self._pending:
                self._write_index()
        if self._counted == self.size:
            self._times.clear()

    def _note(self, base: int, data: bytes, now_ms: int) -> None:
        """Count the lines of `data`, which lies at `base`, and write the records that it calls for."""
        self._count(base, data, now_ms)
        if self._pending and (base + len(data) > INDEX_FROM_BYTES or now_ms - self._began_ms >= MS_A_RECORD):
            self._write_index()

    def _count(self, base: int, data: bytes, now_ms: int) -> None:
        """Count the lines of `data`, and make the records."""
        if self._noted[0] < 0 or abs(now_ms - self._noted[2]) >= MS_A_RECORD:
            at = 0 if self._line_begin == base else data.find(b"\n") + 1
            if (at or self._line_begin == base) and at < len(data):  # a line of which no byte is here has no time yet
                if at and self._newlines + 1 - self._noted[1] > LINES_A_RECORD:
                    self._record(self._line_begin, self._newlines, now_ms)  # the one before it would be a line too far away
                self._record(base + at, self._newlines + (at > 0), now_ms)
        for at, newlines in _pieces(data, PIECE_BYTES):
            if self._newlines + newlines - self._noted[1] > LINES_A_RECORD:
                begin = data.rfind(b"\n", 0, at) + 1
                self._record(base + begin if begin else self._line_begin, self._newlines, now_ms)
            self._newlines += newlines
        self._line_begin = base + end if (end := data.rfind(b"\n") + 1) else self._line_begin

    def _record(self, offset: int, newlines: int, now_ms: int) -> None:
        if offset > self._noted[0]:
            self._noted = (offset, newlines, now_ms)
            self._pending += RECORD.pack(*self._noted)

    def _write_index(self) -> None:
        """Hand the waiting records to the index; where that fails they wait on, for a reader can do without and the log goes on."""
        with suppress(OSError):
            if self._index_fd < 0:
                self._index_fd = os.open(index_path(self.path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.pwrite(self._index_fd, self._pending, self._index_size) == len(self._pending):  # else all of it again, at the same place
                self._index_size += len(self._pending)
                self._pending.clear()


def _pieces(data: bytes, size: int) -> Iterator[tuple[int, int]]:
    """Where each piece of `data` begins and how many newlines it has, never more than fit between two records."""
    for at in range(0, len(data), size):
        newlines = data.count(b"\n", at, at + size)
        if newlines <= LINES_A_RECORD:
            yield at, newlines
        else:
            for inner, some in _pieces(data[at : at + size], size // 2):
                yield at + inner, some
