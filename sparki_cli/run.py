"""`sparki run` and `sparki retry`: start, follow, sum up."""

# ruff: noqa: PLC0415  # what only some ways of running need is imported on those

from __future__ import annotations

import os
import time

from sparki_cli.connect import connect, own_directory
from sparki_cli.interrupts import Interrupts
from sparki_cli.render import printable
from sparki_cli.view import WORST_FIRST, RunView, worst

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_cli.render import Output
    from sparki_cli.sink import Sink
    from sparki_cli.watching import Changes
    from sparki_daemon.client.engine import Engine

STOPPED_WATCHING = 7


def run(
    output: Output,
    *,
    pipelines: list[str],
    jobs: list[str],
    max_parallel: int | None,
    detach: bool,
    plan: bool,
    show_list: bool,
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
    no_cache: bool,
    explain: bool,
    outputs: bool,
    check_inputs: bool,
    check_reproducible: bool,
    workspace: str | None,
    actions: list[str],
    watch: bool,
    debug_on_failure: bool,
    directory: str | None,
) -> int:
    """Run pipelines; the exit code is the worst of their runs'."""
    here = own_directory(directory)
    others = {"--detach": detach, "--plan": plan, "--list": show_list}
    if watch:
        _refuse_beside("--watch follows the working tree", {**others, "--ref": ref})
    if debug_on_failure:
        from sparki_cli.debugging import refuse_without_terminal

        _refuse_beside("--debug-on-failure opens a shell while you watch one run", {**others, "--watch": watch})
        refuse_without_terminal(output)
    if check_inputs or check_reproducible:
        name = "--check-reproducible" if check_reproducible else "--check-inputs"
        beside = {"--watch": watch, "--debug-on-failure": debug_on_failure, "--outputs": outputs}
        both = {"--check-inputs": check_inputs and check_reproducible}
        _refuse_beside(f"{name} runs to the end and compares", {**others, **beside, **both})
    given: dict[str, Any] = {}
    if event or event_file or inputs or variables or env or env_files or matrix:
        given = given_of(here, event, event_file, inputs, variables, env, env_files, matrix)
    if secrets or secret_files:
        given |= secrets_of(secrets, secret_files, here)
    if actions:
        given |= actions_of(actions, here)
    if plan or show_list:
        from sparki_cli.planning import show_list as list_pipelines
        from sparki_cli.planning import show_plans

        if show_list:
            return list_pipelines(output, here)
        return show_plans(output, here, pipelines, jobs=jobs, ref=ref, given={**given, "workspace": workspace or ""})
    request = {
        "directory": here,
        "pipelines": pipelines,
        "jobs": jobs,
        "max_parallel": max_parallel,
        "env": dict(os.environ),
        "ref": ref,
        "no_cache": no_cache,
        **given,
        **({"workspace": workspace} if workspace else {}),
        **({"outputs": True} if outputs else {}),
        **({"check_inputs": True} if check_inputs else {}),
    }
    engine = connect(output)
    with Interrupts() as interrupts:
        if watch:
            from sparki_cli.watching import again

            return again(output, here, interrupts, lambda changes: _once(output, engine, request, interrupts, changes=changes))
        if debug_on_failure:
            from sparki_cli.debugging import wanted

            with wanted(engine.paths.state) as hold:
                return _once(output, engine, {**request, "hold": hold}, interrupts, explain=explain)
        if check_inputs or check_reproducible:
            from sparki_cli import honest

            def once(asked: dict[str, Any], begun: list[RunView]) -> int:
                return _once(output, engine, asked, interrupts, begun=begun)

            return (honest.check_inputs if check_inputs else honest.check_reproducible)(output, engine, request, once)
        return _once(output, engine, request, interrupts, detach=detach, explain=explain)


def _once(
    output: Output,
    engine: Engine,
    request: dict[str, Any],
    interrupts: Interrupts,
    *,
    detach: bool = False,
    explain: bool = False,
    changes: Changes | None = None,
    begun: list[RunView] | None = None,
) -> int:
    """Start what `request` says, and follow it; with `changes` until they make it outdated. What was started is put to `begun`."""
    interrupts.patience = 2  # the first waits for the answer: what was started can then be cancelled by its name
    try:
        answer = engine.start_runs(request)
    except KeyboardInterrupt:
        output.note("interrupted before the daemon answered: `sparki runs` tells whether a run was started")
        return 130
    for note in answer.get("notes", ()):
        output.note("note: " + printable(note["message"] if isinstance(note, dict) else note))
    views = [RunView(started["run"], started["pipeline"], started.get("file", "")) for started in answer["runs"]]
    for view, started in zip(views, answer["runs"], strict=True):
        view.learn({"jobs": started.get("jobs", ())})
    if begun is not None:
        begun += views
    code = _told(output, engine, views, answer["since"], interrupts, detach=detach, changes=changes, looks="hold" in request)
    if explain and not detach and not output.as_json:
        from sparki_cli.cache import explain as why

        for view in views:
            why(output, engine.show_run(view.run, request["directory"]))
    return code


def _refuse_beside(why: str, others: dict[str, Any]) -> None:
    """Raises SparkiError for what makes no sense with the option that `why` begins with."""
    from sparki_daemon.model.problem import Problem, SparkiError

    for flag, value in others.items():
        if value:
            raise SparkiError(Problem(code="usage", message=f"{why}: it can't be given with {flag}"))


def given_of(
    here: str,
    event: str | None,
    event_file: str | None,
    inputs: list[str],
    variables: list[str],
    env: list[str],
    env_files: list[str],
    matrix: list[str],
) -> dict[str, Any]:
    """What the run is given beside its source, by the names that the API and `prepare` have for it."""
    from sparki_cli import given

    return {
        "event": event or "",
        "event_payload": given.payload(event_file, here),
        "inputs": given.pairs("--input", inputs),
        "variables": given.pairs("--var", variables),
        "lowest_env": given.environment(env, env_files, here),
        "matrix": ["=".join(given.pair("--matrix", word)) for word in matrix],
    }


def secrets_of(words: list[str], files: list[str], here: str) -> dict[str, Any]:
    from sparki_cli import given

    values, names = given.secrets(words, files, here)
    return {"secrets": values, "secret_names": names}


def actions_of(words: list[str], here: str) -> dict[str, Any]:
    from sparki_cli import given

    return {"actions": {name: os.path.abspath(os.path.join(here, folder)) for name, folder in given.mapped(words, here).items()}}


def retry(
    output: Output,
    *,
    run: str,
    failed: bool,
    from_step: bool,
    step: str | None,
    secrets: list[str],
    secret_files: list[str],
    detach: bool,
    directory: str | None,
) -> int:
    """A new attempt at a run; the exit code is that attempt's."""
    given = secrets_of(secrets, secret_files, own_directory(directory)) if secrets or secret_files else {}
    engine = connect(output)
    with Interrupts() as interrupts:
        interrupts.patience = 2
        try:
            shown = engine.show_run(run, own_directory(directory))
            answer = engine.retry_run(shown["id"], failed=failed, from_step=(step or "") if from_step or step else None, given=given)
        except KeyboardInterrupt:
            output.note("interrupted before the daemon answered: `sparki show` tells whether the run was started again")
            return 130
        if answer.get("file_changed"):
            output.note(f"{shown['file']} is not the run's own, by which this attempt goes: `sparki run` takes the one that is there now")
        view = RunView(answer["run"], shown["pipeline"], shown.get("file", ""))
        return _told(output, engine, [view], answer["since"], interrupts, detach=detach)


def _told(
    output: Output,
    engine: Engine,
    views: list[RunView],
    since: int,
    interrupts: Interrupts,
    *,
    detach: bool,
    changes: Changes | None = None,
    looks: bool = False,
) -> int:
    """Follow what was started, unless it was detached."""
    if detach and not interrupts.count:
        for view in views:
            if output.as_json:
                output.document({"run": view.run, "pipeline": view.pipeline})
            else:
                output.line(f"{view.run}  {printable(view.pipeline)}")
        return 0
    from sparki_cli.follow import Watch

    watch = Watch(engine, _sink(output), views, since, changes, looks=looks)
    interrupts.patience = 3
    try:
        code = watch.to_the_end(interrupts)
        _sum_up(output, engine, watch)
    except BrokenPipeError:
        # Whoever read our output has left; the run goes on: it is cancelled by Ctrl-C, or by name
        return STOPPED_WATCHING
    except Exception:
        for view in views:
            if not view.ended:
                output.note(f"{view.run} goes on: `sparki show {view.run}`, `sparki logs {view.run} -f`")
        raise
    return code


def _sink(output: Output) -> Sink:
    from sparki_cli import sink

    if output.as_json:
        return sink.JsonSink(output)
    if output.quiet:
        return sink.Sink(output)
    if output.live:
        from sparki_cli.live import LiveSink

        return LiveSink(output)
    return sink.PlainSink(output)


def _sum_up(output: Output, engine: Engine, watch: Any) -> None:
    views: list[RunView] = watch.views
    if output.as_json:
        if len(views) > 1:
            data = {"runs": [{"run": view.run, "status": view.status} for view in views], "status": worst(view.status for view in views)}
            output.document({"seq": watch.last_seq, "time": _now(), "stream": "", "kind": "runs.finished", "data": data})
        return
    from sparki_cli.summary import summary

    for view in sorted(views, key=lambda view: -(*WORST_FIRST, view.status).index(view.status)):  # failures last
        red = view.status in ("failure", "lost")
        output.raw(summary(output, view, engine.excerpts(view.run) if red else []))


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
