"""The picture of running runs, painted over and over at the end of a terminal.

Painted by hand: loading a library for it would take from the run 60 ms of the processor that it needs.
"""

from __future__ import annotations

import os
import time

from sparki_cli.picture import picture, plain_words
from sparki_cli.sink import PlainSink
from sparki_cli.title import Title

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
        self._title = Title(output, os.environ)
        self._begun_s = time.monotonic()

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
        lines = picture(self.output, self._views, int(time.time() * 1000), width=width - 1, height=max(0, height - 2), frame=self._frame)
        self._hidden = True
        self.output.raw(BEGIN_FRAME + HIDE_CURSOR + self._over(lines, height) + END_FRAME + self._title.running(self._views))
        self._painted = len(lines)

    def say(self, text: str) -> None:
        self._print(text + "\n")

    def make_room(self) -> None:
        if self._hidden:
            self.output.raw(self._wiped() + self._title.left() + SHOW_CURSOR)
            self._painted = 0

    def end(self) -> None:
        if self._hidden:
            called = self._title.ended(self._views, (time.monotonic() - self._begun_s) * 1000)
            self.output.raw(self._wiped() + called + SHOW_CURSOR)
            self._painted, self._hidden = 0, False

    def _print(self, text: str) -> None:
        """Print above the picture, which comes again with the next frame."""
        self.output.raw(self._wiped() + text)
        self._painted = 0

    def _wiped(self) -> str:
        """The picture taken away, the cursor where it began."""
        if not self._painted:
            return ""
        height = _terminal_size()[1]
        lines = min(self._painted, height - 1)
        return self._over([""] * lines, height) + _up(lines)

    def _over(self, lines: list[str], height: int) -> str:
        """`lines` painted where the picture begins, and nothing of the one before left below them.

        Each line is wiped by itself: a terminal that is told to wipe from its first cell on (tmux, for one) keeps a copy of the screen
        for those who scroll back. What a terminal that became lower has pushed out of its top is no longer the program's to paint.
        """
        was = min(self._painted, height - 1)
        gone = max(0, was - len(lines))
        below = "\x1b[K\n" * gone + "\x1b[K" + _up(gone)  # the cursor's own line too: a typed ^C may stand there
        return _up(was) + "\r" + "".join(f"{line}\x1b[K\n" for line in lines) + below


def _up(lines: int) -> str:
    return f"\x1b[{lines}A" if lines > 0 else ""


def _terminal_size() -> tuple[int, int]:
    """Columns and rows; 80 by 24 where the terminal does not say."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
