"""Finds every place of many byte patterns in a chunk, exactly, at a small multiple of the cost of copying it."""

from __future__ import annotations

from bisect import bisect_right

from sparki_daemon.runner.sieve import FROM_BYTES, SECRET, Sieve, sieve

Span = tuple[int, int]
Family = list[tuple[int, bytes]]  # the patterns that share a needle (or an anchor), and where in each of them it lies
Families = list[tuple[bytes, Family]]

HEAD_BYTES = 4
# Up to this length a pattern's beginning is looked for place by place at the end of a chunk; longer are only whole files as secrets.
NEAR_BYTES = 128
ANCHOR_BYTES = 4
SAMPLE_BYTES = 16 * 1024
CHUNK_BYTES = 64 * 1024
PLAN_BYTES = 16 * 1024 * 1024  # a plan is made anew after so many bytes, for a log may change its nature
PAUSE_BYTES = 2 * 1024 * 1024


class Search:
    """A fixed set of patterns, made ready to be found.

    `pairs` gives each pattern its needle, a part of it: text without the needles has no pattern. `bytes.find` looks for a needle at 5 to
    30 µs a 64 KiB. For a single byte it takes 1 µs, so the needles are anchored, where it pays, at a byte that the output has seldom: at
    each place of that byte a dict tells whether a needle may lie there. Which bytes are rare is counted in the output itself.
    Once there is much output a sieve, where the machine has one, tells first whether any needle is there at all.
    """

    __slots__ = (
        "_far_heads",
        "_inner",
        "_longest",
        "_near_heads",
        "_near_longest",
        "_needles",
        "_plan",
        "_sample",
        "_searched_bytes",
        "_sorted",
        "count",
        "sieve",
    )

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.count = len(pairs)
        self._needles = _Needles(pairs)
        self._plan = _Plan(self._needles, b"", left_bytes=0)
        self._sample = b""
        self._searched_bytes = 0
        self.sieve: Sieve | None = None  # made once the output is long
        far: dict[bytes, int] = {}
        for text in pairs:
            if len(text) > NEAR_BYTES:
                far[text[:HEAD_BYTES]] = max(len(text), far.get(text[:HEAD_BYTES], 0))
        self._sorted = sorted(pairs)
        self._far_heads = tuple(far.items())
        self._near_heads = frozenset(text[:size] for text in pairs for size in range(1, HEAD_BYTES + 1) if size < len(text))
        self._near_longest = max((len(text) for text in pairs if len(text) <= NEAR_BYTES), default=0)
        self._inner = bytes(frozenset(b"".join(text[:-1] for text in pairs)))
        self._longest = max(map(len, pairs), default=1)

    def spans(self, data: bytes) -> list[Span]:
        """Every place of every pattern, also those that lie in another."""
        if self.sieve is not None:
            if not self.sieve.may_hold(data, SECRET):
                return []
        elif self._searched_bytes < FROM_BYTES:
            self._searched_bytes += len(data)
            if self._searched_bytes >= FROM_BYTES:
                self.sieve = sieve(self._needles.families)
        plan = self._plan
        plan.left_bytes -= len(data)
        if plan.left_bytes < 0:
            plan = self._renewed(plan, data)
        found: list[Span] = []
        _find_each(data, plan.single, found)
        for anchored in plan.anchored:
            if not anchored.find(data, found):
                _find_each(data, anchored.families, found)
                self._plan = _Plan(self._needles, b"", left_bytes=PAUSE_BYTES)
        return found

    def _renewed(self, plan: _Plan, data: bytes) -> _Plan:
        """The next plan, once there is enough output to make it from; until then the old one does."""
        self._sample += data[: SAMPLE_BYTES - len(self._sample)]
        if len(self._sample) == SAMPLE_BYTES:
            plan = self._plan = _Plan(self._needles, self._sample, left_bytes=PLAN_BYTES)
            self._sample = b""
        return plan

    def hold(self, data: bytes) -> int:
        """Where the longest end of `data` begins that is a beginning, and not the whole, of a pattern; the length of `data` if none is."""
        size = len(data)
        low = max(0, size - self._longest + 1)
        low += len(data[low:].rstrip(self._inner))
        if low == size:
            return size
        best = size
        for head, longest in self._far_heads:
            at = data.find(head, max(low, size - longest + 1), best + HEAD_BYTES - 1)
            while at != -1 and not self._begins(data[at:]):
                at = data.find(head, at + 1, best + HEAD_BYTES - 1)
            if at != -1:
                best = at
        for at in range(max(low, size - max(self._near_longest, HEAD_BYTES) + 1), best):
            if data[at : at + HEAD_BYTES] in self._near_heads and self._begins(data[at:]):
                return at
        return best

    def _begins(self, end: bytes) -> bool:
        at = bisect_right(self._sorted, end)  # what begins with `end` and is longer sorts right behind it
        return at < self.count and self._sorted[at].startswith(end)


class _Needles:
    """The needles, each with its patterns, and which of them hold a byte with room for an anchor behind it."""

    __slots__ = ("families", "holding")

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.families: dict[bytes, Family] = {}
        for text, needle in pairs.items():
            self.families.setdefault(needle, []).append((text.index(needle), text))
        self.holding: dict[int, set[bytes]] = {}
        for needle in self.families:
            for byte in needle[: 1 - ANCHOR_BYTES]:
                self.holding.setdefault(byte, set()).add(needle)

    def chosen(self, needles: set[bytes]) -> Families:
        return [(needle, self.families[needle]) for needle in needles]


class _Plan:
    """Which needles to look for one by one, and which at a byte that is rare in `sample`; an empty sample says nothing of any."""

    __slots__ = ("anchored", "left_bytes", "single")

    def __init__(self, needles: _Needles, sample: bytes, *, left_bytes: int) -> None:
        self.left_bytes = left_bytes
        self.anchored: list[_Anchored] = []
        left = set(needles.families)
        scale = CHUNK_BYTES / len(sample) if sample else 0
        often = {byte: sample.count(byte) * scale for byte in needles.holding} if sample else {}
        while often:
            saved = {byte: sum(map(_find_us, needles.holding[byte] & left)) - _anchor_us(often[byte]) for byte in often}
            best = max(saved, key=saved.__getitem__)
            if saved[best] <= 0:
                break
            here = needles.holding[best] & left
            self.anchored.append(_Anchored(best, needles.chosen(here), expected=often.pop(best)))
            left -= here
        self.single = needles.chosen(left)


def _find_us(needle: bytes) -> float:
    """Measured: what `bytes.find` takes for a needle that is not in 64 KiB."""
    return 4 + 200 / len(needle)


def _anchor_us(places: float) -> float:
    """Measured: what it takes to look at all places of a byte in 64 KiB."""
    return 1.2 + 0.2 * places


class _Anchored:
    """Needles that hold one byte, known by the four bytes that begin there."""

    __slots__ = ("_byte", "_limit", "_windows", "families")

    def __init__(self, byte: int, families: Families, *, expected: float) -> None:
        self._byte = bytes((byte,))
        self._limit = 64 + 4 * int(expected)
        self._windows: dict[bytes, Family] = {}
        self.families = families
        for needle, family in families:
            at = needle.index(byte)
            window = self._windows.setdefault(needle[at : at + ANCHOR_BYTES], [])
            window += [(offset + at, text) for offset, text in family]

    def find(self, data: bytes, found: list[Span]) -> bool:
        """Add the span of each pattern. False, and nothing added: the byte is too frequent here for this way."""
        byte, windows, left, before = self._byte, self._windows, self._limit, len(found)
        at = data.find(byte)
        while at != -1:
            family = windows.get(data[at : at + ANCHOR_BYTES])
            if family is not None:
                _verify(data, at, family, found)
            left -= 1
            if not left:
                del found[before:]
                return False
            at = data.find(byte, at + 1)
        return True


def _find_each(data: bytes, families: Families, found: list[Span]) -> None:
    for needle, family in families:
        at = data.find(needle)
        while at != -1:
            _verify(data, at, family, found)
            at = data.find(needle, at + 1)


def _verify(data: bytes, at: int, family: Family, found: list[Span]) -> None:
    """Add the span of each pattern whose needle, or anchor, lies at `at` and which is there as a whole."""
    for offset, text in family:
        start = at - offset
        if start >= 0 and data.startswith(text, start):
            found.append((start, start + len(text)))
