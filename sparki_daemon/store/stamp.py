"""Moments as the tables and events keep them: RFC 3339, UTC, with milliseconds."""

from __future__ import annotations

from time import gmtime


def stamp(seconds: float) -> str:
    """The text of a moment given in seconds since 1970, cut to milliseconds; texts sort as their moments do."""
    return stamp_ms(int(seconds * 1000))


def stamp_ms(milliseconds: int) -> str:
    """The text of a moment given in milliseconds since 1970, as runners write them into their spools."""
    whole, rest = divmod(milliseconds, 1000)
    at = gmtime(whole)
    return f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}.{rest:03d}Z"
