"""`sparki deploy`, `rollback` and `promote`: ask for a deployment, and follow it until it is live or has ended otherwise."""

# ruff: noqa: PLC0415  # what only some ways of deploying need is imported on those

from __future__ import annotations

import os

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, printable
from sparki_daemon.client.deploy import Deployments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def deploy(
    output: Output,
    *,
    environment: str,
    ref: str | None,
    release: str | None,
    plan: bool,
    detach: bool,
    wait: str | None,
    override: str | None,
    directory: str | None,
) -> int:
    """Deploy a commit, or a release that is there; the exit code tells its end."""
    if ref and release:
        raise _usage("a release has its commit already: --ref and --release can't both be given")
    limit_s = _seconds(wait)
    request: dict[str, Any] = {"directory": own_directory(directory), "environment": environment, "ref": ref, "override": override}
    deployments = Deployments(connect(output))
    if plan:
        from sparki_cli.deploy_plan import show_plan

        if release:
            raise _usage("--plan tells what a commit would change: give --ref instead of --release")
        return show_plan(output, deployments.make("plan", request))
    return _made(output, deployments, "deploy", {**request, "release": release, "env": dict(os.environ)}, detach=detach, limit_s=limit_s)


def rollback(
    output: Output, *, environment: str, release: str | None, detach: bool, wait: str | None, override: str | None, directory: str | None
) -> int:
    """Deploy an old release's very artifact; without one, of that which was live before."""
    limit_s = _seconds(wait)
    request = {"directory": own_directory(directory), "environment": environment, "release": release, "override": override}
    return _made(output, Deployments(connect(output)), "rollback", request, detach=detach, limit_s=limit_s)


def promote(
    output: Output, *, source: str, environment: str, detach: bool, wait: str | None, override: str | None, directory: str | None
) -> int:
    """Deploy to one environment what is live in another."""
    limit_s = _seconds(wait)
    request = {"directory": own_directory(directory), "source": source, "environment": environment, "override": override}
    return _made(output, Deployments(connect(output)), "promote", request, detach=detach, limit_s=limit_s)


def _made(output: Output, deployments: Deployments, what: str, request: dict[str, Any], *, detach: bool, limit_s: float | None) -> int:
    """Ask for it, and follow it."""
    from sparki_cli.interrupts import Interrupts

    with Interrupts() as interrupts:
        interrupts.patience = 2  # the first waits for the answer: what was asked for can then be told by its name
        try:
            made = deployments.make(what, request)
        except KeyboardInterrupt:
            output.note("interrupted before the daemon answered: `sparki deployments` tells whether one was made")
            return 130
        interrupts.patience = 3
        for note in made.get("notes", ()):
            output.note("note: " + printable(note["message"]))
        if detach:
            _tell_detached(output, made)
            return 0
        from sparki_cli.deploy_follow import Follow

        if not output.as_json and not output.quiet:
            run = f", after run {made['run']}" if what == "deploy" and made.get("run") and _awaits(deployments, made) else ""
            output.line(f"{made['deployment']}: release {made['number']} ({made['commit'][:10]}) to {printable(made['environment'])}{run}")
        follow = Follow(output, deployments, as_begun(deployments.show(made["deployment"])), made["since"])
        return follow.to_the_end(interrupts, limit_s=limit_s)


def _awaits(deployments: Deployments, made: dict[str, Any]) -> bool:
    return any(one["for"] == "run" for one in deployments.show(made["deployment"])["waits"])


def as_begun(shown: dict[str, Any]) -> dict[str, Any]:
    """A deployment as it was when it was made: its events, from there on, tell the rest."""
    fresh = {"status": "pending", "reason": "", "started": None, "finished": None, "took_ms": None}
    steps = [{**step, **fresh} for step in shown["steps"]]
    return {**shown, "status": "queued", "waits": [], "reason": "", "finished": None, "steps": steps}


def _tell_detached(output: Output, made: dict[str, Any]) -> None:
    if output.as_json:
        output.document({key: made[key] for key in ("deployment", "environment", "release")})
    else:
        output.line(f"{made['deployment']} is queued: release {made['number']} to {printable(made['environment'])}")


def _seconds(text: str | None) -> float | None:
    """A `--wait`. Raises SparkiError for what is no time."""
    if text is None:
        return None
    from sparki_daemon.pipeline.amounts import seconds

    found = seconds(text)
    if found is None:
        raise _usage(f"'--wait' must be a time, such as 30s or 10m, not '{text}'")
    return found


def _usage(message: str) -> Exception:
    from sparki_daemon.model.problem import Problem, SparkiError

    return SparkiError(Problem(code="usage", message=message, hint="see `sparki deploy --help`"))
