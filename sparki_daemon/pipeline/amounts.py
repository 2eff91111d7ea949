"""Times and sizes as `sparki.yml` writes them. Pure. Source: the public interface, "sparki.yml"."""

from __future__ import annotations

import re

_TIMES_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
TIME = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)", re.ASCII)
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?) ?(B|KiB|MiB|GiB|TiB)", re.ASCII)


def seconds(text: str) -> float | None:
    """`500ms`, `30s`, `10m`, `2h`, `90d` in seconds; None: it is no time."""
    found = TIME.fullmatch(text.strip())
    return float(found[1]) * _TIMES_S[found[2]] if found else None


def size_bytes(text: str) -> int | None:
    """`512 MiB`, `5 GiB` in bytes; None: it is no size."""
    found = SIZE.fullmatch(text.strip())
    return int(float(found[1]) * _SIZES[found[2]]) if found else None


def size_text(count: int) -> str:
    """A number of bytes, for people."""
    value, unit = float(count), "B"
    for unit in _SIZES:  # noqa: B007  # the last one is used where none is large enough
        if value < 1024:
            break
        value /= 1024
    else:
        value *= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
