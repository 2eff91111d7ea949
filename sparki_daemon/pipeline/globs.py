"""Match names of branches and tags, and paths, with the patterns that `on` filters are written in.

Source: GitHub's workflow syntax, "Filter pattern cheat sheet", and GITHUB.md §4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression over the whole name.

    `*` is anything but `/`, `**` anything, `?` and `+` make the character before them optional or repeated, `[]` is a set,
    a backslash takes the next character as it is. A set that is never closed stands for itself.
    """
    parts: list[str] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        end = pattern.find("]", index + 2) if char == "[" else -1
        if char == "*":
            double = pattern.startswith("**", index)
            parts.append(_any(pattern, index) if double else "[^/]*")
            index += 2 if double else 1
            if double and parts[-1] == "(?:.*/)?":
                index += 1
            continue
        if char in "?+" and parts and parts[-1][-1] not in "?+*":
            parts.append(char)
        elif end > 0:
            parts.append(f"[{re.escape(pattern[index + 1 : end]).replace(chr(92) + '-', '-')}]")
            index = end
        elif char == "\\" and index + 1 < len(pattern):
            index += 1
            parts.append(re.escape(pattern[index]))
        else:
            parts.append(re.escape(char))
        index += 1
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:  # a set such as [z-a]
        return re.compile(re.escape(pattern))


def _any(pattern: str, index: int) -> str:
    """`**/` at the beginning of a part may stand for no folder at all."""
    return "(?:.*/)?" if pattern.startswith("**/", index) and (index == 0 or pattern[index - 1] == "/") else ".*"


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name passes a list of patterns: the last one that fits decides, one with `!` before it against."""
    verdict = False
    for pattern in patterns:
        against = pattern.startswith("!")
        if compiled(pattern[1:] if against else pattern).fullmatch(name):
            verdict = not against
    return verdict


def passes(name: str, only: Sequence[str] | None, ignore: Sequence[str] | None) -> bool:
    """Whether a name passes a filter and its `-ignore` twin; None where there is none."""
    if only is not None and not matches(name, only):
        return False
    return ignore is None or not matches(name, ignore)
