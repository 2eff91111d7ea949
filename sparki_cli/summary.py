"""What stays on the terminal when a run has ended: a line a job, failures last, each with the lines that say why."""

from __future__ import annotations

from sparki_cli.failing import failing
from sparki_cli.render import Output, duration, printable
from sparki_cli.sink import job_status
from sparki_cli.view import RED, JobView, RunView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GREEN_LIMIT = 20  # more green jobs than this are counted, not listed
EXCERPT_LINES = 20


def summary(output: Output, view: RunView, excerpts: list[dict[str, Any]]) -> str:
    """The summary of one run; `excerpts` are those of its failed steps, as the engine tells them."""
    red = [job for job in view.jobs.values() if job.status in RED and not job.tolerated]
    green = [job for job in view.jobs.values() if job not in red]
    red.sort(key=lambda job: job.status != "cancelled")  # what fail-fast cancelled explains nothing: what failed stands last
    lines = [] if output.quiet else ["", *_green(output, green)]
    for job in red:
        lines.append(f"  {output.glyph(job.status)} {printable(job.name)}  {job_status(output, job)}")
        named = [f"      {line}" for line in failing(output, job.tests, job.remarks)]
        lines += [*named, *_why(output, [excerpt for excerpt in excerpts if excerpt["job"] == job.key], EXCERPT_LINES - len(named))]
    reason = f" ({printable(view.reason)})" if view.reason and view.reason != view.status else ""
    took = f"  {duration(view.duration_ms(view.finished_ms))}" if view.finished_ms else ""
    name = output.styled(printable(view.pipeline), "bold")
    lines.append(f"{output.glyph(view.status)} {name}  {output.status(view.status)}{reason}{took}  {view.run}")
    lines += _look_further(output, view, red)
    return "\n".join(lines) + "\n"


def _green(output: Output, jobs: list[JobView]) -> list[str]:
    if len(jobs) <= GREEN_LIMIT:
        return [f"  {output.glyph(job.status)} {printable(job.name)}  {job_status(output, job)}" for job in jobs]
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    return [f"  {output.glyph(status)} {count} jobs  {output.status(status)}" for status, count in counts.items()]


def _why(output: Output, excerpts: list[dict[str, Any]], most: int) -> list[str]:
    lines = []
    for excerpt in excerpts:
        code = excerpt.get("exit_code")
        why = excerpt.get("reason") or (f"exit code {code}" if code is not None else "failed")
        if excerpt.get("name"):
            lines.append(f"      {printable(excerpt['name'])}: {printable(why)}")
        lines += [f"      {output.styled(output.bar, 'red')} {line}" for line in excerpt["lines"][-most:]]
    return lines


def _look_further(output: Output, view: RunView, red: list[JobView]) -> list[str]:
    if not red:
        return []
    first = next((job for job in red if job.status != "cancelled"), red[0])
    word = first.key if printable(first.key) == first.key else first.uid  # what is written out is no name that a command takes
    commands = [f"sparki logs {view.run} {quoted(word)}", f"sparki retry {view.run} --failed"]
    return [output.styled("  " + command, "dim") for command in commands]


def quoted(word: str) -> str:
    """`word` as a shell takes it."""
    if word and all(c.isalnum() or c in "-_./" for c in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
