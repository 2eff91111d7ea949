"""The version of this program: what `sparki --version` says, and what a daemon writes into its daemon.json."""

from __future__ import annotations

VERSION = "0.1.0"


def is_newer(version: str, other: str) -> bool:
    """Whether `version` is later than `other`, number by number. What is no version (an unreadable daemon.json) counts as older."""
    return _numbers(version) > _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
