"""`sparki ci`: the run of `sparki run` in this process tree, told in the CI service's own syntax; nothing is left behind."""

# ruff: noqa: PLC0415  # what only some ways of running need is imported on those

from __future__ import annotations

import gc
import os

from sparki_cli.ci_hosts import HOSTS, detect
from sparki_cli.ci_log import CiLog
from sparki_cli.connect import own_directory
from sparki_cli.interrupts import Interrupts
from sparki_cli.render import duration, printable, write_all
from sparki_cli.view import WORST_FIRST, milliseconds, worst

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sparki_cli.ci_hosts import Host
    from sparki_cli.render import Output
    from sparki_daemon.model.event import Event


def ci(
    output: Output,
    *,
    pipelines: list[str],
    form: str | None,
    junit: str | None,
    summary: str | None,
    artifacts: str | None,
    cache: str | None,
    directory: str | None,
    max_parallel: int | None,
    jobs: list[str],
    ref: str | None,
    event: str | None,
    event_file: str | None,
    inputs: list[str],
    variables: list[str],
    env: list[str],
    env_files: list[str],
    secrets: list[str],
    secret_files: list[str],
    matrix: list[str],
    workspace: str | None,
    actions: list[str],
) -> int:
    """Run pipelines and tell of it; the exit code is the worst of their runs'."""
    here = own_directory(directory)
    form = form or detect(os.environ)
    for option, path in (("--junit", junit), ("--summary", summary)):
        if path:
            _refuse_unwritable(option, path)
    reports = _Reports(junit=_absolute(junit), summary=_absolute(summary) or _hosts_summary(form), artifacts=_absolute(artifacts))
    from sparki_cli.run import actions_of, given_of, secrets_of

    request = {
        "directory": here,
        "pipelines": pipelines,
        "jobs": jobs,
        "max_parallel": max_parallel,
        "env": dict(os.environ),
        "ref": ref,
        **given_of(here, event, event_file, inputs, variables, env, env_files, matrix),
        **(secrets_of(secrets, secret_files, here) if secrets or secret_files else {}),
        **({"workspace": workspace} if workspace else {}),
        **(actions_of(actions, here) if actions else {}),
    }
    gc.disable()  # of short life: what is imported and planned stays until the end
    from sparki_daemon.ci.begin import begin

    with Interrupts() as interrupts:
        interrupts.patience = 1_000  # each is a request to the run, which ends at the second
        bench = begin(here, cache=_absolute(cache) or "", at_commit=bool(ref))
        try:
            teller = _JsonTeller(output) if output.as_json else _Teller(output, HOSTS[form], bench.log_path)
            runs = bench.run(request, teller, interrupts)
            teller.end(runs)
            reports.write(runs, bench)
        finally:
            for left in bench.close():
                output.note(f"note: could not be removed: {left}")
        if interrupts.count:
            return 130
    return 0 if worst(run["status"] for run in runs) == "success" else 1


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(path) if path else None


def _refuse_unwritable(option: str, path: str) -> None:
    """Raises SparkiError where no file can be written at `path`: told before the run, not after its minutes."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or path.endswith("/"):
        wrong, hint = "that is a folder", "name a file in it"
    elif not os.path.isdir(folder):
        wrong, hint = "its folder does not exist", "make the folder first, or name another file"
    elif not os.access(folder, os.W_OK | os.X_OK):
        wrong, hint = "its folder may not be written to", "name a file in another folder"
    else:
        return
    from sparki_daemon.model.problem import Problem, SparkiError

    raise SparkiError(Problem(code="unwritable_report", message=f"{option}: can't write '{path}': {wrong}", hint=hint))


def _hosts_summary(form: str) -> str | None:
    """Where the CI service itself takes a summary. Source: GitHub's docs, "Adding a job summary"."""
    return os.environ.get("GITHUB_STEP_SUMMARY") or None if form == "github" else None


class _Teller:
    """Fills `Hearer` with text."""

    def __init__(self, output: Output, host: Host, log_path: Callable[[str, str], str]) -> None:
        self._output = output
        self._host = host
        self._log_path = log_path
        self._names: dict[str, str] = {}  # labels of the jobs, by uid
        self._pipelines: dict[str, str] = {}
        self._log = CiLog(host, lambda data: write_all(1, data), f"sparki-{os.urandom(12).hex()}")
        self._quiet = output.quiet

    def begin(self, answer: dict[str, Any], views: list[dict[str, Any]]) -> None:
        for note in answer.get("notes", ()):
            self._output.note("note: " + printable(note["message"]))
        for view in views:
            self._pipelines[view["id"]] = view["pipeline"]
        for view in views:
            for job in view["jobs"]:
                self._name(view["id"], job["uid"], job["name"])

    def _name(self, run: str, uid: str, name: str) -> None:
        label = f"{self._pipelines[run]} / {name}" if len(self._pipelines) > 1 else name
        self._names[uid] = printable(label)

    def events(self, events: Sequence[Event]) -> None:
        for event in events:
            self._event(event.kind, event.data)

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "job.expanded":
            for leg in data["legs"]:
                self._name(data["run"], leg["uid"], leg["name"])
        elif kind in ("job.assigned", "job.folded") and data["run"] in self._pipelines:
            self._name(data["run"], data["uid"], data["name"])
        elif kind == "job.started":
            self._log.started(data["uid"], self._log_path(data["run"], data["job"]), self._names.get(data["uid"], data["job"]))
        elif kind == "job.finished":
            ran = data["started"] and data["finished"]
            took = {"took_ms": milliseconds(data["finished"]) - milliseconds(data["started"])} if ran else {}
            self._log.finished(data["uid"], {**data, **took, "label": self._names.get(data["uid"], data["job"])})
        elif kind == "step.started":
            self._log.step_started(data["uid"], data)
        elif kind == "step.finished":
            self._log.step_finished(data["uid"], data)

    def grew(self, job: str) -> None:
        self._log.grew(job)

    def cancelling(self, *, force: bool) -> None:
        self._output.note("ending everything at once" if force else "cancelling: a second signal ends everything at once")

    def end(self, runs: list[dict[str, Any]]) -> None:
        """The verdict: what is red of each run, and the run's own line, failures last."""
        self._log.end()
        for run in sorted(runs, key=lambda run: -(*WORST_FIRST, run["status"]).index(run["status"])):
            took = ""
            if run["started"] and run["finished"]:
                took = f" in {duration(milliseconds(run['finished']) - milliseconds(run['started']))}"
            reason = f" ({printable(run['reason'])})" if run["reason"] else ""
            self._output.line(f"{self._output.glyph(run['status'])} {printable(run['pipeline'])}: {run['status']}{reason}{took}")


class _JsonTeller:
    """Fills `Hearer` with events, a line each, as `sparki run --json`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last: Event | None = None

    def begin(self, answer: dict[str, Any], views: list[dict[str, Any]]) -> None:
        """Nothing: the events tell it."""

    def events(self, events: Sequence[Event]) -> None:
        for event in events:
            self._output.document(event.to_json())
            self._last = event

    def grew(self, job: str) -> None:
        """Nothing: log text is no event."""

    def cancelling(self, *, force: bool) -> None:
        """Nothing: an event tells it."""

    def end(self, runs: list[dict[str, Any]]) -> None:
        if len(runs) > 1 and self._last:
            data = {"runs": [{"run": run["id"], "status": run["status"]} for run in runs], "status": worst(run["status"] for run in runs)}
            self._output.document({"seq": self._last.seq, "time": self._last.time, "stream": "", "kind": "runs.finished", "data": data})


class _Reports:
    """What is written beside the log, once the runs have ended."""

    def __init__(self, *, junit: str | None, summary: str | None, artifacts: str | None) -> None:
        self._junit = junit
        self._summary = summary
        self._artifacts = artifacts

    def write(self, runs: list[dict[str, Any]], bench: Any) -> None:
        """Raises OSError where one can't be written."""
        if self._junit:
            from sparki_cli.ci_junit import junit_xml
            from sparki_daemon.system.files import write_atomic

            write_atomic(self._junit, junit_xml(runs), mode=0o644)
        if self._summary:
            from sparki_cli.ci_summary import summary_markdown

            with open(self._summary, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(summary_markdown(runs))
        if self._artifacts:
            bench.export_artifacts(self._artifacts)
