"""Where a watched run goes: nothing said, events as JSON lines, or plain text; the live picture is `sparki_cli.live`."""

# ruff: noqa: ARG002  # each sink uses what it needs of one signature

from __future__ import annotations

import time

from sparki_cli.failing import in_short
from sparki_cli.render import Output, duration, printable
from sparki_cli.view import JobView, RunView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEARTBEAT_S = 30.0
PREFIX_LIMIT = 28  # columns of a job's name before its text
HELD_CHARACTERS = 256 * 1024  # a line without an end is held back so far: it costs memory, and time by its square


class Sink:
    """Says nothing but what must be said: `-q`."""

    wants_text = False  # log text
    wants_jobs = False  # to know every job before the first event
    tick_s: float | None = None  # how often `tick` must be called at least

    def __init__(self, output: Output) -> None:
        self.output = output

    def begin(self, views: list[RunView]) -> None: ...

    def event(self, view: RunView, event: dict[str, Any], line: bytes) -> None: ...

    def text(self, view: RunView, log: dict[str, Any]) -> None: ...

    def tick(self) -> None: ...

    def say(self, text: str) -> None:
        self.output.note(text)

    def make_room(self) -> None:
        """Leave the terminal to somebody else for a while."""

    def end(self) -> None: ...


class JsonSink(Sink):
    """Each event on its line as the engine sent it."""

    def event(self, view: RunView, event: dict[str, Any], line: bytes) -> None:
        self.output.json_lines([line])


class PlainSink(Sink):
    """Log text line by line, each behind its job's name where there are several; steps and jobs as they end."""

    wants_text = True
    wants_jobs = True

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._unfinished: dict[str, str] = {}  # by a job's uid: its last line, which has no end yet
        self._open = False  # a part of such a line was printed, as it is
        self._prefixes: dict[str, str] = {}  # by a job's uid
        self._width = 0
        self._single = False
        self._views: list[RunView] = []
        self._spoke_s = time.monotonic()
        if output.terminal and output.accessible:
            self.tick_s = HEARTBEAT_S

    def begin(self, views: list[RunView]) -> None:
        self._views = views
        names = [self._label(view, job.key) for view in views for job in view.jobs.values()]
        self._single = len(names) == 1
        self._width = min(PREFIX_LIMIT, max((len(name) for name in names), default=0))

    def event(self, view: RunView, event: dict[str, Any], line: bytes) -> None:
        kind, data = event["kind"], event["data"]
        if kind == "step.finished":
            self._flush(view, data["job"], data.get("uid", ""))
            if data["conclusion"] != "skipped" or self.output.verbose:
                self._print(self._prefix(view, data["job"], data.get("uid", "")) + self._step(data) + "\n")
        elif kind == "job.finished":
            self._flush(view, data["job"], data.get("uid", ""))
            self._print(self._job(view, view.jobs[data["job"]]) + "\n")
        elif kind == "run.cancelling":
            self.say(f"{view.run} is being cancelled")

    def text(self, view: RunView, log: dict[str, Any]) -> None:
        uid = log["uid"]
        text = self._unfinished.pop(uid, "") + log["text"]
        whole, newline, rest = text.rpartition("\n")
        if len(rest) > HELD_CHARACTERS:
            self._print_part(view, log["job"], uid, text)
            return
        if rest:
            self._unfinished[uid] = rest
        if newline:
            self._open = False
            prefix = self._prefix(view, log["job"], uid)
            self._print(prefix + whole.replace("\n", "\n" + prefix) + "\n" if prefix else whole + "\n")

    def _print_part(self, view: RunView, job: str, uid: str, text: str) -> None:
        """Print text whose last line is too long to wait for its end: as it is where nothing else is told, else cut into lines."""
        prefix = self._prefix(view, job, uid)
        self._open = not prefix
        self._print(prefix + text.replace("\n", "\n" + prefix) + "\n" if prefix else text)

    def tick(self) -> None:
        if self.tick_s is None or time.monotonic() - self._spoke_s < self.tick_s:
            return
        now_ms = int(time.time() * 1000)
        for view in self._views:
            jobs = [job for job in view.jobs.values() if job.status == "running"]
            running = ", ".join(f"{printable(job.name)} {duration(job.duration_ms(now_ms))}" for job in jobs)
            self._print(f"{printable(view.pipeline)}: still running: {running or 'nothing yet'}\n")

    def _print(self, text: str) -> None:
        self._spoke_s = time.monotonic()
        self.output.raw(text)

    def _flush(self, view: RunView, job: str, uid: str) -> None:
        """Print a last line that never got its end."""
        rest = self._unfinished.pop(uid, "")
        if rest or self._open:
            self._open = False
            self._print(self._prefix(view, job, uid) + rest + "\n")

    def _label(self, view: RunView, key: str) -> str:
        return printable(f"{view.pipeline}/{key}" if len(self._views) > 1 else key)

    def _prefix(self, view: RunView, key: str, uid: str) -> str:
        if self._single:
            return ""
        prefix = self._prefixes.get(uid)
        if prefix is None:
            label = self._label(view, key)
            if len(label) > PREFIX_LIMIT:
                label = "…" + label[1 - PREFIX_LIMIT :] if not self.output.ascii_only else label[-PREFIX_LIMIT:]
            style = ("cyan", "yellow", "blue", "green")[len(self._prefixes) % 4]
            prefix = self._prefixes[uid] = self.output.styled(f"{label:<{self._width}} {self.output.bar} ", style)
        return prefix

    def _step(self, data: dict[str, Any]) -> str:
        code = data.get("exit_code")
        why = printable(data.get("reason") or "") or (f"exit code {code}" if code else "")
        tail = self._tail(data["conclusion"], why, data.get("duration_ms") or 0)
        return f"{self.output.glyph(data['conclusion'])} {printable(data['name'])} {tail}"

    def _job(self, view: RunView, job: JobView) -> str:
        name = f"{view.pipeline} / {job.name}" if len(self._views) > 1 else job.name
        return f"{self.output.glyph(job.status)} {printable(name)}: {job_status(self.output, job)}"

    def _tail(self, status: str, why: str, ms: int) -> str:
        parts = [status] if status != "success" else []
        parts += [why] if why and why != status else []
        parts += [duration(ms)] if status != "skipped" else []
        return self.output.styled("(" + ", ".join(parts) + ")", "dim") if parts else ""


def job_status(output: Output, job: JobView) -> str:
    """A job's status in words: what, why, how long."""
    text = output.status(job.status)
    if job.tolerated and job.status == "failure":
        text += ", tolerated"
    if job.cached:
        text += ", cached"
    if tests := in_short(job.tests):
        text += f", {tests}"
    if job.reason:
        text += f" ({printable(job.reason)})"
    if job.started_ms and not job.cached:
        text += "  " + output.styled(duration(job.duration_ms(job.finished_ms)), "dim")
    return text
