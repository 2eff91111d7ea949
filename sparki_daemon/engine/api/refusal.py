"""The API of an engine that can't start: every request is answered with what keeps it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from sparki_daemon.engine.api.problems import answer
from sparki_daemon.model.problem import SparkiError


def build_refusal(error: SparkiError, answered: Callable[[], object]) -> ASGIApp:
    """An app that says `error` to everyone; `answered` is called after each answer."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011, "reason": str(error)[:120]})
        else:
            await answer(error)(scope, receive, send)
        answered()

    return refuse
