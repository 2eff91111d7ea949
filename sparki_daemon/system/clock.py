"""The wall clock, for what people read; what must not jump is timed with `time.monotonic` where it is needed."""

from __future__ import annotations

import time
from functools import lru_cache


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """`ms` milliseconds since 1970 as RFC 3339 text in UTC, with milliseconds: 2026-01-31T09:05:00.123Z."""
    return f"{_second(ms // 1000)}.{ms % 1000:03}Z"


@lru_cache(maxsize=8)  # a busy engine asks for the same second hundreds of times
def _second(whole_s: int) -> str:
    moment = time.gmtime(whole_s)
    return f"{moment[0]:04}-{moment[1]:02}-{moment[2]:02}T{moment[3]:02}:{moment[4]:02}:{moment[5]:02}"
