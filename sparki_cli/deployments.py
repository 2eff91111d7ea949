"""`sparki deployments`, `releases`, `approve`, `resolve`, and what `show` and `cancel` do with a deployment."""

from __future__ import annotations

import time

from sparki_cli.connect import connect, own_directory
from sparki_cli.deploy_view import DeployView, now_line, step_line, summary
from sparki_cli.render import Output, printable
from sparki_cli.runs import age
from sparki_daemon.client.deploy import Deployments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_OVER = ("pending", "running", "undoing")
UNDER_WAY = ("queued", "waiting", "running", "unknown")


def list_deployments(output: Output, *, environment: str | None, limit: int, everywhere: bool, directory: str | None) -> int:
    """The newest deployments of this repository, or of all."""
    here = None if everywhere else own_directory(directory)
    found = Deployments(connect(output)).listing(here, environment, limit)
    if output.as_json:
        output.document({"deployments": found})
    elif found:
        now_ms = int(time.time() * 1000)
        header = ("DEPLOYMENT", "STATUS", "ENVIRONMENT", "RELEASE", "COMMIT", "CREATED", "RUN")
        output.table([_row(output, one, now_ms) for one in found], header)
    else:
        output.note("no deployments yet: `sparki deploy ENV` makes one")
    return 0


def _row(output: Output, one: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    status = f"{output.glyph(one['status'])} {output.status(one['status'])}"
    commit = f"{one['commit'][:10]} {printable(one.get('subject') or '')[:40]}".rstrip()
    return (
        one["id"],
        status,
        printable(one["environment"]),
        str(one.get("number") or ""),
        commit,
        age(one["created"], now_ms),
        one["run"] or "",
    )


def list_releases(output: Output, *, environment: str, limit: int, directory: str | None) -> int:
    """The releases of an environment."""
    found = Deployments(connect(output)).releases(own_directory(directory), environment, limit)
    if output.as_json:
        output.document({"releases": found})
        return 0
    now_ms = int(time.time() * 1000)
    rows: list[tuple[str, ...]] = [
        (
            str(one["number"]),
            one["id"],
            output.styled("live", "green") if one["live"] else release_words(one),
            f"{one['commit'][:10]} {printable(one['subject'])[:50]}",
            age(one["created"], now_ms),
            one["run"] or "",
        )
        for one in found
    ]
    output.table(rows, ("NUMBER", "RELEASE", "STATE", "COMMIT", "CREATED", "RUN"))
    return 0


def release_words(one: dict[str, Any]) -> str:
    """What became of a release that is not live; of one that never was, how its last deployment stands."""
    words = str(one.get("state", "")).replace("_", " ")
    status = one.get("status")
    return f"{words} ({status})" if status and (one.get("state") == "never_live" or status in UNDER_WAY) else words


def show(output: Output, deployment: str) -> int:
    """A deployment with its steps."""
    shown = Deployments(connect(output)).show(deployment)
    if output.as_json:
        output.document(shown)
        return 0
    view = DeployView(shown)
    now_ms = int(time.time() * 1000)
    kind = "" if shown["kind"] == "deploy" else f"{shown['kind']} of "
    lines = [
        f"{output.glyph(view.status)} {output.styled(view.id, 'bold')}  {output.status(view.status)}  {age(shown['created'], now_ms)}",
        f"  {kind}release {shown['number']} ({shown['release']}) to {printable(shown['environment'])}",
        f"  asked for by {printable(shown['author'])}",
        f"  commit {shown['commit'][:12]} {printable(shown['subject'])}" + (f"  run {shown['run']}" if shown["run"] else ""),
    ]
    if shown["approvals"]:
        lines.append(f"  approved by {', '.join(map(printable, shown['approvals']))}")
    if shown["override"]:
        lines.append(f"  in spite of a freeze: {printable(shown['override'])}")
    lines += [step_line(output, step) for step in shown["steps"] if step["status"] not in NOT_OVER and step.get("asked", True)]
    output.raw("\n".join(lines) + "\n")
    output.raw(summary(output, view) if view.ended or view.status == "unknown" else now_line(output, view, now_ms) + "\n")
    return 0


def cancel(output: Output, deployment: str, *, keep: bool) -> int:
    """Ask for a deployment's end."""
    shown = Deployments(connect(output)).steer(deployment, "cancel", {"keep": keep})
    return _told(output, shown, _cancelled(shown, keep=keep))


def _cancelled(shown: dict[str, Any], *, keep: bool) -> str:
    """What becomes of one whose end was asked for."""
    if shown["status"] == "cancelled":
        return "is cancelled"
    if shown["asked"].startswith("rollback:"):
        return f"is taken back already, by {shown['asked'].removeprefix('rollback:')}"
    if shown["asked"] == "keep":
        switched = any(step["name"] == "switch" and step["status"] == "done" for step in shown["steps"])
        return "stays, and is watched no longer" if switched else "stays, and is not watched, if its switch succeeds"
    return "is being cancelled" + (": it has not switched, so there is nothing to keep" if keep else "")


def approve(output: Output, *, deployment: str) -> int:
    """Say yes to a deployment."""
    shown = Deployments(connect(output)).steer(deployment, "approve")
    return _told(output, shown, f"is approved by {', '.join(shown['approvals'])}")


def resolve(output: Output, *, deployment: str, live: bool, failed: bool, retry: bool) -> int:
    """Say how a deployment ended whose end is unknown."""
    chosen = [word for word, given in (("live", live), ("failed", failed), ("retry", retry)) if given]
    if len(chosen) != 1:
        from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # wrong usage only

        message = "one of --live, --failed and --retry says what was found"
        raise SparkiError(Problem(code="usage", message=message, hint="sparki show DEPLOYMENT tells what is known"))
    shown = Deployments(connect(output)).steer(deployment, "resolve", {"outcome": chosen[0]})
    return _told(output, shown, "is tried again" if chosen == ["retry"] else f"is resolved: {shown['status']}")


def _told(output: Output, shown: dict[str, Any], words: str) -> int:
    if output.as_json:
        output.document(shown)
    else:
        output.line(f"{shown['id']} {printable(words)}")
    return 0
