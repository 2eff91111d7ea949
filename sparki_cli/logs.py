"""`sparki logs`: the text that jobs wrote, as it lies on disk or as it comes."""

from __future__ import annotations

import json

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sparki_daemon.client.engine import Engine


def logs(output: Output, *, run: str, job: str | None, follow: bool, step: str | None, directory: str | None) -> int:
    """Print a run's log, or that of one job, or of one step, or a deployment's; with `follow` to its end."""
    if run.startswith("d-"):
        from sparki_cli.deploy_log import logs as deployment_logs  # noqa: PLC0415  # a run does not pay for it

        return deployment_logs(output, run, follow=follow)
    engine = connect(output)
    shown = engine.show_run(run, own_directory(directory))
    jobs = [chosen_job(shown, job)] if job is not None else shown["jobs"]
    wanted = Wanted(step, jobs) if step is not None else None
    if wanted and not wanted.known and not follow:  # a step that no job has is a mistake, and told before anything is printed
        names = [each["name"] for one in jobs for each in one["steps"]]
        raise _none("no_such_step", f"there is no step '{step}'", wanted.word, names)
    key = jobs[0]["id"] if job is not None else None
    if output.as_json:
        told = _json_lines(output, engine.lines(shown["id"], key, follow=follow), wanted)
    elif follow and (wanted or len(jobs) > 1):
        told = _text_lines(output, engine.lines(shown["id"], key, follow=True), wanted, [] if key else [each["id"] for each in jobs])
    elif wanted:
        told = _ranges(output, engine, jobs, wanted)
    else:
        told = sum([_whole(output, engine, one, titled=len(jobs) > 1, follow=follow) for one in jobs])
    if not told and _wrote(jobs, wanted):
        raise _dropped(shown["id"])
    return 0


def _wrote(jobs: list[dict[str, Any]], wanted: Wanted | None) -> bool:
    """Whether, by their steps, there was text: a run's logs may go long before the run does."""
    asked = [step for job in jobs for step in job["steps"] if wanted is None or (job["id"], step["index"]) in wanted.known]
    return any((step.get("to") or 0) > (step.get("from") or 0) for step in asked)


class Wanted:
    """The steps that a word names: by their name, their id, or their number from 1 in the job."""

    def __init__(self, word: str, jobs: list[dict[str, Any]]) -> None:
        self.word = word
        self._index = int(word) - 1 if word.isdigit() and int(word) else None  # those before the first have no number
        self.known = {(job["id"], step["index"]) for job in jobs for step in job["steps"] if self._names(step)}

    def _names(self, step: dict[str, Any]) -> bool:
        return self.word in (step["name"], step.get("id")) or step["index"] == self._index

    def holds(self, line: dict[str, Any]) -> bool:
        """Whether a line of the log is of such a step; one that began after the run was looked at has its name and number only."""
        by_number = self._index is not None and line.get("index") == self._index
        return by_number or (line["job"], line.get("index")) in self.known or line["step"] == self.word


def chosen_job(shown: dict[str, Any], name: str) -> dict[str, Any]:
    """The run's job with that id, or that name. Raises SparkiError `no_such_job`."""
    for key in ("id", "name", "uid"):
        for job in shown["jobs"]:
            if job[key] == name:
                return dict(job)
    raise _none("no_such_job", f"run {shown['id']} has no job '{name}'", name, [job["id"] for job in shown["jobs"]])


def _ranges(output: Output, engine: Engine, jobs: list[dict[str, Any]], wanted: Wanted) -> int:
    """The bytes of the wanted steps; of one that runs, what there is. How many there were, as all of these give it."""
    told = 0
    for job in jobs:
        for step in job["steps"]:
            if (job["id"], step["index"]) in wanted.known and step.get("from") is not None:
                for data in engine.log_bytes(job["uid"], step["from"], step.get("to")):
                    output.raw_bytes(data)
                    told += len(data)
    return told


def _whole(output: Output, engine: Engine, job: dict[str, Any], *, titled: bool, follow: bool) -> int:
    """A job's log byte by byte."""
    told = 0
    if titled:
        output.line(output.styled(f"== {printable(job['name'])} ({job['status']}) ==", "bold"))
    last = b"\n"
    for data in engine.log_bytes(job["uid"], follow=follow):
        output.raw_bytes(data)
        last = data[-1:]
        told += len(data)
    if last != b"\n" and titled:
        output.line()
    return told


def _json_lines(output: Output, batches: Iterator[list[bytes]], wanted: Wanted | None) -> int:
    told = 0
    for lines in batches:
        kept = [line for line in lines if wanted.holds(json.loads(line))] if wanted else lines
        output.json_lines(kept)
        told += len(kept)
    return told


def _text_lines(output: Output, batches: Iterator[list[bytes]], wanted: Wanted | None, names: list[str]) -> int:
    """Print text, each line behind its job's name when there are several `names`."""
    told = 0
    width = max((len(printable(name)) for name in names), default=0)
    for lines in batches:
        text = []
        for item in map(json.loads, lines):
            if wanted is None or wanted.holds(item):
                prefix = output.styled(f"{printable(item['job']):<{width}} {output.bar} ", "cyan") if len(names) > 1 else ""
                text.append(f"{prefix}{item['text']}\n")
        output.raw("".join(text))
        told += len(text)
    return told


def _dropped(run: str) -> Exception:
    from sparki_daemon.model.problem import ExitCode, Problem, SparkiError  # noqa: PLC0415  # only errors need these

    hint = "the oldest logs go first: `retention` in sparki.yml says how much is kept"
    problem = Problem(code="log_dropped", message=f"the log of run {run} is no longer kept", hint=hint)
    return SparkiError(problem, exit_code=ExitCode.NOT_FOUND)


def _none(code: str, message: str, name: str, known: list[str]) -> Exception:
    from difflib import get_close_matches  # noqa: PLC0415  # only errors need these

    from sparki_daemon.model.problem import ExitCode, Problem, SparkiError  # noqa: PLC0415

    near = get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known[:10])}" if known else ""
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=ExitCode.NOT_FOUND)
