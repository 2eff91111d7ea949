"""Finds workflow commands (`::error::…`, `##[group]…`) in a step's output, without slowing down what has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sparki_daemon.runner.sieve import COMMAND, FROM_BYTES, Sieve, sieve

# A line that could be one, tried only where a chunk holds `::` or `##[` at all.
_CANDIDATE = re.compile(rb"^[ \t\r\f\v]*::.*|^.*##\[.*", re.MULTILINE)
_NO_BLANK = re.compile(rb"[^ \t\r\f\v]")
_OPENS = re.compile(rb"[ \t\r\f\v]*:(?::|\Z)")  # so begins a line that more may make a command
OWN_FROM_BYTES = 2 * FROM_BYTES  # where there are secrets, their sieve is there before, and serves
MOST_HELD_BYTES = 4 * 1024 * 1024  # a longer line is text

NAMES = frozenset({
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
})  # fmt: skip


class Command(NamedTuple):
    """One workflow command; `line` is the line as it was printed, without its line end."""

    name: str
    properties: dict[str, str]
    data: str
    line: bytes


class Scanner:
    """One stream of output: bytes in, text and commands out in their order.

    Only a line that may still become a command is held back, so a prompt without a line end passes at once.
    """

    def __init__(self) -> None:
        self._held = b""
        self._mid_line = False  # something that is no blank was passed on of the line that is open
        self._stop_token = ""
        self._fed_bytes = 0
        self._sieve: Sieve | None = None  # made once the output is long

    def feed(self, chunk: bytes, shared: Sieve | None = None) -> Iterator[bytes | Command]:
        """The text and the commands that `chunk` completes. The commands' lines are no text.

        `shared`: the sieve of whoever looks at the same bytes for secrets, if it has one: then both look once.
        """
        data = self._held + chunk if self._held else chunk
        self._held = b""
        # One byte is looked for ten times as fast as two, and most output has neither.
        plain = not self._may_hold(data, shared)
        if plain and data.endswith(b"\n"):  # most of all output
            self._mid_line = False
            yield data
            return
        begin = data.rfind(b"\n") + 1
        last = data[begin:]
        if len(last) <= MOST_HELD_BYTES and self._may_become(last, first=begin == 0, plain=plain):
            data, last, self._held = data[:begin], b"", last
        if plain:
            yield from (data,) if data else ()
        else:
            yield from self._scan(data[:begin])
            yield from (last,) if last else ()
        self._mid_line = _NO_BLANK.search(last) is not None or (begin == 0 and self._mid_line)

    def _may_hold(self, data: bytes, shared: Sieve | None) -> bool:
        """Whether a command may be in `data`: False is certain."""
        if shared is not None:
            return shared.may_hold(data, COMMAND)
        if self._sieve is not None:
            return self._sieve.may_hold(data, COMMAND)
        if self._fed_bytes < OWN_FROM_BYTES:
            self._fed_bytes += len(data)
            if self._fed_bytes >= OWN_FROM_BYTES:
                self._sieve = sieve()
        return (b":" in data and b"::" in data) or (b"#" in data and b"##[" in data)

    def flush(self) -> Iterator[bytes | Command]:
        """What was held back, at the end of a step."""
        data, self._held = self._held, b""
        if data:
            yield from self._scan(data)
        self._mid_line = False
        self._stop_token = ""

    def stop(self, token: str) -> None:
        """Take no line for a command until `::token::`."""
        self._stop_token = token

    def _may_become(self, last: bytes, *, first: bool, plain: bool) -> bool:
        """Whether more of an open line could make it a command. Nothing is copied: the line may be very long."""
        if last.endswith(b"#") or (not plain and b"##[" in last):
            return True
        return not (first and self._mid_line) and _OPENS.match(last) is not None

    def _scan(self, data: bytes) -> Iterator[bytes | Command]:
        done = 0
        for match in _CANDIDATE.finditer(data):
            start, end = match.span()
            if command := self._command(match[0], inside=start == 0 and self._mid_line):
                if start > done:
                    yield data[done:start]
                yield command
                done = min(end + 1, len(data))  # with its line end
        if done < len(data):
            yield data[done:]

    def _command(self, line: bytes, *, inside: bool) -> Command | None:
        text = line.rstrip(b"\r")
        registered = {*NAMES, self._stop_token.lower()} if self._stop_token else NAMES
        command = None if inside else parse(text)
        if command is None or command.name not in registered:
            command = parse_anywhere(text)
        if command is None or command.name not in registered:
            return None
        if not self._stop_token:
            return command
        if command.name != self._stop_token.lower():
            return None
        self._stop_token = ""
        return command._replace(name="resume-commands")


def parse(line: bytes) -> Command | None:
    """`::name key=value,key=value::data`, after blanks; the name in lower case, of whatever name.

    Nothing in it is trimmed but the properties as a whole: `::error file =x::` has a property `file ` and none that is `file`.
    Source: actions/runner, ActionCommand.TryParseV2. `%25` is undone last, so `%250A` is the text `%0A`.
    """
    text = line.decode("utf-8", "replace").lstrip()
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        return None
    name, _, rest = text[2:end].partition(" ")
    return Command(name.lower(), _properties(rest.strip(), ",", _PROPERTY), _unescape(text[end + 2 :], _DATA), line) if name else None


def parse_anywhere(line: bytes) -> Command | None:
    """`##[name key=value;key=value]data`, wherever in a line it begins. Source: actions/runner, ActionCommand.TryParse."""
    text = line.decode("utf-8", "replace")
    begin = text.find("##[")
    end = text.find("]", begin)
    if begin < 0 or end < 0:
        return None
    name, _, rest = text[begin + 3 : end].partition(" ")
    return Command(name.lower(), _properties(rest, ";", _OLD), _unescape(text[end + 1 :], _OLD), line) if name else None


_DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_OLD = (("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%3B", ";"), ("%25", "%"))


def _properties(text: str, separator: str, escapes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """As .NET splits at `=` without empty parts: a property without a name or without a value is none, `a==b` is `a=b`."""
    found = {}
    for part in text.split(separator):
        name, _, value = part.lstrip("=").partition("=")
        if value := value.lstrip("="):
            found[name.lower()] = _unescape(value, escapes)
    return found


def _unescape(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    if "%" in text:
        for escaped, plain in escapes:
            text = text.replace(escaped, plain)
    return text
