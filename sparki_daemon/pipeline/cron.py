"""Check the five fields of a `cron` time table, and the name of its time zone.

Source: POSIX, `crontab`, and GitHub's workflow syntax, `on.schedule`: an IANA time zone.
"""

from __future__ import annotations

import re

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?P<first>\*|[0-9]+|[A-Za-z]{3})(?:-(?P<last>[0-9]+|[A-Za-z]{3}))?(?:/(?P<step>[0-9]+))?")


def mistake_in(text: str) -> str:
    """What is wrong with a time table; empty where nothing is. A placeholder such as `$cron-daily` is left to who fills it in."""
    if text.startswith("$"):
        return ""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} field{'' if len(fields) == 1 else 's'}, and needs {len(_FIELDS)}"
    for field, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        for item in field.split(","):
            if not _is_item(item, least, most, words):
                return f"'{item}' is no {name} from {least} to {most}"
    return ""


def is_zone(name: str) -> bool:
    """Whether a time zone is called so, capitals included. True for any name on a machine that has no list of them."""
    return _is_known(name) or not _is_known("Etc/UTC")


def _is_known(name: str) -> bool:
    import zoneinfo  # noqa: PLC0415  # few files name a zone

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def zones() -> list[str]:
    """The names of all time zones. It takes a while."""
    import zoneinfo  # noqa: PLC0415  # as above

    return sorted(zoneinfo.available_timezones())


def _is_item(item: str, least: int, most: int, words: tuple[str, ...]) -> bool:
    found = _ITEM.fullmatch(item)
    if found is None:
        return False
    if found["step"] is not None and int(found["step"]) == 0:
        return False
    if found["first"] == "*":
        return found["last"] is None
    ends = [_number(end, least, words) for end in (found["first"], found["last"] or found["first"])]
    return all(least <= end <= most for end in ends) and ends[0] <= ends[1]


def _number(text: str, least: int, words: tuple[str, ...]) -> int:
    """The number that a field's word stands for; -1 for one that it has not."""
    if text.isdigit():
        return int(text)
    return words.index(text.upper()) + least if text.upper() in words else -1
