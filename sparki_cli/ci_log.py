"""Prints the logs of jobs that run beside each other as one that can be read: one job after the other, a group a step.

The job in front is printed as it goes; what the others say waits in their log files until theirs is the turn.
"""

from __future__ import annotations

import time

from sparki_cli.failing import MOST, in_short, said
from sparki_cli.render import duration, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sparki_cli.ci_hosts import Host

READ_BYTES = 256 * 1024
MARK = "▸ ".encode()  # before the title that the runner writes into the log: the group has it already


class _Step:
    """A step: where its text lies in the log, and how it ended."""

    def __init__(self, name: str, begin: int) -> None:
        self.name = name
        self.begin = begin
        self.ended: dict[str, Any] | None = None


class _Job:
    """A job that has begun and is not printed to its end."""

    def __init__(self, uid: str, path: str, label: str) -> None:
        self.uid = uid
        self.path = path
        self.label = label
        self.steps: list[_Step] = []  # not printed to their ends; a group is open for the first once `open`
        self.count = 0
        self.open = False
        self.titled = False  # the title that the runner wrote was left out
        self.at = 0  # bytes of the log that were printed
        self.ended: dict[str, Any] | None = None


class CiLog:
    """Takes events and growth, writes text. `write` takes bytes; `token` makes marks that no step can guess."""

    def __init__(self, host: Host, write: Callable[[bytes], None], token: str) -> None:
        self._host = host
        self._write = write
        self._token = token
        self._jobs: dict[str, _Job] = {}  # in the order in which they began; the first is in front
        self._line_open = False

    def started(self, uid: str, path: str, label: str) -> None:
        """A job has begun, with its log at `path`."""
        self._jobs[uid] = _Job(uid, path, label)

    def step_started(self, uid: str, data: dict[str, Any]) -> None:
        if job := self._jobs.get(uid):
            job.steps.append(_Step(data["name"], data["from"]))
            self.grew(uid)

    def step_finished(self, uid: str, data: dict[str, Any]) -> None:
        """A step has ended. One that was skipped never began, and is not told."""
        if (job := self._jobs.get(uid)) and job.steps and data["conclusion"] != "skipped":
            job.steps[-1].ended = data
            self.grew(uid)

    def finished(self, uid: str, data: dict[str, Any]) -> None:
        """A job has ended; one that never began has only an end."""
        if job := self._jobs.get(uid):
            job.ended = data
            self._go_on()
        else:
            self._tell_end(data)

    def grew(self, uid: str) -> None:
        """There may be more to print of the job; nothing happens unless it is in front."""
        if next(iter(self._jobs), None) == uid:
            self._go_on()

    def end(self) -> None:
        """Print what was held back: nothing more comes."""
        for job in list(self._jobs.values()):
            job.ended = job.ended or {}
        self._go_on()

    # -- printing ------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        while self._jobs:
            job = next(iter(self._jobs.values()))
            self._print(job)
            if job.ended is None:
                return
            del self._jobs[job.uid]
            if job.ended:
                self._tell_end(job.ended)

    def _print(self, job: _Job) -> None:
        while job.steps:
            step = job.steps[0]
            if not job.open:
                self._copy(job, step.begin)  # the runner's own words between two steps
                self._open(job, step)
            if step.ended is None and job.ended is None:
                self._follow(job)
                return
            self._copy(job, step.ended["to"] if step.ended else None)
            self._close(job, step)
            job.steps.pop(0)
        if job.ended is not None:
            self._copy(job, None)
            self._end_line()

    def _open(self, job: _Job, step: _Step) -> None:
        self._end_line()
        job.count += 1
        title = f"{job.label} / {printable(step.name)}"
        self._say(self._host.open(self._key(job), title, int(time.time())) + self._host.guard(self._token))
        job.open, job.titled = True, False

    def _close(self, job: _Job, step: _Step) -> None:
        self._end_line()
        ended = step.ended or {}
        red = ended.get("conclusion") in ("failure", "cancelled")
        text = self._host.unguard(self._token)
        if red:
            text += self._host.failed()
        self._say(text + self._host.close(self._key(job), int(time.time())))
        job.open = False
        for remark in ended.get("annotations", ()):
            self._say(self._host.annotation(remark["level"], printable(remark["message"], keep="\n\t"), remark))
        if ended.get("outcome") == "failure":
            self._tell_failure(job, step, ended)

    def _tell_failure(self, job: _Job, step: _Step, ended: dict[str, Any]) -> None:
        code = ended.get("exit_code")
        why = ended.get("reason") or (f"exit code {code}" if code is not None else "failed")
        level = "error" if ended["conclusion"] == "failure" else "warning"
        message = f"{job.label} / {step.name}: {why}" + ("" if level == "error" else " (goes on: continue-on-error)")
        self._say(self._host.annotation(level, printable(message), {}))

    def _key(self, job: _Job) -> str:
        return f"sparki_{''.join(c if c.isalnum() and c.isascii() else '_' for c in job.uid)}_{job.count}"

    def _copy(self, job: _Job, end: int | None) -> None:
        """Print the log up to `end`, or all that there is."""
        try:
            file = open(job.path, "rb")  # noqa: SIM115  # closed below; it may not be there yet
        except OSError:
            return
        with file:
            file.seek(job.at)
            while end is None or job.at < end:
                data = file.read(READ_BYTES if end is None else min(READ_BYTES, end - job.at))
                if not data:
                    return
                job.at += len(data)
                self._show(job, data)

    def _follow(self, job: _Job) -> None:
        """Print the whole lines that a running step has written.

        The next step's text may be there before we hear that this one has ended: no further than a line that may be its title.
        """
        try:
            with open(job.path, "rb") as file:
                file.seek(job.at)
                while data := file.read(READ_BYTES):
                    whole = data[: data.rfind(b"\n") + 1]
                    skip = whole.find(b"\n", 1) + 1 if not job.titled else 0  # this step's own title
                    title = (b"\n" + whole).find(b"\n" + MARK, skip)
                    whole = whole[:title] if title >= 0 else whole
                    if not whole:
                        return
                    job.at += len(whole)
                    self._show(job, whole)
                    file.seek(job.at)
        except FileNotFoundError:
            return

    def _show(self, job: _Job, data: bytes) -> None:
        if job.open and not job.titled:
            job.titled = True
            if data.startswith(b"\n"):  # the text before it ended without a line end
                data = data[1:]
            if data.startswith(MARK):
                data = data.partition(b"\n")[2]
        if data:
            self._line_open = not data.endswith(b"\n")
            self._write(self._host.text(data))

    def _tell_end(self, data: dict[str, Any]) -> None:
        self._end_line()
        status, reason = data.get("status", ""), data.get("reason") or ""
        self._tell_tests(data)
        tolerated = ", tolerated" if data.get("tolerated") and status == "failure" else ""
        why = f" ({printable(reason)})" if reason else ""
        took = f" in {duration(data['took_ms'])}" if data.get("took_ms") is not None else ""
        tests = f", {told}" if (told := in_short(data.get("tests"))) else ""
        self._say(f"{data['label']}: {status}{tolerated}{tests}{why}{took}\n")

    def _tell_tests(self, data: dict[str, Any]) -> None:
        """Name the tests that failed, each at its place: as errors where they made the job fail."""
        tests = data.get("tests") or {"failing": (), "failed": 0}
        level = "error" if data.get("status") == "failure" and not data.get("tolerated") else "warning"
        for test in tests["failing"][:MOST]:
            self._say(self._host.annotation(level, printable(said(test)), {name: test[name] for name in ("file", "line") if test[name]}))
        if tests["failed"] > MOST:
            self._say(f"{data['label']}: {tests['failed'] - MOST} more tests failed\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._line_open = False
            self._write(b"\n")

    def _say(self, text: str) -> None:
        if text:
            self._write(text.encode("utf-8", "backslashreplace"))
