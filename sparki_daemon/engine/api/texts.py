"""Log text on its way to followers: read and encoded once, however many follow the same job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from sparki_daemon.engine.feed import encode
from sparki_daemon.store.log_reader import LogReader

PIECE_BYTES = 64 * 1024
KEPT_PIECES = 64
SIZE_FRESH_S = 0.002  # followers that were woken by one notice look at the file in the same few milliseconds


class Cut(Enum):
    """Where a piece of text may end."""

    LINE = 1  # more will come: whole lines
    CHARACTER = 2  # more will come, not soon: an unfinished line is shown
    END = 3  # no more will come


def cut(data: bytes, how: Cut) -> int:
    """How many bytes of `data` make a piece of text. A full piece without a line end goes up to the border of a character."""
    if how is Cut.END:
        return len(data)
    end = data.rfind(b"\n") + 1 if how is Cut.LINE else 0
    return end if end or (how is Cut.LINE and len(data) < PIECE_BYTES) else whole_characters(data)


def whole_characters(data: bytes) -> int:
    """How many bytes of `data` are there without the UTF-8 sequence that is unfinished at its end. Source: RFC 3629, section 3."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if needed > back else len(data)
    return len(data)


class Texts:
    """Open logs and their last pieces, shared by the followers of an engine."""

    def __init__(self) -> None:
        self._readers: dict[str, tuple[LogReader, list[object]]] = {}
        self._pieces: dict[tuple[str, int, int, int | None, Cut], tuple[bytes, int]] = {}
        self._sizes: dict[str, tuple[float, int]] = {}

    @contextmanager
    def open(self, path: str) -> Iterator[LogReader]:
        """One reader a log, closed by the last who has it open."""
        reader, users = self._readers.setdefault(path, (LogReader(path), []))
        token = object()
        users.append(token)
        try:
            yield reader
        finally:
            users.remove(token)
            if not users:
                del self._readers[path]
                self._sizes.pop(path, None)
                reader.close()
                if not self._readers:
                    self._pieces.clear()

    def size(self, reader: LogReader) -> int:
        """The log's size, at most two milliseconds old."""
        now = time.monotonic()
        found = self._sizes.get(reader.path)
        if found is None or now - found[0] > SIZE_FRESH_S:
            found = self._sizes[reader.path] = now, reader.size()
        return found[1]

    def piece(self, reader: LogReader, uid: str, key: str, place: tuple[int, int, int | None], how: Cut) -> tuple[bytes, int]:
        """(a `log` line, where its text ends) for `place`: (from, to, step); (b"", from) when there is nothing to show yet.

        `how` says what `to` is; text that is longer than a piece is cut after a line.
        """
        start, end, step = place
        asked = (reader.path, start, end, step, how)
        known = self._pieces.get(asked)  # good for ever: a log only grows
        if known is None:
            if len(self._pieces) >= KEPT_PIECES:
                del self._pieces[next(iter(self._pieces))]
            known = self._pieces[asked] = self._encoded(reader, {"uid": uid, "job": key, "step": step}, start, end, how)
        return known

    def _encoded(self, reader: LogReader, named: dict[str, object], start: int, end: int, how: Cut) -> tuple[bytes, int]:
        data = reader.read(start, min(end - start, PIECE_BYTES))
        size = cut(data, how if start + len(data) >= end else Cut.LINE)
        if not size:
            return b"", start
        text = data[:size].decode("utf-8", "replace")
        return encode({"log": {**named, "from": start, "to": start + size, "text": text}}), start + size
