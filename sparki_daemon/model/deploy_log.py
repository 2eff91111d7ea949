"""The lines of a deployment's log: loco's own, each with its time and step, among those that commands and hooks print. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from sparki_daemon.model.dataclass import dataclass


class Mark(StrEnum):
    """What a line is."""

    BEGUN = ">"  # a step begins, or its undoing
    ENDED = "="
    SAID = "-"  # progress
    PRINTED = ""  # by a command of the user's


_OWN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([a-z_]+) ([>=-]) (.*)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `time` and `step` of a printed one are those of loco's last line before it; empty: there was none."""

    number: int  # from 1
    time: str
    step: str
    mark: Mark
    text: str


def written(time: str, step: str, mark: Mark, text: str) -> str:
    """What loco appends to a log for a text of one or several lines."""
    return "".join(f"{time} {step} {mark.value} {line}\n" for line in text.splitlines() or [""])


class LogLines:
    """Reads a log as it grows: whole lines only, until `end`."""

    def __init__(self) -> None:
        self._held = b""
        self._number = 0
        self._time = self._step = ""

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """The lines that `data`, which follows what was fed before, brings to their end."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            yield self._line(line)

    def end(self) -> Iterator[LogLine]:
        """The last line, where no line end follows any more."""
        if self._held:
            yield self._line(self._held)
            self._held = b""

    def _line(self, line: bytes) -> LogLine:
        self._number += 1
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if (own := _OWN.fullmatch(text)) is None:
            return LogLine(self._number, self._time, self._step, Mark.PRINTED, text)
        self._time, self._step = own[1], own[2]
        return LogLine(self._number, self._time, self._step, Mark(own[3]), own[4])
