"""`sparki logs`: the text that jobs wrote, as it lies on disk or as it comes."""

from __future__ import annotations

import json

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_daemon.client.engine import Engine


def logs(output: Output, *, run: str, job: str | None, follow: bool, step: str | None, directory: str | None) -> int:
    """Print a run's log, or that of one job, or of one step; with `follow` to its end."""
    engine = connect(output)
    shown = engine.show_run(run, own_directory(directory))
    jobs = [chosen_job(shown, job)] if job is not None else shown["jobs"]
    if step is not None:
        known = [each for one in jobs for each in one["steps"]]
        if known or not follow:
            chosen_step(known, step)  # a step that no job has is a mistake, and told before anything is printed
    if output.as_json:
        _json_lines(output, engine, shown["id"], job and jobs[0]["id"], step=step, follow=follow)
    elif follow or step is not None:
        _text_lines(output, engine, shown["id"], jobs, step=step, follow=follow)
    else:
        for one in jobs:
            _whole(output, engine, one, titled=len(jobs) > 1)
    return 0


def chosen_job(shown: dict[str, Any], name: str) -> dict[str, Any]:
    """The run's job with that id, or that name. Raises SparkiError `no_such_job`."""
    for key in ("id", "name", "uid"):
        for job in shown["jobs"]:
            if job[key] == name:
                return dict(job)
    raise _none("no_such_job", f"run {shown['id']} has no job '{name}'", name, [job["id"] for job in shown["jobs"]])


def chosen_step(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The first step with that name, id, or number from 1. Raises SparkiError `no_such_step`."""
    for step in steps:
        if matches_step(step["name"], step.get("id") or "", step["index"], name):
            return step
    raise _none("no_such_step", f"there is no step '{name}'", name, [step["name"] for step in steps])


def matches_step(name: str, step_id: str, index: int, wanted: str) -> bool:
    """Whether a step is the wanted one: by its name, its id, or its number from 1."""
    return wanted in (name, step_id) or (wanted.isdigit() and int(wanted) == index + 1)


def _whole(output: Output, engine: Engine, job: dict[str, Any], *, titled: bool) -> None:
    """A job's log byte by byte."""
    if titled:
        output.line(output.styled(f"== {job['name']} ({job['status']}) ==", "bold"))
    last = b"\n"
    for data in engine.log_bytes(job["uid"]):
        output.raw_bytes(data)
        last = data[-1:]
    if last != b"\n" and titled:
        output.line()


def _json_lines(output: Output, engine: Engine, run: str, job: str | None, *, step: str | None, follow: bool) -> None:
    for line in engine.lines(run, job, follow=follow):
        if step is not None:
            item = json.loads(line)
            if not matches_step(item["step"], "", item.get("index", -1), step):
                continue
        output.raw_bytes(line + b"\n")


def _text_lines(output: Output, engine: Engine, run: str, jobs: list[dict[str, Any]], *, step: str | None, follow: bool) -> None:
    several = len(jobs) > 1
    width = max(len(job["id"]) for job in jobs) if jobs else 0
    for line in engine.lines(run, None if several else jobs[0]["id"], follow=follow):
        item = json.loads(line)
        if step is not None and not matches_step(item["step"], "", item.get("index", -1), step):
            continue
        prefix = output.styled(f"{item['job']:<{width}} {output.bar} ", "cyan") if several else ""
        output.line(prefix + item["text"])


def _none(code: str, message: str, name: str, known: list[str]) -> Exception:
    from difflib import get_close_matches  # noqa: PLC0415  # only errors need these

    from sparki_daemon.model.problem import ExitCode, Problem, SparkiError  # noqa: PLC0415

    near = get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known[:10])}" if known else ""
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=ExitCode.NOT_FOUND)
