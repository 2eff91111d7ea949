"""What a terminal shows of runs outside of its text: its title, its progress, a notice at the end of long ones. Pure.

Source: xterm, "Control Sequences" (OSC 0; CSI 22 and 23 t keep and restore a title); ConEmu and Windows Terminal (OSC 9, OSC 9;4).
Each can be turned off: SPARKI_TITLE=0, SPARKI_PROGRESS=0, SPARKI_NOTIFY=0.
"""

from __future__ import annotations

from sparki_cli.render import Output, printable
from sparki_cli.view import RED, RunView, worst

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LONG_MS = 10_000  # a run that takes longer may have been left alone
KEEP, RESTORE = "\x1b[22;0t", "\x1b[23;0t"
NO_PROGRESS = "\x1b]9;4;0;0\x07"


class Title:
    """The sequences for one command that follows runs; each empty where it was turned off, or says nothing new."""

    def __init__(self, output: Output, environ: Mapping[str, str]) -> None:
        plain = environ.get("TERM", "") in ("linux", "dumb", "")  # knows no titles
        self._output = Output(ascii_only=output.ascii_only)
        self._title, self._progress, self._notify = (
            not plain and environ.get(f"SPARKI_{name}", "") != "0" for name in ("TITLE", "PROGRESS", "NOTIFY")
        )
        self._told = ""

    def running(self, views: list[RunView]) -> str:
        """Title and progress of the moment."""
        text = (f"\x1b]0;{words(self._output, views)}\x07" if self._title else "") + (progress(views) if self._progress else "")
        if text == self._told:
            return ""
        first = KEEP if self._title and not self._told else ""
        self._told = text
        return first + text

    def ended(self, views: list[RunView], took_ms: float) -> str:
        """The title as it was, no progress, and a notice where it took long."""
        text = self.left()
        if self._notify and took_ms > LONG_MS:
            text += f"\x1b]9;{words(self._output, views)}\x07\x07"  # the second is the bell, for terminals that know no OSC 9
        return text

    def left(self) -> str:
        """The title as it was, no progress."""
        told, self._told = self._told, ""
        return ((NO_PROGRESS if self._progress else "") + (RESTORE if self._title else "")) if told else ""


def words(output: Output, views: list[RunView]) -> str:
    """A glyph, the pipeline, and the first red job: `✗ ci · test (3.12)`."""
    status = worst(view.status for view in views) if all(view.ended for view in views) else "running"
    red = [(view, job) for view in views for job in view.jobs.values() if job.status in RED and not job.tolerated]
    named = red[0][0].pipeline if red else ", ".join(view.pipeline for view in views)
    dot = "-" if output.ascii_only else "·"
    return f"{output.glyph(status)} {printable(named)}" + (f" {dot} {printable(red[0][1].name)}" if red else "")


def progress(views: list[RunView]) -> str:
    """How many of the jobs have ended, in per cent; red once one of them is."""
    jobs = [job for view in views for job in view.jobs.values()]
    red = any(job.status in RED and not job.tolerated for job in jobs)
    return f"\x1b]9;4;{2 if red else 1};{100 * sum(job.ended for job in jobs) // max(1, len(jobs))}\x07"
