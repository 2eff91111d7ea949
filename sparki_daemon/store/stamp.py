"""Moments as the tables and events keep them: RFC 3339, UTC, with milliseconds."""

from __future__ import annotations

from sparki_daemon.system.clock import rfc3339


def stamp(seconds: float) -> str:
    """The text of a moment given in seconds since 1970, cut to milliseconds; texts sort as their moments do."""
    return rfc3339(int(seconds * 1000))
