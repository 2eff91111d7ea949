"""Replaces secrets by `***` in a stream of bytes and in texts, before either is written anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparki_daemon.runner.mask_forms import patterns, to_bytes, to_text
from sparki_daemon.runner.mask_search import Search

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparki_daemon.runner.mask_search import Span
    from sparki_daemon.runner.sieve import Sieve

MASK = b"***"


class Masker:
    """The secrets of one job, and the state of one stream of its output.

    Secrets that overlap or touch become one `***`, wherever the stream was cut. A value added late counts for what is fed next, and for
    the few bytes still held back.
    """

    __slots__ = ("_carry", "_covered", "_patterns", "_search")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._patterns: dict[bytes, bytes] = {}
        self._search: Search | None = None
        self._carry = b""
        self._covered: int | None = None  # so many bytes of the carry belong to a `***` already fed out; None: the stream is outside of one
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Hide `value` from now on, in all its forms. A blank value hides nothing."""
        self._patterns.update(patterns(value))

    @property
    def hides(self) -> bool:
        """Whether it has anything to hide."""
        return bool(self._patterns)

    @property
    def sieve(self) -> Sieve | None:
        """What tells that a chunk holds neither a secret nor a command, once the output is long."""
        search = self._search
        return search.sieve if search and search.count == len(self._patterns) else None

    def stream(self) -> Masker:
        """A masker for another stream of the same job: the same values, also those added later, with a carry of its own."""
        other = Masker()
        other._patterns = self._patterns
        return other

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes that may be shown. What is held back is only an end that may be the beginning of a secret."""
        if not self._patterns:
            return chunk
        search = self._ready()
        data = self._carry + chunk if self._carry else chunk
        return self._emit(data, search.spans(data), search.hold(data))

    def flush(self) -> bytes:
        """What was held back, at the end of the stream. The masker is ready for a new stream then."""
        data = self._carry
        out = self._emit(data, self._ready().spans(data), len(data)) if data else b""
        self._covered = None
        return out

    def mask_text(self, text: str) -> str:
        """`text` with every secret replaced: for names, outputs, summaries, messages."""
        if not self._patterns:
            return text
        data = to_bytes(text)
        out, _ = _replace(data, self._ready().spans(data), len(data), None)
        return text if out is data else to_text(out)

    def contains(self, text: str) -> bool:
        """Whether `text` holds a secret in any form."""
        return bool(self._patterns and self._ready().spans(to_bytes(text)))

    def _ready(self) -> Search:
        # More patterns than were made ready: a value was added here, or to another stream of the job.
        if self._search is None or self._search.count != len(self._patterns):
            self._search = Search(self._patterns)
        return self._search

    def _emit(self, data: bytes, spans: list[Span], hold: int) -> bytes:
        out, self._covered = _replace(data, spans, hold, self._covered)
        self._carry = data[hold:]
        return out


def _replace(data: bytes, spans: list[Span], hold: int, covered: int | None) -> tuple[bytes, int | None]:
    """`data` up to `hold` with its spans replaced, and how many bytes after `hold` the last replacement covers (None: it ended before)."""
    if not spans and covered is None:
        return (data if hold == len(data) else data[:hold]), None
    out: list[bytes] = []
    done, masked = covered or 0, covered is not None
    for start, end in sorted(spans):
        if start >= hold:  # wholly in what is held back: found again with what follows
            break
        if not masked or start > done:
            out += (data[done:start], MASK)
        done, masked = max(done, end), True
    if masked and done >= hold:
        return b"".join(out), done - hold
    out.append(data[done:hold])
    return b"".join(out), None
