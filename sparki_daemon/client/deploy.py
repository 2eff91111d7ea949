"""Deployments, releases and environments as their callers see them: each route a function over the engine's client."""

from __future__ import annotations

import json

from sparki_daemon.client.engine import Engine, quoted_segment
from sparki_daemon.client.http import Exchange, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ASK_LIMIT_S = 300.0  # the archive of a very large tree takes its time
MAKING = {"deploy": "/v1/deployments", "plan": "/v1/deployment-plans", "rollback": "/v1/rollbacks", "promote": "/v1/promotions"}


class Deployments:
    """What can be asked about deployments of one state folder's engine. Every method raises SparkiError with what the engine says."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def make(self, what: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for a `deploy`, `rollback` or `promote`, or for the `plan` of one."""
        return self.engine.ask("POST", MAKING[what], request, answer_limit_s=ASK_LIMIT_S)  # type: ignore[no-any-return]

    def listing(self, directory: str | None, environment: str | None, limit: int) -> list[dict[str, Any]]:
        where = f"&directory={quoted(directory)}" if directory else ""
        where += f"&environment={quoted_segment(environment)}" if environment else ""
        return self.engine.ask("GET", f"/v1/deployments?limit={limit}{where}")["deployments"]  # type: ignore[no-any-return]

    def show(self, deployment: str) -> dict[str, Any]:
        return self.engine.ask("GET", f"/v1/deployments/{quoted_segment(deployment)}")  # type: ignore[no-any-return]

    def log_bytes(self, deployment: str, start: int = 0, *, last: int | None = None) -> Iterator[bytes]:
        """The deployment's log as it is now, from byte `start` on; with `last` at most so many bytes, those at the end."""
        end = "" if last is None else f"&last={last}"
        return self._bytes(f"/v1/deployments/{quoted_segment(deployment)}/log?from={start}{end}")

    def steer(self, deployment: str, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """`cancel`, `approve` or `resolve` one: the deployment as it is then."""
        return self.engine.ask("POST", f"/v1/deployments/{quoted_segment(deployment)}/{what}", body or {})  # type: ignore[no-any-return]

    # -- environments ------------------------------------------------------------------------------------------------------

    def environments(self, directory: str) -> list[dict[str, Any]]:
        return self.engine.ask("GET", f"/v1/environments?directory={quoted(directory)}")["environments"]  # type: ignore[no-any-return]

    def environment(self, directory: str, name: str) -> dict[str, Any]:
        return self.engine.ask("GET", f"{_environment(name)}?directory={quoted(directory)}", answer_limit_s=30.0)  # type: ignore[no-any-return]

    def releases(self, directory: str, name: str, limit: int) -> list[dict[str, Any]]:
        target = f"{_environment(name)}/releases?limit={limit}&directory={quoted(directory)}"
        return self.engine.ask("GET", target)["releases"]  # type: ignore[no-any-return]

    def change(self, directory: str, name: str, what: str, **body: Any) -> dict[str, Any]:
        """`maintenance` or `down`: the environment as it is then."""
        target = f"{_environment(name)}/{what}"
        return self.engine.ask("POST", target, {"directory": directory, **body}, answer_limit_s=60.0)  # type: ignore[no-any-return]

    def service_log(self, directory: str, name: str, release: str | None, *, follow: bool) -> Iterator[bytes]:
        """The bytes of the service's own log."""
        query = f"directory={quoted(directory)}&follow={'true' if follow else 'false'}"
        query += f"&release={quoted_segment(release)}" if release else ""
        return self._bytes(f"{_environment(name)}/log?{query}")

    def execute(self, directory: str, name: str, command: list[str]) -> Iterator[bytes]:
        """A command beside the live release: lines {text}, at the end {exit_code}."""
        exchange = self.engine.open(f"{_environment(name)}/exec", data={"directory": directory, "command": command})
        try:
            for lines in exchange.lines():
                yield from lines
        finally:
            exchange.close()

    def _bytes(self, target: str) -> Iterator[bytes]:
        exchange = self.engine.open(target)
        try:
            while not exchange.ended:
                if data := exchange.receive():
                    yield data
        finally:
            exchange.close()


def _environment(name: str) -> str:
    return f"/v1/environments/{quoted_segment(name)}"


class Watching:
    """The events of one deployment after `since`, to its end: taken up where it broke off after every lost connection.

    Made for one `poll`, as `follow.Following` is: `fileno` says what to wait for, `receive` takes what is there without waiting.
    """

    def __init__(self, engine: Engine, deployment: str, since: int) -> None:
        self.deployment = deployment
        self.since = since
        self.ended = False
        self._engine = engine
        self._exchange: Exchange | None = None
        self._held = b""
        self._fruitless = 0

    def fileno(self) -> int:
        """What becomes readable; -1 while there is no connection: then `receive` makes one."""
        return self._exchange.fileno() if self._exchange else -1

    @property
    def waiting(self) -> bool:
        """Whether `receive` has something to do before the connection becomes readable."""
        return self._exchange is None or self._exchange.waiting

    def receive(self) -> list[tuple[dict[str, Any], bytes]]:
        """The events that have come, each with its own line. Raises SparkiError when they can't be followed any longer."""
        if self._exchange is None:
            query = f"since={self.since}&follow=true&stream={quoted_segment(self.deployment)}"
            self._exchange = self._engine.open(f"/v1/events?{query}")
            self._held = b""
        exchange = self._exchange
        try:
            data, over = exchange.take_now(), exchange.ended
        except OSError:
            data, over = b"", True
        found = list(self._take(data))
        if over and not self.ended:
            self.close()
            self._fruitless = self._engine.cut_off(self._fruitless, progress=bool(found))
        return found

    def close(self) -> None:
        if self._exchange:
            self._exchange.close()
            self._exchange = None

    def _take(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            event = json.loads(line) if line else {}
            if event.get("seq", 0) > self.since:  # not "dropped": the stream ends, and the next begins where this one was
                self.since = event["seq"]
                self.ended = self.ended or event["kind"] == "deployment.finished"
                yield event, line
