"""`sparki env`: environments, what is live in them, and the service there."""

from __future__ import annotations

import json
import os
import time

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, printable
from sparki_cli.runs import age
from sparki_daemon.client.deploy import Deployments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def list_environments(output: Output, *, directory: str | None) -> int:
    """The environments of this repository."""
    found = Deployments(connect(output)).environments(own_directory(directory))
    if output.as_json:
        output.document({"environments": found})
    elif found:
        now_ms = int(time.time() * 1000)
        output.table([_row(one, now_ms) for one in found], ("ENVIRONMENT", "ADAPTER", "LIVE", "SINCE", ""))
    else:
        output.note("no environments: sparki.yml has them under `environments:`")
    return 0


def _row(one: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    live = f"release {one['number']} ({one['commit'][:10]})" if one["live"] else "nothing"
    state = "maintenance" if one["maintenance"] else f"deploying {one['deploying']}" if one["deploying"] else ""
    return (printable(one["name"]), printable(one["adapter"]), live, age(one["since"], now_ms) if one["since"] else "", state)


def show(output: Output, *, environment: str, directory: str | None) -> int:
    """What is live, whether it is well, and how it differs from what was released."""
    return _tell(output, Deployments(connect(output)).environment(own_directory(directory), environment))


def _tell(output: Output, shown: dict[str, Any]) -> int:
    if output.as_json:
        output.document(shown)
        return 0
    live = shown["live"]
    lines = [output.styled(f"{printable(shown['name'])} ({printable(shown['adapter'])})", "bold") + f"  {shown['url'] or ''}".rstrip()]
    if live:
        healthy = {True: output.styled("healthy", "green"), False: output.styled("not healthy", "red"), None: "health not known"}
        since = age(live["since"], int(time.time() * 1000)) if live["since"] else ""
        lines.append(f"  release {live['number']} ({live['release']}), commit {live['commit'][:10]} {printable(live['subject'])}")
        lines.append(f"  live since {since}, {healthy[live['healthy']]}")
    else:
        lines.append("  nothing is live")
    if shown["deploying"]:
        lines.append(f"  deploying: {shown['deploying']}")
    if shown["maintenance"]:
        lines.append("  maintenance: everyone is answered with a notice")
    lines += [
        f"  {output.styled('drift', 'yellow')} {printable(one['what'])}: released {_word(one['released'])}, live {_word(one['live'])}"
        for one in shown["drift"]
    ]
    lines += [f"  {printable(line)}" for line in facts_in_words(shown.get("facts") or {})]
    output.raw("".join(line + "\n" for line in lines))
    return 0


def facts_in_words(facts: Mapping[str, Any]) -> list[str]:
    """What an adapter found, a line each; what it has nothing to say of is left out."""
    rest = dict(facts)
    lines = []
    if "pid" in rest:
        pid, port, restarts = rest.pop("pid"), rest.pop("port", None), rest.pop("restarts", 0)
        again = f", restarted {restarts:,} {'time' if restarts == 1 else 'times'}" if restarts else ""
        lines.append(f"{'no process now' if pid is None else f'process {pid}'}{f' on port {port}' if port else ''}{again}")
    if isinstance(rest.get("requests"), int) and isinstance(rest.get("dropped"), int):
        lines.append(f"{rest.pop('dropped'):,} of {rest.pop('requests'):,} requests dropped")
    for name, value in rest.items():
        if value is not None:
            lines.append(f"{str(name).replace('_', ' ')}: {_word(value)}")
    return lines


def _word(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return printable(value) or "''"
    return f"{value:,}" if isinstance(value, int) else printable(json.dumps(value, ensure_ascii=False))


def logs(output: Output, *, environment: str, follow: bool, release: str | None, directory: str | None) -> int:
    """The lines that the service wrote."""
    pieces = Deployments(connect(output)).service_log(own_directory(directory), environment, release, follow=follow)
    held = b""
    for data in pieces:
        if not output.as_json:
            output.raw_bytes(data)
            continue
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            output.document({"environment": environment, "text": line.decode("utf-8", "replace")})
    return 0


def execute(output: Output, *, environment: str, command: list[str], directory: str | None) -> int:
    """Run a command beside the live release; its exit code is ours."""
    if not command:
        from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # wrong usage only

        raise SparkiError(Problem(code="usage", message="no command was given", hint="sparki env exec ENV -- COMMAND"))
    code = 0
    for line in Deployments(connect(output)).execute(own_directory(directory), environment, command):
        told = json.loads(line)
        if "error" in told:
            from sparki_daemon.model.problem import ExitCode, SparkiError, problem_from_json  # noqa: PLC0415  # as above

            raise SparkiError(problem_from_json(told["error"]), exit_code=ExitCode(told["exit_code"]))
        code = told.get("exit_code", code)
        if output.as_json:
            output.json_lines([line])
        elif "text" in told:
            output.line(told["text"])
    return code & 0xFF


def maintenance(output: Output, *, environment: str, state: str, directory: str | None) -> int:
    """Answer everyone with a notice, or no longer."""
    if state not in ("on", "off"):
        from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # wrong usage only

        raise SparkiError(Problem(code="usage", message=f"maintenance is on or off, not '{state}'"))
    return _tell(output, Deployments(connect(output)).change(own_directory(directory), environment, "maintenance", on=state == "on"))


def down(output: Output, *, environment: str, yes: bool, directory: str | None) -> int:
    """End the service of an environment."""
    if not yes:
        _confirm(output, environment)
    return _tell(output, Deployments(connect(output)).change(own_directory(directory), environment, "down"))


def _confirm(output: Output, environment: str) -> None:
    """Ask a person whether they mean it. Raises SparkiError `not_confirmed`, naming the flag where nobody can be asked."""
    from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # not with --yes

    asked = os.isatty(0) and not output.as_json
    if asked:
        output.note(f"end the service of '{environment}'? Nobody is answered then; releases stay. [y/N]")
        answer = os.read(0, 64).strip().lower()
        if answer in (b"y", b"yes"):
            return
    hint = "" if asked else "--yes says that you mean it"
    raise SparkiError(Problem(code="not_confirmed", message=f"the service of '{environment}' was left alone", hint=hint))
