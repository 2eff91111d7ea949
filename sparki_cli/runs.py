"""`sparki runs`, `show` and `cancel`: look at runs that are there, and end them."""

from __future__ import annotations

import time

from sparki_cli.connect import connect, own_directory
from sparki_cli.failing import failed_remarks, failing, in_short
from sparki_cli.render import WHITE, Output, duration, printable
from sparki_cli.view import ENDED, milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def list_runs(output: Output, *, limit: int, everywhere: bool, flaky: bool, slow: bool, expensive: bool, directory: str | None) -> int:
    """The newest runs of this repository, or of all; or what past runs tell of its jobs."""
    here = own_directory(directory)
    aspects = [name for name, asked in (("flaky", flaky), ("slow", slow), ("expensive", expensive)) if asked]
    if aspects:
        return _past(output, aspects, None if everywhere else here, limit)
    runs = connect(output).list_runs(None if everywhere else here, limit)
    if output.as_json:
        output.document({"runs": runs})
    elif runs:
        now_ms = int(time.time() * 1000)
        output.table([_row(output, run, now_ms, everywhere=everywhere) for run in runs], _header(everywhere=everywhere))
    else:
        output.note("no runs yet: `sparki run` starts one")
    return 0


def _past(output: Output, aspects: list[str], directory: str | None, limit: int) -> int:
    from sparki_cli.history import tell_jobs  # noqa: PLC0415  # a list of runs does not pay for it

    if len(aspects) > 1:
        from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # as above

        message = "one of --flaky, --slow and --expensive at a time"
        raise SparkiError(Problem(code="wrong_usage", message=message))
    tell_jobs(output, aspects[0], connect(output).job_history(aspects[0], directory, limit))
    return 0


def show(output: Output, *, run: str, directory: str | None) -> int:
    """A run with its jobs and steps, and what those before it say of it; or a deployment."""
    if run.startswith("d-"):
        from sparki_cli.deployments import show as show_deployment  # noqa: PLC0415  # a run does not pay for it

        return show_deployment(output, run)
    engine = connect(output)
    shown = engine.show_run(run, own_directory(directory))
    past = engine.run_history(shown["id"]) if shown["status"] in ENDED else None
    if output.as_json:
        output.document({**shown, "history": past})
        return 0
    output.raw(picture_of(output, shown, int(time.time() * 1000)))
    if past and any(past.values()):
        from sparki_cli.history import of_run  # noqa: PLC0415  # most runs are as always

        output.raw("".join(line + "\n" for line in of_run(output, past, shown["id"])))
    return 0


def cancel(output: Output, *, run: str, force: bool, keep: bool, directory: str | None) -> int:
    """Ask a run or a deployment to end; it is ending when this comes back."""
    if run.startswith("d-"):
        from sparki_cli.deployments import cancel as cancel_deployment  # noqa: PLC0415  # a run does not pay for it

        return cancel_deployment(output, run, keep=keep)
    engine = connect(output)
    name = engine.show_run(run, own_directory(directory))["id"]
    answer = engine.cancel_run(name, force=force)
    if output.as_json:
        output.document(answer)
    else:
        output.line(f"{answer.get('id', name)} is being {'ended' if force else 'cancelled'}")
    return 0


def picture_of(output: Output, shown: dict[str, Any], now_ms: int) -> str:
    """The lines of `sparki show`."""
    source = shown.get("source") or {}
    what = " ".join(part for part in (printable(source.get("branch") or ""), _commit(source)) if part)
    attempt = f", attempt {shown['attempt']}" if shown.get("attempt", 1) > 1 else ""
    status = f"{output.status(shown['status'])}{_reason(shown)}"
    lines = [
        f"{output.glyph(shown['status'])} {output.styled(printable(shown['pipeline']), 'bold')}  {status}  {_took(output, shown, now_ms)}",
        f"  {shown['id']}{attempt}  {what}  {output.styled(age(shown['created'], now_ms), 'dim')}",
        *([f"  {printable(shown['title'])}"] if shown.get("title") else []),  # `run-name`, else what brought the run
        *([f"  deployed by {', '.join(shown['deployments'])}"] if shown.get("deployments") else []),
    ]
    for job in shown["jobs"]:
        lines += _failing(output, job)
    for job in shown["jobs"]:
        tolerated = ", tolerated" if job.get("tolerated") and job["status"] == "failure" else ""
        cached = ", cached" if job.get("cached") else ""
        tests = f", {told}" if (told := in_short(job.get("tests"))) else ""
        status = f"{output.status(job['status'])}{tolerated}{cached}{tests}{_reason(job)}"
        lines.append(f"  {output.glyph(job['status'])} {printable(job['name'])}  {status}  {_took(output, job, now_ms)}".rstrip())
        for step in job["steps"]:
            lines += [_step(output, step), *(f"        {_remark(output, remark)}" for remark in step.get("annotations", ()))]
    for job in shown["jobs"]:
        lines += _summary(output, job)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _failing(output: Output, job: dict[str, Any]) -> list[str]:
    """The failing tests of a job, under a line that names it."""
    named = failing(output, job.get("tests"), failed_remarks(job["steps"]))
    warned = [f"    {output.styled('warning', 'yellow')} {printable(text)}" for text in (job.get("tests") or {}).get("warnings", ())]
    title = [f"  {output.styled('failing in', 'red')} {printable(job['name'])}"] if named else []
    return [*title, *(f"    {line}" for line in named), *warned]


def _summary(output: Output, job: dict[str, Any]) -> list[str]:
    """The Markdown that a job's steps wrote, under a line that names the job."""
    text = (job.get("summary") or "").strip()
    return ["", output.styled(f"summary of {printable(job['name'])}", "bold"), *_lines(text)] if text else []


def _lines(text: str) -> list[str]:
    return [printable(line, keep=WHITE) for line in text.splitlines()]


def _remark(output: Output, remark: dict[str, Any]) -> str:
    """An annotation on one line: level, place, title, text."""
    place = ":".join(str(part) for part in (remark.get("file"), remark.get("line"), remark.get("column")) if part)
    colour = {"error": "red", "warning": "yellow"}.get(remark["level"], "dim")
    said = [place, remark.get("title"), " ".join(remark["message"].split())]
    return " ".join([output.styled(remark["level"], colour), *(printable(part) for part in said if part)])


def _step(output: Output, step: dict[str, Any]) -> str:
    status = step.get("conclusion") or step["status"]
    parts = [] if status in ("success", "running", "skipped") else [status]
    if step.get("exit_code"):
        parts.append(f"exit code {step['exit_code']}")
    if step.get("duration_ms") is not None and status != "skipped":
        parts.append(duration(step["duration_ms"]))
    return f"      {output.glyph(status)} {printable(step['name'])} {output.styled(', '.join(parts), 'dim')}"


def _header(*, everywhere: bool) -> tuple[str, ...]:
    columns = ("RUN", "STATUS", "PIPELINE", "SOURCE", "TOOK", "CREATED")
    return (*columns, "WHERE") if everywhere else columns


def _row(output: Output, run: dict[str, Any], now_ms: int, *, everywhere: bool) -> tuple[str, ...]:
    source = run.get("source") or {}
    what = " ".join(part for part in (printable(source.get("branch") or ""), _commit(source)) if part)
    status = f"{output.glyph(run['status'])} {output.status(run['status'])}"
    row = (run["id"], status, printable(run["pipeline"]), what, _took(output, run, now_ms), age(run["created"], now_ms))
    return (*row, printable(run.get("directory") or "")) if everywhere else row


def _commit(source: dict[str, Any]) -> str:
    """A commit's short name; a `+` says that the tree had more than it."""
    commit = str(source.get("commit") or "")[:7]
    return commit + "+" if commit and source.get("dirty") else commit


def _reason(part: dict[str, Any]) -> str:
    reason = part.get("reason")
    return f" ({printable(reason)})" if reason and reason != part["status"] else ""


def _took(output: Output, part: dict[str, Any], now_ms: int) -> str:
    started, finished = part.get("started"), part.get("finished")
    if not started or (part["status"] in ENDED and not finished):
        return ""
    return output.styled(duration((milliseconds(finished) if finished else now_ms) - milliseconds(started)), "dim")


def age(time_text: str, now_ms: int) -> str:
    """How long ago, in the largest unit that says something."""
    seconds = max(0, now_ms - milliseconds(time_text)) // 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"
