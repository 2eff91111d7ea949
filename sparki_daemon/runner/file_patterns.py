"""Finds files as GitHub's own actions do: patterns a line, `!` against, folders with all that is in them.

Source: actions/toolkit, packages/glob (internal-globber, internal-pattern, internal-pattern-helper), and minimatch as it is called there:
`dot`, `nobrace`, `noext`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from functools import lru_cache

_NONE, _FOLDER, _FILE, _ALL = 0, 1, 2, 3
_ANY_DEPTH = "**"


class BadPattern(ValueError):  # noqa: N818  # reads as what it is
    """A pattern that GitHub refuses; the text says which, and why."""


class _Pattern:
    """One line: absolute, cut into segments. `implied`: it stands for what is below a folder that another line names."""

    def __init__(self, segments: list[str], *, against: bool, folders_only: bool, implied: bool = False) -> None:
        self.segments = segments
        self.against = against
        self.folders_only = folders_only
        self._implied = implied
        literals: list[str] = []
        for segment in segments:
            text = _literal(segment)
            if not text:
                break
            literals.append(text)
        self.begins_at = "/" + "/".join(literals)  # nothing that fits is elsewhere

    def below(self) -> _Pattern | None:
        """The pattern for what is in the folders that this one names; None where it has that in itself."""
        if self.segments and self.segments[-1] == _ANY_DEPTH and not self.folders_only:
            return None
        return _Pattern([*self.segments, _ANY_DEPTH], against=self.against, folders_only=False, implied=True)

    def fits(self, parts: Sequence[str]) -> int:
        found = _fits(self.segments, parts, least=1 if self._implied else 0)  # `/a/**` is /a too, but for one that is implied
        return _NONE if not found else _FOLDER if self.folders_only else _ALL

    def may_fit_below(self, parts: Sequence[str]) -> bool:
        return _fits(self.segments, parts, begun=True)


def find(
    text: str,
    base: str,
    *,
    implied: bool = True,
    folders: bool = True,
    follow: bool = False,
    hidden: bool = True,
    home: str = "",
) -> Iterator[str]:
    """Absolute paths that the lines of `text` name, depth first, names in byte order, the lines' beginnings in their order.

    `base` is what relative lines begin at, `home` what `~` is. `implied`: a line that names a folder means all in it. `folders`: they are
    given too. `follow`: links to folders are entered, and broken ones left out. Not `hidden`: names that begin with a dot are left out.
    Raises BadPattern.
    """
    patterns = _read(text, base, home, implied=implied)
    stack = [(path, frozenset[str]()) for path in reversed(_beginnings(patterns)) if os.path.lexists(path)]
    while stack:
        path, above = stack.pop()
        parts = [part for part in path.split("/") if part]
        found = _verdict(patterns, parts)
        if not found and not any(not pattern.against and pattern.may_fit_below(parts) for pattern in patterns):
            continue
        kind = _kind(path, above, follow=follow)
        if kind is None or (not hidden and os.path.basename(path).startswith(".")):
            continue
        is_folder, chain = kind
        if is_folder:
            if folders and found & _FOLDER:
                yield path
            stack += [(os.path.join(path, name), chain) for name in reversed(_names(path))]
        elif found & _FILE:
            yield path


def beginnings(text: str, base: str, *, home: str = "") -> list[str]:
    """The folders and files at which a search of these lines begins, in their order, none below another. Raises BadPattern."""
    return _beginnings(_read(text, base, home, implied=False))


def _read(text: str, base: str, home: str, *, implied: bool) -> list[_Pattern]:
    patterns = []
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        against = False
        while plain.startswith("!"):
            against, plain = not against, plain[1:].strip()
        if not plain:
            raise BadPattern(f"'{line.strip()}' is no pattern: nothing is behind its '!'")
        pattern = _Pattern(_segments(plain, base, home), against=against, folders_only=plain.endswith("/"))
        below = pattern.below() if implied else None
        patterns += [pattern, below] if below else [pattern]
    return patterns


def _segments(text: str, base: str, home: str) -> list[str]:
    """The segments of a line from the root on; those of `base` and `home` stand for themselves."""
    given = [part for part in text.split("/") if part]
    if any(part == ".." or (part == "." and index) for index, part in enumerate(given)):
        raise BadPattern(f"'{text}' is no pattern: '.' and '..' can't stand in it")
    if text.startswith("/"):
        return given
    if given[:1] == ["~"]:
        return [*_escaped(home), *given[1:]]
    return [*_escaped(base), *(given[1:] if given[:1] == ["."] else given)]


def _escaped(path: str) -> list[str]:
    return [re.sub(r"([\\*?\[])", r"\\\1", part) for part in path.split("/") if part]


def _beginnings(patterns: Sequence[_Pattern]) -> list[str]:
    wanted = list(dict.fromkeys(pattern.begins_at for pattern in patterns if not pattern.against))
    return [path for path in wanted if not any(path != other and _is_below(path, other) for other in wanted)]


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _verdict(patterns: Sequence[_Pattern], parts: Sequence[str]) -> int:
    found = _NONE
    for pattern in patterns:
        fits = pattern.fits(parts)
        found = found & ~fits if pattern.against else found | fits
    return found


def _kind(path: str, above: frozenset[str], *, follow: bool) -> tuple[bool, frozenset[str]] | None:
    """Whether a path is a folder to enter, and the real folders above what is in it; None: it is gone, broken, or its own ancestor."""
    try:
        is_folder = stat.S_ISDIR((os.stat if follow else os.lstat)(path).st_mode)
    except OSError:
        return None
    if not follow or not is_folder:
        return is_folder, above
    real = os.path.realpath(path)
    return None if real in above else (True, above | {real})


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder), key=os.fsencode)
    except OSError:
        return []


def _literal(segment: str) -> str:
    """The one name that a segment fits; empty: there may be many."""
    text, index = "", 0
    while index < len(segment):
        char = segment[index]
        if char == "\\" and index + 1 < len(segment):
            index += 1
            char = segment[index]
        elif char in "*?":
            return ""
        elif char == "[" and (one := re.match(r"\[(\\.|[^\]\\]*)\]", segment[index:])):
            inner = one[1].removeprefix("\\")
            if len(inner) != 1:
                return ""
            char, index = inner, index + one.end() - 1
        text += char
        index += 1
    return text


@lru_cache(maxsize=512)
def compiled(segment: str) -> re.Pattern[str]:
    """One segment of a pattern as a regular expression over one name."""
    parts: list[str] = []
    index = 0
    while index < len(segment):
        char = segment[index]
        closed = re.compile(r"\[[!^]?\]?(?:\\.|[^\]\\])*\]").match(segment, index) if char == "[" else None
        if char == "*":
            parts.append("" if parts and parts[-1] == ".*" else ".*")
        elif char == "?":
            parts.append(".")
        elif closed:
            inner = closed[0][1:-1]
            sign = "^" if inner[:1] in {"!", "^"} else ""
            parts.append(f"[{sign}{inner[len(sign) :].replace('[', chr(92) + '[')}]")
            index = closed.end() - 1
        elif char == "\\" and index + 1 < len(segment):
            index += 1
            parts.append(re.escape(segment[index]))
        else:
            parts.append(re.escape(char))
        index += 1
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:  # a set such as [z-a] fits itself
        return re.compile(re.escape(segment))


def _fits(segments: Sequence[str], parts: Sequence[str], *, least: int = 0, begun: bool = False) -> bool:
    """Whether a path fits; `least` is how many names the last `**` must take; `begun`: whether what lies below the path may still fit."""
    at = {0}  # how many segments may be used up
    for part in (*parts, None):
        following: set[int] = set()
        at = _past_any_depth(segments, at, least)
        if part is None:
            return bool(at) if begun else len(segments) in at
        for index in at:
            if index == len(segments):
                continue
            if segments[index] == _ANY_DEPTH:
                following |= {index, index + 1} if index + 1 == len(segments) else {index}
            elif compiled(segments[index]).fullmatch(part):
                following.add(index + 1)
        at = following
    return False


def _past_any_depth(segments: Sequence[str], at: set[int], least: int) -> set[int]:
    """A `**` may take no name at all: what comes behind it is possible too."""
    reached = set(at)
    for index in range(len(segments)):
        if index in reached and segments[index] == _ANY_DEPTH and not (least and index + 1 == len(segments)):
            reached.add(index + 1)
    return reached
