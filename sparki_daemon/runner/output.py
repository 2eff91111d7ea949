"""Brings what steps write into the job's log: pipe → workflow commands → masks → log file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from typing import Protocol

from sparki_daemon.runner.annotations import Annotation
from sparki_daemon.runner.commands import Command, Scanner
from sparki_daemon.runner.loop import READ, Loop
from sparki_daemon.runner.mask import Masker
from sparki_daemon.runner.matchers import Matchers
from sparki_daemon.runner.spool import FULL_DISK_PAUSE_S
from sparki_daemon.store.log_writer import LogWriteError, LogWriter

READ_BYTES = 64 * 1024  # what a pipe holds as it is made
WIDE_READ_BYTES = 256 * 1024  # of one that was widened: fewer calls a byte, and still within a core's own cache
_PIPE_BYTES = 1024 * 1024


class Obeys(Protocol):
    """Who carries out the workflow commands of the step that runs."""

    def obey(self, command: Command) -> str | None:
        """Do what a command says; gives the line to print for it, or None."""
        ...

    def annotate(self, annotation: Annotation) -> None:
        """Keep what a problem matcher found in a line."""
        ...


class Output:
    """The output of one job. All its steps share one pipe, so what a child that an earlier step left writes is not lost:
    it goes to the step that runs when it comes. `text` of the runner's own goes the same way.

    While the disk takes nothing the pipe is not read: its writers wait, and nothing is lost.
    """

    def __init__(self, loop: Loop, path: str, on_growth: Callable[[int], None]) -> None:
        self._loop = loop
        self._on_growth = on_growth
        self._log = LogWriter(path)
        self._read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_fd, False)
        self._scanner = Scanner()
        self._obeys: Obeys | None = None
        self._titles: list[str] = []  # of the step, and of those within it, whose first byte has not come
        self._at_line_start = True
        self._unwritten = b""
        self._wide = False
        self._much = False  # the last read found a pipe's worth
        self.masker = Masker()
        self.matchers = Matchers()
        self._watch()

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self._log.size

    @property
    def stalled(self) -> bool:
        """Whether the log takes nothing at the moment."""
        return bool(self._unwritten)

    def begin(self, title: str, obeys: Obeys) -> int:
        """A step begins; its title becomes the first line of its text, once there is any. Gives where that text begins in the log."""
        self._titles = [f"▸ {title}"]
        self._obeys = obeys
        return self._log.size

    def enter(self, title: str, obeys: Obeys) -> Obeys | None:
        """A step within the step begins. Gives who obeyed before."""
        before, self._obeys = self._obeys, obeys
        self._titles.append(f"▾ {title}")
        return before

    def leave(self, before: Obeys | None) -> None:
        """The step within has ended, and `before` obeys again."""
        self.settle()
        if self._titles:  # it said nothing
            self._titles.pop()
        self._obeys = before

    def drain(self) -> None:
        """Take what is in the pipe now: all that a process which has just ended has written, and no more than a pipe holds."""
        for _ in range(_PIPE_BYTES // READ_BYTES + 1):
            if self._unwritten or not self._pump():
                return

    def end(self) -> int:
        """Nothing of the step's text is held back any longer. Gives where it ends in the log."""
        self.settle()
        self._titles = []
        return self._log.size

    def settle(self) -> None:
        """Write and obey what was held back of the text: nobody will say more of it."""
        self._pass_on(self._scanner.flush())
        self._show(self.masker.flush())
        if self.matchers.active:
            self._annotate(self.matchers.flush())

    def stop_commands(self, token: str) -> None:
        """Take no line of the step for a command until `::token::`."""
        self._scanner.stop(token)

    def line(self, text: str) -> None:
        """A line of the runner's own."""
        self._show(self.masker.flush())
        self._write(("" if self._at_line_start else "\n").encode() + self.masker.mask_text(text).encode("utf-8", "replace") + b"\n")

    def finish(self) -> str:
        """The job has ended: bring the log to the disk. Gives why that failed, or nothing."""
        try:
            self._log.sync()
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def close(self) -> None:
        self._loop.forget(self._read_fd)
        self._loop.drop("disk")
        for fd in (self._read_fd, self.write_fd):
            os.close(fd)
        self._log.close()

    def _watch(self) -> None:
        self._loop.watch(self._read_fd, READ, self._readable)

    def _readable(self) -> None:
        """Read as long as there is much: asking the loop between two reads of a flood is a system call each."""
        for _ in range(_PIPE_BYTES // WIDE_READ_BYTES):
            if not self._pump() or not self._much or self._unwritten:
                return

    def _pump(self) -> bool:
        """One read; False: there was nothing."""
        try:
            data = os.read(self._read_fd, WIDE_READ_BYTES if self._wide else READ_BYTES)
        except BlockingIOError:
            return False
        self._much = len(data) >= READ_BYTES
        if self._much and not self._wide:
            self._widen()
        self._pass_on(self._scanner.feed(data, self.masker.sieve))
        return True

    def _widen(self) -> None:
        """A step that writes much gets a larger pipe: it waits less often for its reader."""
        self._wide = True
        try:
            fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:  # the user's limit for pipes is reached: as it is, then
            return

    def _pass_on(self, pieces: Iterable[bytes | Command]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                self._show(self.masker.feed(piece))
            elif self._obeys and (text := self._obeys.obey(piece)) is not None:
                self.line(text)

    def _show(self, masked: bytes) -> None:
        """Text of the step's, without its secrets: what a matcher cuts out of a line must hold no part of one."""
        self._write(masked)
        if self.matchers.active:
            self._annotate(self.matchers.feed(masked))

    def _annotate(self, annotations: list[Annotation]) -> None:
        for annotation in annotations:
            if self._obeys:
                self._obeys.annotate(annotation)
        if trouble := self.matchers.trouble():
            self.line(f"Warning: {trouble}")

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._titles:
            titles, self._titles = self.masker.mask_text("\n".join(self._titles)), []
            data = (b"" if self._at_line_start else b"\n") + f"{titles}\n".encode("utf-8", "replace") + data
        self._at_line_start = data.endswith(b"\n")
        if self._unwritten:
            self._unwritten += data
            return
        self._put(data)

    def _put(self, data: bytes) -> None:
        try:
            self._log.write(data)
        except LogWriteError as error:
            self._unwritten = data[error.written :]
            self._loop.forget(self._read_fd)
            self._loop.after("disk", FULL_DISK_PAUSE_S, self._retry)
        self._on_growth(self._log.size)

    def _retry(self) -> None:
        data, self._unwritten = self._unwritten, b""
        self._put(data)
        if not self._unwritten:
            self.line("Warning: the disk was full; the step waited, and nothing of its output is lost")
            self._watch()
