"""`sparki logs DEPLOYMENT`: each step with its time, what was said and printed meanwhile, and why it ended."""

from __future__ import annotations

import time
from datetime import datetime

from sparki_cli.connect import connect
from sparki_cli.deploy_view import DeployView, summary, waits_line
from sparki_cli.render import Output, printable
from sparki_daemon.client.deploy import Deployments
from sparki_daemon.model.deploy_log import LogLine, LogLines, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

POLL_S = 0.2  # a deployment's log grows in another process
MARGIN = " " * 14  # as wide as a time and the space behind it


def logs(output: Output, deployment: str, *, follow: bool) -> int:
    """Print a deployment's log; with `follow` to its end."""
    deployments = Deployments(connect(output))
    lines, done, waits = LogLines(), 0, ""
    shown = deployments.show(deployment)
    if not output.as_json:
        output.line(
            f"{shown['id']}: release {shown['number']} ({shown['commit'][:10]}) to {printable(shown['environment'])}, {_day(shown)}"
        )
    while True:
        ended = DeployView(shown).ended or shown["status"] == "unknown"
        for data in deployments.log_bytes(shown["id"], done):
            done += len(data)
            _print(output, shown["id"], lines.feed(data))
        if ended or not follow:
            break
        if shown["status"] == "waiting" and waits != (waits := waits_line(shown["waits"])) and not output.as_json:
            output.line(MARGIN + printable(waits))
        time.sleep(POLL_S)
        shown = deployments.show(shown["id"])
    _print(output, shown["id"], lines.end())
    _tell_end(output, shown, ended=ended)
    return 0


def _print(output: Output, deployment: str, lines: Iterator[LogLine]) -> None:
    if not output.as_json:
        output.raw("".join(_text(output, line) + "\n" for line in lines))
        return
    for line in lines:
        output.document(_json(deployment, line))


def _json(deployment: str, line: LogLine) -> dict[str, Any]:
    about = {"deployment": deployment, "job": None, "step": line.step or None, "line": line.number, "time": line.time or None}
    return {**about, "kind": line.mark.name.lower(), "text": line.text}


def _text(output: Output, line: LogLine) -> str:
    if line.mark is Mark.PRINTED:
        return f"{MARGIN}  {output.bar} {line.text}"  # as it was printed, colours and all
    text = printable(line.text)
    if line.mark is Mark.BEGUN:
        return f"{_clock(line.time)}  {output.styled(text, 'bold')}"
    return f"{_clock(line.time)}    {output.styled(text, 'dim') if line.mark is Mark.ENDED and text.startswith('done') else text}"


def _tell_end(output: Output, shown: dict[str, Any], *, ended: bool) -> None:
    """How it ended, and why; nothing of one that goes on."""
    if not ended:
        if not output.as_json and shown["status"] == "waiting":
            output.line(MARGIN + printable(waits_line(shown["waits"])))
        return
    if not output.as_json:
        output.raw(summary(output, DeployView(shown)))
        return
    text = shown["status"] + (f": {shown['reason']}" if shown["reason"] else "")
    about = {"deployment": shown["id"], "job": None, "step": None, "line": None, "time": shown["finished"]}
    output.document({**about, "kind": "finished", "text": text})


def _clock(moment: str) -> str:
    local = datetime.fromisoformat(moment).astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def _day(shown: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(shown['started'] or shown['created']).astimezone():%Y-%m-%d}"
