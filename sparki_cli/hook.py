"""What git's hooks call: `sparki hook post-receive PROJECT PUSH`, `sparki hook pre-push REMOTE`.

What is printed here stands in the push's own output: plain lines, each at once.
"""

# ruff: noqa: PLC0415  # a push that begins nothing pays for nothing

from __future__ import annotations

import os
import signal
import sys
import time

from sparki_cli.connect import connect, own_directory
from sparki_cli.interrupts import Interrupts
from sparki_cli.push_view import PushSink, told_run, told_update
from sparki_cli.render import Output
from sparki_cli.view import RunView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_daemon.client.engine import Engine

RECEIVE_LIMIT_S = 60.0  # as long as the engine may be away before the push is left to the next one
ANSWER_LIMIT_S = 300.0
STOPPING_PAUSE_S = 0.2
PEOPLE = ("approval", "freeze", "environment")  # waits that may take days: a push does not


def answer(words: list[str]) -> int:
    """Do what a hook asks; the exit code."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # git's words to its hook, none of a job's or a daemon's business
    output = Output.of(os.environ, as_json=False, quiet=False, verbose=False, no_color=True)
    if words[:1] == ["post-receive"] and len(words) == 3:
        return post_receive(output, words[1], words[2])
    if words[:1] == ["pre-push"] and len(words) == 2:
        return pre_push(output, words[1])
    output.note("sparki: this hook is of another version; `sparki bind` again mends it")
    return 0


# -- a push to the bound remote --------------------------------------------------------------------------------------------


def post_receive(output: Output, project: str, push: str) -> int:
    """Hand a push to the engine, and follow what it begins; whoever leaves stops the following only."""
    from sparki_daemon.model.problem import SparkiError

    engine = connect(output)
    try:
        received = _handed_over(engine, {"project": project, "push": push, "env": dict(os.environ)})
    except SparkiError as error:
        _say_error(output, error)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the hook had them ignored until here
    try:
        _follow(output, engine, received)
    except OSError:  # nobody reads any more
        return 0
    except SparkiError as error:
        _say_error(output, error)
    return 0


def _handed_over(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """What the engine makes of the push. It may be killed and restarted meanwhile: the push's name makes it one."""
    from sparki_daemon.model.problem import SparkiError

    deadline = time.monotonic() + RECEIVE_LIMIT_S
    while True:
        try:
            return engine.ask("POST", "/v1/pushes", request, limit_s=RECEIVE_LIMIT_S, answer_limit_s=ANSWER_LIMIT_S)  # type: ignore[no-any-return]
        except SparkiError as error:
            if error.problems[0].code != "daemon_stopping" or time.monotonic() > deadline:
                raise
        time.sleep(STOPPING_PAUSE_S)


def _say_error(output: Output, error: Exception) -> None:
    from sparki_daemon.model.problem import ExitCode, SparkiError

    assert isinstance(error, SparkiError)
    try:
        output.error(error)
        if error.exit_code is ExitCode.UNREACHABLE:
            output.note("the push is kept, and is seen to when the daemon starts next")
    except OSError:
        return


def _follow(output: Output, engine: Engine, received: dict[str, Any]) -> None:
    for problem in received["problems"]:
        output.raw(told_problem(output, problem))
    for update in received["updates"]:
        output.raw(told_update(output, update))
    if not received["follow"]:
        return
    views = [_view(run) for update in received["updates"] for run in update["runs"]]
    since = min((update["since"] for update in received["updates"] if update["runs"]), default=0)
    _watch(output, engine, views, since, Interrupts())
    for update in received["updates"]:
        if update["deployment"]:
            _watch_deployment(output, engine, update["deployment"], received["directory"])


def _view(started: dict[str, Any]) -> RunView:
    return RunView(started["run"], started["pipeline"], started.get("file", ""))


def told_problem(output: Output, problem: dict[str, Any]) -> str:
    from sparki_daemon.model.problem import problem_from_json

    return output.problem(problem_from_json(problem))


def _watch(output: Output, engine: Engine, views: list[RunView], since: int, interrupts: Interrupts) -> int:
    """Follow runs to their end; the exit code."""
    if not views:
        return 0
    from sparki_cli.follow import Watch

    watch = Watch(engine, PushSink(output), views, since)
    code = watch.to_the_end(interrupts)
    for view in views:
        red = view.status in ("failure", "lost")
        output.raw(told_run(output, view, engine.excerpts(view.run) if red else []))
    return code


def _watch_deployment(output: Output, engine: Engine, made: dict[str, Any], directory: str) -> None:
    from sparki_cli.deploy import as_begun
    from sparki_cli.deploy_follow import Follow
    from sparki_daemon.client.deploy import Deployments

    deployments = Deployments(engine)
    shown = as_begun(deployments.show(made["deployment"]))
    follow = Follow(output, deployments, shown, made["since"], leave_at=PEOPLE)
    if follow.to_the_end(Interrupts()) == 0:
        url = deployments.environment(directory, made["environment"]).get("url")
        if url:
            output.line(f"  {url}")


# -- a push to another remote ----------------------------------------------------------------------------------------------


def pre_push(output: Output, remote: str) -> int:
    """Run what is about to be pushed; 1, which makes git refuse the push, where it is red."""
    engine = connect(output)
    with Interrupts() as interrupts:
        views, since = _started(engine, os.fsdecode(sys.stdin.buffer.read()).splitlines())
        code = _watch(output, engine, views, since, interrupts)
    if code:
        output.note(f"sparki: not pushed to {remote}: it is not green here (git push --no-verify pushes all the same)")
    return code


def _started(engine: Engine, lines: list[str]) -> tuple[list[RunView], int]:
    """The runs of what git says will be pushed, and the event to follow them from. Source: git's Documentation/githooks.txt, pre-push."""
    from sparki_daemon.model.problem import SparkiError

    views, since = [], 0
    for line in lines:
        _, after, ref, before = line.rsplit(" ", 3)
        if not after.strip("0"):
            continue  # it is to be deleted
        pushed = {"ref": ref, "before": before if before.strip("0") else None, "after": after}
        request = {"directory": own_directory(None), "ref": after, "event": "push", "pushed": pushed, "env": dict(os.environ)}
        try:
            started = engine.start_runs(request)
        except SparkiError as error:
            if error.problems[0].code not in ("nothing_to_run", "no_pipeline"):
                raise
            continue
        since = since or started["since"]
        views += [_view(run) for run in started["runs"]]
    return views, since
