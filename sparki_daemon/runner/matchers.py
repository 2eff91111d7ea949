"""Problem matchers: regular expressions that make annotations of lines of output.

Source: actions/runner, Runner.Worker/IssueMatcher.cs and Handlers/OutputManager.cs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.runner.annotations import Annotation, annotation
from sparki_daemon.runner.time_limit import TooSlow, at_most

MOST_LINE_BYTES = 64 * 1024  # of a longer line no annotation is made
_CHUNK_S = 2.0  # so long may all expressions take for one piece of output
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]?")
_LEVELS = frozenset({"error", "warning", "notice"})
_GROUPS = ("fromPath", "file", "line", "column", "severity", "code", "message")

Found = dict[str, str]


class MatcherError(Exception):
    """A matcher file that can't be read; the text says why."""


@dataclass(slots=True)
class _Pattern:
    expression: re.Pattern[str]
    groups: Mapping[str, int]
    loop: bool

    def match(self, line: str, before: Found) -> Found | None:
        found = self.expression.search(line)
        if found is None:
            return None
        here = {name: text for name, group in self.groups.items() if group <= (found.re.groups or 0) and (text := found[group])}
        return {**before, **here}


@dataclass(slots=True)
class _Matcher:
    owner: str
    level: str
    from_path: str
    patterns: list[_Pattern]
    held: list[Found | None] = field(default_factory=list)  # what the patterns before the last have found so far

    def reset(self) -> None:
        self.held = [None] * len(self.patterns)

    def match(self, line: str) -> Found | None:
        """What a line completes. The last pattern is tried first: a line may end one problem and begin the next."""
        last = len(self.patterns) - 1
        for index in range(last, -1, -1):
            before = self.held[index - 1] if index else {}
            if before is None:
                continue
            found = self.patterns[index].match(line, before)
            if index < last:
                self.held[index] = found
            elif found is not None:
                self.reset()
                if self.patterns[index].loop and index:
                    self.held[index - 1] = before
                return found
            elif index:
                self.held[index - 1] = None
        return None


class Matchers:
    """The matchers of a job, and the line of its output that is open."""

    def __init__(self) -> None:
        self.active = False
        self.workspace = ""
        self._matchers: list[_Matcher] = []  # the newest first
        self._open = b""
        self._trouble = ""

    def add(self, data: bytes) -> None:
        """Take the matchers of a file's content; one replaces an older one of its owner. Raises MatcherError, and takes none then."""
        try:
            items = json.loads(data.decode("utf-8-sig"))["problemMatcher"]
            matchers = [_read(item) for item in items]
        except MatcherError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            raise MatcherError('it is no JSON object with a list "problemMatcher" of owners and patterns') from None
        for matcher in matchers:
            self.remove(matcher.owner)
            self._matchers.insert(0, matcher)
        self.active = bool(self._matchers)

    def remove(self, owner: str) -> None:
        """Forget the matcher of an owner; one that is not there is no error."""
        self._matchers = [matcher for matcher in self._matchers if matcher.owner.lower() != owner.lower()]
        self.active = bool(self._matchers)

    def remove_of(self, data: bytes) -> None:
        """Forget those that a file names. Raises MatcherError."""
        try:
            owners = [str(item["owner"]) for item in json.loads(data.decode("utf-8-sig"))["problemMatcher"]]
        except (ValueError, KeyError, TypeError):
            raise MatcherError('it is no JSON object with a list "problemMatcher"') from None
        for owner in owners:
            self.remove(owner)

    def feed(self, data: bytes) -> list[Annotation]:
        """What the lines that `data` completes say."""
        lines = (self._open + data if self._open else data).split(b"\n")
        self._open = lines.pop()[: MOST_LINE_BYTES + 1]
        return self._match(lines)

    def flush(self) -> list[Annotation]:
        """What the open line says, at the end of a step; what was half found is forgotten."""
        line, self._open = self._open, b""
        found = self._match([line]) if line else []
        for matcher in self._matchers:
            matcher.reset()
        return found

    def trouble(self) -> str:
        """Why matchers were given up since it was last asked, or nothing."""
        trouble, self._trouble = self._trouble, ""
        return trouble

    def _match(self, lines: list[bytes]) -> list[Annotation]:
        found: list[Annotation] = []
        try:
            with at_most(_CHUNK_S):
                found.extend(hit for line in lines if len(line) <= MOST_LINE_BYTES and (hit := self._match_line(line)))
        except TooSlow:
            owners = ", ".join(matcher.owner for matcher in self._matchers)
            self._trouble = f"problem matchers were too slow for the output, and are used no longer: {owners}"
            self._matchers, self.active = [], False
        return found

    def _match_line(self, line: bytes) -> Annotation | None:
        text = _COLOUR.sub("", line.decode("utf-8", "replace").rstrip("\r"))
        for matcher in self._matchers:
            hit = matcher.match(text)
            if hit is None:
                continue
            for other in self._matchers:
                if other is not matcher:
                    other.reset()
            return self._annotation(matcher, hit)
        return None

    def _annotation(self, matcher: _Matcher, hit: Found) -> Annotation | None:
        level = (hit.get("severity") or matcher.level or "error").lower()
        if level not in _LEVELS or not hit.get("message"):
            return None
        file = hit.get("file", "")
        base = hit.get("fromPath") or matcher.from_path
        if file and base and not file.startswith("/"):
            file = f"{base.rpartition('/')[0]}/{file}" if "/" in base else file
        lines, columns = ((_number(hit.get(name)), None) for name in ("line", "column"))
        title, message = hit.get("code", ""), hit["message"]
        return annotation(level, message, file=file, title=title, workspace=self.workspace, lines=lines, columns=columns)


def _read(item: dict[str, Any]) -> _Matcher:
    owner = item["owner"]
    if not owner or not isinstance(owner, str):
        raise MatcherError("a matcher has no owner")
    patterns = [_pattern(pattern, owner) for pattern in item["pattern"]]
    if not patterns:
        raise MatcherError(f"'{owner}' has no pattern")
    if any(pattern.loop for pattern in patterns[:-1]) or (len(patterns) == 1 and patterns[0].loop):
        raise MatcherError(f"'{owner}': only the last of several patterns may have 'loop'")
    if "message" not in patterns[-1].groups:
        raise MatcherError(f"'{owner}': the last pattern needs 'message'")
    matcher = _Matcher(owner, str(item.get("severity") or ""), str(item.get("fromPath") or ""), patterns)
    matcher.reset()
    return matcher


def _pattern(item: dict[str, Any], owner: str) -> _Pattern:
    text = str(item["regexp"])
    try:
        expression = re.compile(re.sub(r"(?<!\\)\(\?<(?![=!])", "(?P<", text), re.ASCII)
    except re.error as error:
        raise MatcherError(f"'{owner}': '{text}' is no regular expression: {error}") from None
    return _Pattern(expression, {name: int(item[name]) for name in _GROUPS if item.get(name) is not None}, bool(item.get("loop")))


def _number(text: str | None) -> int | None:
    plain = (text or "").strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 10 else None
