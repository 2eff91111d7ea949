"""Tells at one glance whether a chunk may hold a secret or a workflow command: most of a long log holds neither."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

FROM_BYTES = 1024 * 1024  # of output: most jobs print less, and need not load the library


# What a chunk may hold.
SECRET = 1
COMMAND = 2

# What each line has that could be a command; `^` is a line's beginning.
COMMANDS = [rb"^[ \t\r\f\v]*::", rb"##\["]


class Sieve:
    """Hyperscan over a fixed set of patterns: 64 KiB in about 15 to 40 µs, however many there are. Made by `sieve`.

    One look answers for both kinds, and for everyone who asks about the same chunk.
    """

    __slots__ = ("_all", "_database", "_found", "_seen", "_terminated")

    def __init__(self, database: Any, terminated: type[Exception], kinds: int) -> None:
        self._database = database
        self._terminated = terminated
        self._all = kinds
        self._found = 0
        self._seen: bytes | None = None

    def may_hold(self, data: bytes, kind: int) -> bool:
        """False: nothing of that kind is in `data`."""
        if data is not self._seen:
            self._look(data)
        return self._found & kind != 0

    def _look(self, data: bytes) -> None:
        self._seen, self._found = None, 0
        with suppress(self._terminated):
            self._database.scan(data, match_event_handler=self._note)
        self._seen = data

    def _note(self, kind: int, *_: object) -> bool:
        """True ends the look: the first match of each kind is enough."""
        self._found |= kind
        return self._found == self._all


def sieve(secrets: Iterable[bytes] = ()) -> Sieve | None:
    """A sieve for commands and for these byte strings; None where the library is not there, or can't take them.

    Without one every chunk must be looked at closely.
    """
    literals = [b"".join(b"\\x%02x" % byte for byte in text) for text in secrets]
    return expressions([(SECRET, text) for text in literals] + [(COMMAND, text) for text in COMMANDS])


def expressions(patterns: list[tuple[int, bytes]]) -> Sieve | None:
    """A sieve for expressions, whose `^` is a line's beginning; None as for `sieve`."""
    try:
        import hyperscan  # noqa: PLC0415  # 6 MB that few jobs need
    except ImportError:
        return None
    flags = hyperscan.HS_FLAG_MULTILINE | hyperscan.HS_FLAG_SINGLEMATCH  # one call back a pattern, however often it is there
    kinds = [kind for kind, _ in patterns]
    try:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(expressions=[text for _, text in patterns], ids=kinds, flags=[flags] * len(patterns))
    except hyperscan.error:
        return None
    return Sieve(database, hyperscan.ScanTerminated, sum({*kinds}))
