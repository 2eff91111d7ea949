"""The live picture of runs as lines that fit a screen: what runs now first, the rest counted. Pure."""

from __future__ import annotations

from sparki_cli.render import STATUS, Output, duration, printable, visible
from sparki_cli.view import RED, JobView, RunView

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_ASCII = "-\\|/"
ENDED_STEPS = 3  # of a running job, the last ended steps that are shown while there is room


def picture(output: Output, views: list[RunView], now_ms: int, *, width: int, height: int, frame: int) -> list[str]:
    """At most `height` lines of at most `width` columns.

    A run is a line, and so is each of its jobs while they fit; running jobs show their steps while those fit. What does not fit is
    counted by status. Red jobs and running ones are kept longest.
    """
    blocks = [_Block(output, view, now_ms, frame) for view in views]
    for detail in range(4):  # from everything to a line a run
        lines = [line for block in blocks for line in block.lines(detail, room=max(1, (height - len(blocks)) // len(blocks)))]
        if len(lines) <= height:
            break
    return [fitted(line, width) for line in lines[:height]]


class _Block:
    """One run's part of the picture."""

    def __init__(self, output: Output, view: RunView, now_ms: int, frame: int) -> None:
        self.output = output
        self.view = view
        self.now_ms = now_ms
        self.frame = frame

    def lines(self, detail: int, *, room: int) -> list[str]:
        """`detail` 0: jobs with their steps; 1: jobs with the running step; 2: the jobs that matter in `room` lines; 3: the run alone."""
        jobs = list(self.view.jobs.values())
        if detail == 3 or not jobs:
            return [self._head()]
        if detail < 2:
            return [self._head(), *(line for job in jobs for line in self._job(job, steps=detail == 0))]
        keep = sorted(jobs, key=lambda job: (job.status not in RED, job.status != "running"))[: max(0, room - 1)]
        keep = [job for job in keep if job.status in RED or job.status == "running"]
        shown = [line for job in jobs if job in keep for line in self._job(job, steps=False)]
        return [self._head(), *shown, "  " + self._counts([job for job in jobs if job not in keep])]

    def _head(self) -> str:
        view, output = self.view, self.output
        text = f"{self._glyph(view.status)} {output.styled(printable(view.pipeline), 'bold')} {view.run}"
        return f"{text}  {output.styled(duration(view.duration_ms(self.now_ms)), 'dim')}"

    def _job(self, job: JobView, *, steps: bool) -> list[str]:
        output = self.output
        text = f"  {self._glyph(job.status)} {printable(job.name)}"
        if job.status not in ("success", "running", "queued"):
            text += f"  {output.status(job.status)}" + (f" ({printable(job.reason)})" if job.reason else "")
        if job.started_ms:
            text += "  " + output.styled(duration(job.duration_ms(self.now_ms)), "dim")
        if job.status != "running":
            return [text]
        step = job.running_step()
        running = self._took(step.name, max(0, self.now_ms - step.started_ms)) if step else ""
        if not steps:
            return [f"{text}  {output.styled('>', 'dim')} {running}" if step else text]
        ended = [each for each in job.steps.values() if each.status not in ("running", "skipped")][-ENDED_STEPS:]
        lines = [f"      {output.glyph(each.status)} {self._took(each.name, each.duration_ms)}" for each in ended]
        said = f"  {output.styled(job.last_line, 'dim')}" if job.last_line else ""
        return [text, *lines, *([f"      {self._glyph('running')} {running}{said}"] if step else [])]

    def _took(self, name: str, ms: int) -> str:
        """A step's name and time."""
        return f"{printable(name)} {self.output.styled(duration(ms), 'dim')}"

    def _glyph(self, status: str) -> str:
        """The status' glyph; what runs turns."""
        if status != "running":
            return self.output.glyph(status)
        spinner = SPINNER_ASCII if self.output.ascii_only else SPINNER
        return self.output.styled(spinner[self.frame % len(spinner)], "cyan")

    def _counts(self, jobs: list[JobView]) -> str:
        counts: dict[str, int] = {}
        for job in jobs:
            counts[job.status] = counts.get(job.status, 0) + 1
        parts = [f"{self.output.glyph(status)} {counts[status]} {status}" for status in STATUS if status in counts]
        return "  ".join(parts)


def fitted(line: str, width: int) -> str:
    """`line` cut to `width` columns; styles cost no column, and end with the line."""
    if visible(line) <= width:
        return line
    out: list[str] = []
    used, at, styled = 0, 0, False
    while at < len(line):
        if line.startswith("\x1b[", at):
            end = line.index("m", at) + 1
            out.append(line[at:end])
            at, styled = end, True
            continue
        used += visible(line[at])
        if used > width:
            break
        out.append(line[at])
        at += 1
    return "".join(out) + ("\x1b[0m" if styled else "")


def plain_words(text: str) -> str:
    """The last line of `text` with something on it, its control sequences removed: it may not move the cursor in the picture."""
    for line in reversed(text.split("\n")):
        last = line.rstrip("\r").rpartition("\r")[2].strip()
        if not last:
            continue
        if "\x1b" in last:
            import re  # noqa: PLC0415  # only coloured output needs it

            last = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)", "", last)
        return "".join(c if c.isprintable() else " " for c in last)
    return ""
