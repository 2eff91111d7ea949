"""What a runner and its builder say to each other, over the runner's socket and in its spool.

A frame is: length of the body (4 bytes, big endian), type (1 byte), spool offset (8 bytes, big endian), body.
The runner listens, the builder connects; a new connection replaces the old one.

Spool records are JSON lines, in the order in which they happened. Each has `kind`, `job` (the job's uid), `epoch`, `t`
(milliseconds since 1970, UTC), and by kind:

- `job.started`
- `step.started`: `step` (index from 0; below it for what actions do before the first), `name`, `from` (byte offset in the job's log where
  the step's text begins)
- `step.held`: `step`, `name`, `from`, `to` (the log's size), `hold` (path of a file with the failed step's environment and folder; the job
  goes on when it is removed)
- `step.finished`: `step`, `name`, `outcome`, `conclusion` (success, failure, cancelled, skipped), `exit_code` (or null), `duration_ms`,
  `from`, `to` (bytes of the log), `reason` ("" or why it failed, masked), `left` (names of processes that were ended), `annotations`
  (remarks about places in files, masked: level, message, title, file, line, column …), `summary` (bytes of Markdown that it wrote)
- `job.finished`: `result` (success, failure, cancelled, lost), `reason` (`timed_out` …), `outputs` (name to text), `log`,
  `summary` (sizes in bytes), `tests` (what its test reports say, if it has some: `model.reported`)
- `job.returned`: a job that was given ahead and recalled goes back to the queue; it never began

The posts of actions come as steps behind the planned ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

PROTOCOL = 1  # a builder speaks this version and the one before it
HEADER = struct.Struct("!IBQ")
MAX_BODY_BYTES = 64 * 1024 * 1024


class Frame(IntEnum):
    """The types of a frame; who sends it, and what its body is."""

    HELLO = 1  # runner, once a connection: {protocol, runner, pid, start, boot, spool (its size), job (uid or null), epoch}
    RECORDS = 2  # runner: bytes of the spool from `offset` on, whole lines
    GREW = 3  # runner, only while watched: {job, log} the log's new size
    ASSIGN = 10  # builder: a JobSpec
    CANCEL = 11  # builder: {job, epoch, force}; force skips the ladder and the always() steps
    WATCH = 12  # builder: {job, on}: someone follows this job's log
    QUIT = 13  # builder: no more work; go when idle
    RECALL = 15  # builder: {job, epoch}: give a job back that was given ahead, if it has not begun
    RESUME = 14  # builder, answering HELLO: {from}: the spool offset from which records are wanted


def pack(kind: Frame, body: bytes = b"", offset: int = 0) -> bytes:
    """One frame's bytes."""
    return HEADER.pack(len(body), kind, offset) + body


class Unpacker:
    """Bytes in, whole frames out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Frame, int, bytes]]:
        """(type, offset, body) of each frame that `data` completes. Raises ValueError on a body over MAX_BODY_BYTES or an unknown type."""
        self._held += data
        while len(self._held) >= HEADER.size:
            length, kind, offset = HEADER.unpack_from(self._held)
            if length > MAX_BODY_BYTES:
                raise ValueError(f"frame of {length} bytes: more than {MAX_BODY_BYTES}")
            end = HEADER.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[HEADER.size : end])
            del self._held[:end]
            yield Frame(kind), offset, body
