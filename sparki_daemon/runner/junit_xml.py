"""Reads one test report as JUnit XML: what there is of it counts, and no more of a text is held than is kept.

Source of the shape: the Jenkins xunit plugin's `junit-10.xsd`; `file` and `line` as pytest, jest-junit and others give them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from sparki_daemon.model.dataclass import dataclass, field

if TYPE_CHECKING:
    from typing import BinaryIO

MOST_TEXT = 1 << 20  # characters of a failure's text that are looked at
CHUNK_BYTES = 1 << 16
_SUITES = ("testsuites", "testsuite")
_KINDS = ("failure", "error")
_MOST_PLACES = 20  # of a text, from its end, that are tried
# A path is tried where it may begin only, not from each of its characters: a text of one long word would take the square of its length.
_PLACE = re.compile(r'File "([^"\n]+)", line (\d{1,9})|(?<![\w./@+-])([\w./@+-]+\.[A-Za-z]\w*):(\d{1,9})\b')


class BadReport(ValueError):  # noqa: N818  # reads as what it is
    """A file that is no test report, or a broken one; the text says why."""


@dataclass(slots=True)
class Failed:
    """A failed test as its report has it: nothing masked, nothing cut. `cut`: `text` is only the beginning."""

    name: str
    suite: str
    file: str
    line: int | None
    kind: str
    message: str
    text: str = ""
    cut: bool = False


@dataclass(slots=True)
class Report:
    """What one file says."""

    total: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failing: list[Failed] = field(default_factory=list)


def parse(file: BinaryIO, *, most_bytes: int, most_failing: int) -> Report:
    """The report in an open file. Raises BadReport, also where it is longer than `most_bytes`; OSError.

    No entity is ever expanded: a file that declares one is refused. Source: "XML vulnerabilities" in the docs of Python's xml package.
    """
    reading = _Reading(most_failing)
    left = most_bytes
    try:
        while chunk := file.read(min(CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise BadReport(f"it has more than {most_bytes >> 20} MiB")
            reading.parser.Parse(chunk, False)
        reading.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BadReport(f"it is no XML: {expat.ErrorString(error.code)} (line {error.lineno}, column {error.offset + 1})") from None
    except BadReport:
        raise
    except (LookupError, ValueError):  # expat asks Python for the encoding: none of that name, or one of several bytes
        raise BadReport("its encoding can't be read: write UTF-8") from None
    return reading.report


class _Reading:
    """The state of one parse."""

    def __init__(self, most_failing: int) -> None:
        self.report = Report()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = _refuse
        self._most_failing = most_failing
        self._root_seen = False
        self._files: list[str] = []  # of the suites that are open
        self._case: dict[str, str] | None = None
        self._verdict = ""
        self._failed: Failed | None = None  # whose text is being read
        self._pieces: list[str] = []
        self._length = 0

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if not self._root_seen:
            if tag not in _SUITES:
                raise BadReport(f"it is no test report: it begins with <{tag[:40]}>")
            self._root_seen = True
        if tag == "testsuite":
            self._files.append(given.get("file") or (self._files[-1] if self._files else ""))
        elif tag == "testcase":
            self._case, self._verdict = given, ""
        elif self._case is not None and tag in _KINDS:
            if not self._verdict and len(self.report.failing) < self._most_failing:
                self._failed = self._failed_case(tag, given)
                self._pieces, self._length = [], 0
            self._verdict = "failed"
        elif self._case is not None and tag == "skipped":
            self._verdict = self._verdict or "skipped"

    def _failed_case(self, kind: str, given: dict[str, str]) -> Failed:
        case = self._case or {}
        line = case.get("line", "")
        return Failed(
            name=case.get("name", ""),
            suite=case.get("classname", ""),
            file=case.get("file") or (self._files[-1] if self._files else ""),
            line=int(line) if line.isascii() and line.isdigit() and 0 < len(line) < 10 else None,
            kind=kind,
            message=given.get("message", ""),
        )

    def _text(self, text: str) -> None:
        if self._failed is not None and self._length < MOST_TEXT:
            self._pieces.append(text)
            self._length += len(text)

    def _end(self, tag: str) -> None:
        if tag == "testsuite" and self._files:
            self._files.pop()
        elif tag in _KINDS and self._failed is not None:
            self._failed.text, self._failed.cut = "".join(self._pieces)[:MOST_TEXT], self._length >= MOST_TEXT
            self.report.failing.append(self._failed)
            self._failed = None
        elif tag == "testcase" and self._case is not None:
            self.report.total += 1
            self.report.failed += self._verdict == "failed"
            self.report.skipped += self._verdict == "skipped"
            self.report.seconds += _seconds(self._case.get("time", ""))
            self._case = None


def places(text: str) -> list[tuple[str, int]]:
    """The files and lines that a failure's text names, the last first."""
    found = [(one[1] or one[3], int(one[2] or one[4])) for one in _PLACE.finditer(text)]
    return list(dict.fromkeys(reversed(found)))[:_MOST_PLACES]


def _seconds(text: str) -> float:
    try:
        seconds = float(text.replace(",", ""))  # some write thousands so
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e9 else 0.0


def _refuse(*_: object) -> NoReturn:
    raise BadReport("it declares entities, and none are read")
