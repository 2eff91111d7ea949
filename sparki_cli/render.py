"""All that prints goes through here: results to standard output, what is said about them to standard error."""

# ruff: noqa: PLC0415  # errors and waiting are rare; a short command does not pay for them

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from sparki_cli.jq_filter import JqFilter
    from sparki_daemon.model.problem import Problem, SparkiError

WHITE = "\n\t"  # what sets text out, where it may have several lines
STYLES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}
STATUS = {  # glyph, its letter where glyphs can't be shown, style
    "success": ("✓", "v", "green"),
    "failure": ("✗", "x", "red"),
    "cancelled": ("■", "!", "yellow"),
    "lost": ("?", "?", "red"),
    "skipped": ("-", "-", "dim"),
    "running": ("◐", "~", "cyan"),
    "waiting": ("○", "o", "dim"),
    "queued": ("○", "o", "dim"),
    "live": ("✓", "v", "green"),
    "failed": ("✗", "x", "red"),
    "reverted": ("✗", "x", "red"),
    "unknown": ("?", "?", "red"),
}


# Beside the control characters: those that turn the direction of what follows, and the line ends that are no control characters
TURNING = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class Output:
    """How to speak on this command line: in what form, how much, with which glyphs and colours."""

    __slots__ = ("accessible", "as_json", "ascii_only", "color", "jq", "quiet", "terminal", "verbose")

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        color: bool = False,
        terminal: bool = False,
        ascii_only: bool = False,
        accessible: bool = False,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.color = color
        self.jq: JqFilter | None = None  # what JSON goes through
        self.terminal = terminal
        self.ascii_only = ascii_only
        self.accessible = accessible  # append only: nothing is painted over, and there is a heartbeat

    @classmethod
    def of(cls, environ: Mapping[str, str], *, as_json: bool, quiet: bool, verbose: bool, no_color: bool) -> Output:
        """From the options that every command has, and the environment. Source of NO_COLOR: no-color.org."""
        terminal = os.isatty(1)
        kind = environ.get("TERM", "")
        plain = no_color or bool(environ.get("NO_COLOR")) or kind == "dumb"
        return cls(
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
            color=terminal and not plain and not as_json,
            terminal=terminal,
            ascii_only=(terminal and kind == "linux") or not _speaks_unicode(environ),
            accessible=environ.get("ACCESSIBLE", "") not in ("", "0"),
        )

    @property
    def live(self) -> bool:
        """Whether a picture may be painted over and over."""
        return self.terminal and not (self.as_json or self.quiet or self.accessible) and os.isatty(2) and os.environ.get("TERM") != "dumb"

    # -- saying ----------------------------------------------------------------------------------------------------------

    def line(self, text: str = "") -> None:
        """One line of a result. Raises OSError when it can't be written."""
        self.raw(text + "\n")

    def raw(self, text: str) -> None:
        """Text of a result as it is."""
        write_all(1, _encoded(text))

    def raw_bytes(self, data: bytes) -> None:
        """Bytes of a result as they are."""
        write_all(1, data)

    def document(self, data: object) -> None:
        """One JSON document on a line."""
        text = json.dumps(data, ensure_ascii=False)
        try:
            encoded = text.encode()
        except UnicodeEncodeError:  # a name that is no UTF-8: escaped, the document stays valid
            encoded = json.dumps(data).encode()
        self.json_lines([encoded])

    def json_lines(self, lines: Iterable[bytes]) -> None:
        """JSON documents that are written already, a line each. Raises SparkiError where `--jq` can't be applied to one."""
        if self.jq is not None:
            self.raw_bytes(b"".join(map(self.jq.lines, lines)))
        else:
            self.raw_bytes(b"".join(line + b"\n" for line in lines))

    def note(self, text: str) -> None:
        """Something about the result, to standard error."""
        if not self.quiet:
            write_all(2, _encoded(text + "\n"))

    def detail(self, text: str) -> None:
        """What only those want to know who asked for more."""
        if self.verbose:
            write_all(2, _encoded(text + "\n"))

    def error(self, error: SparkiError) -> None:
        """All problems of an error: as text to standard error, or as one JSON document to standard output."""
        first, *others = error.problems
        if self.as_json:
            document: dict[str, Any] = {"error": first.to_json()}
            if others:
                document["errors"] = [problem.to_json() for problem in error.problems]
            self.document(document)
            return
        write_all(2, _encoded("".join(self.problem(problem) for problem in error.problems)))

    def problem(self, problem: Problem) -> str:
        """One problem's lines, in the shape of the public interface."""
        text = f"{self.styled('error:', 'red')} {printable(problem.message, keep=WHITE)}\n"
        if problem.at:
            text += f"  --> {printable(str(problem.at))}\n"
        if problem.hint:
            text += f"{self.styled('hint:', 'cyan')} {printable(problem.hint, keep=WHITE)}\n"
        return text

    # -- looks -----------------------------------------------------------------------------------------------------------

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color and text else text

    def glyph(self, status: str) -> str:
        """A status as one character; the word always stands with it."""
        glyph, letter, style = STATUS.get(status, ("·", ".", "dim"))
        return self.styled(letter if self.ascii_only else glyph, style)

    def status(self, status: str) -> str:
        """A status' word in its colour."""
        return self.styled(status, STATUS.get(status, ("", "", "dim"))[2])

    @property
    def bar(self) -> str:
        """What stands between a job's name and its text."""
        return "|" if self.ascii_only else "│"

    def table(self, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> None:
        """Columns as wide as what stands in them; cells may be styled, so their width is counted without escapes."""
        widths = [max(visible(row[i]) for row in (header, *rows)) for i in range(len(header))]
        lines = [self.styled(_padded(header, widths), "bold")] if not self.quiet else []
        lines += [_padded(row, widths) for row in rows]
        self.raw("".join(line + "\n" for line in lines))


def _padded(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell + " " * (width - visible(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()


def printable(text: str, *, keep: str = "") -> str:
    """`text` of a repository with what would steer the terminal written out: a name may not paint, move the cursor or begin a line.

    `keep`: control characters that stay. Names that are no UTF-8 stay the bytes that they are.
    """
    if text.isprintable():
        return text
    return "".join(_written_out(c) if c not in keep and (c < " " or "\x7f" <= c <= "\x9f" or c in TURNING) else c for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


def visible(text: str) -> int:
    """How many columns `text` takes, its styles not counted."""
    if "\x1b" in text:
        parts = text.split("\x1b[")
        text = parts[0] + "".join(part.partition("m")[2] for part in parts[1:])
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def duration(ms: float) -> str:
    """A span of time for people: 37ms, 0.4s, 12.3s, 1:02, 1:02:03; by a clock that was set back meanwhile: 0ms."""
    if ms < 100:
        return f"{max(0, int(ms))}ms"
    if ms < 60_000:
        tenths = int(ms / 100)
        return f"{tenths // 10}.{tenths % 10}s"
    seconds = int(ms / 1000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, waiting where the descriptor was made non-blocking by somebody else. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            from select import POLLOUT, poll

            waiting = poll()
            waiting.register(fd, POLLOUT)
            waiting.poll()


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")  # a file's name comes out as the bytes that it is
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _speaks_unicode(environ: Mapping[str, str]) -> bool:
    """Whether the locale can show more than ASCII; none at all and "C" are taken as yes, for Python itself uses UTF-8 there."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    return "." not in locale or "utf" in locale.lower()
