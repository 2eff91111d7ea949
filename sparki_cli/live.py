"""The picture of running runs, painted over and over at the end of a terminal.

Painted by hand: loading a library for it would take from the run 60 ms of the processor that it needs.
"""

from __future__ import annotations

import os
import time

from sparki_cli.picture import picture, plain_words
from sparki_cli.sink import PlainSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_cli.render import Output
    from sparki_cli.view import RunView

FRAME_S = 0.1  # ten pictures a second at most
FIRST_AFTER_S = 0.15  # a run that is over sooner flickers nothing
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
BEGIN_FRAME, END_FRAME = "\x1b[?2026h", "\x1b[?2026l"  # a terminal that knows synchronized output shows whole frames only


class LiveSink(PlainSink):
    """Jobs and steps with their times; with `-v` the text too, above the picture."""

    wants_text = True
    wants_jobs = True

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self.tick_s = FRAME_S
        self._painted = 0  # lines of the picture that are on the screen
        self._frame = 0
        self._due_s = time.monotonic() + FIRST_AFTER_S
        self._hidden = False

    def event(self, view: RunView, event: dict[str, Any], line: bytes) -> None:
        if self.output.verbose:
            super().event(view, event, line)

    def text(self, view: RunView, log: dict[str, Any]) -> None:
        if self.output.verbose:
            super().text(view, log)
        last = plain_words(log["text"])
        if last:
            view.job(log["job"], log).last_line = last

    def tick(self) -> None:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + FRAME_S
        self._frame += 1
        width, height = _terminal_size()
        lines = picture(self.output, self._views, int(time.time() * 1000), width=width - 1, height=height - 2, frame=self._frame)
        self._hidden = True
        self.output.raw(BEGIN_FRAME + HIDE_CURSOR + self._over() + "".join(f"{line}\n" for line in lines) + END_FRAME)
        self._painted = len(lines)

    def say(self, text: str) -> None:
        self._print(text + "\n")

    def end(self) -> None:
        if self._hidden:
            self.output.raw(self._over() + SHOW_CURSOR)
            self._painted, self._hidden = 0, False

    def _print(self, text: str) -> None:
        """Print above the picture, which comes again with the next frame."""
        self.output.raw(self._over() + text)
        self._painted = 0

    def _over(self) -> str:
        """To the beginning of the picture, and wipe it."""
        up = f"\x1b[{self._painted}A" if self._painted else ""
        return f"{up}\r\x1b[J"


def _terminal_size() -> tuple[int, int]:
    """Columns and rows; 80 by 24 where the terminal does not say."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
