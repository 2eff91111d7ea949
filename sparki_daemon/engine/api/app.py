"""Puts the API together: the table of routes, its one error handler, the engine behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from sparki_daemon.engine.api import artifacts, binds, cache, daemon, deployments, environments, events, history, jobs, problems, runs
from sparki_daemon.engine.api.events import Frames
from sparki_daemon.engine.api.openapi import openapi
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.table import Answer, Asked, Operation, asked, json_answer
from sparki_daemon.engine.api.texts import Texts
from sparki_daemon.model.problem import SparkiError

OPERATIONS: tuple[Operation, ...] = (
    *daemon.ROUTES,
    *runs.ROUTES,
    *history.ROUTES,
    *artifacts.ROUTES,
    *cache.ROUTES,
    *jobs.ROUTES,
    *deployments.ROUTES,
    *environments.ROUTES,
    *binds.ROUTES,
    *events.ROUTES,
)


def build(engine: EnginePort) -> ASGIApp:
    """The API of `engine`."""
    operations = (*OPERATIONS, _document_route())
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[
            *(_route(path, methods, engine) for path, methods in by_path.items()),
            WebSocketRoute(events.EVENTS.path, events.events_socket),
        ],
        exception_handlers={
            SparkiError: problems.on_sparki_error,
            HTTPException: problems.on_http_error,
            ClientDisconnect: problems.on_departure,
            Exception: problems.on_unexpected,
        },
    )
    app.router.redirect_slashes = False  # one address a thing
    app.router.default = _no_such_path
    shared = {"engine": engine, "texts": Texts(), "frames": Frames()}

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {**scope.get("state", {}), **shared}
        await app(scope, receive, send)

    return with_state


def _route(path: str, methods: Mapping[str, Operation], engine: EnginePort) -> Route:
    async def endpoint(request: Request) -> Response:
        operation = methods[request.method]
        return await operation.handler(engine, await asked(operation, request))

    route = Route(path, endpoint, methods=list(methods))
    assert route.methods is not None
    route.methods.discard("HEAD")  # a stream has no head to tell apart
    return route


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    connection = WebSocket(scope, receive, send) if scope["type"] == "websocket" else Request(scope)
    response = await problems.on_http_error(connection, HTTPException(404))
    await response(scope, receive, send)


def _document_route() -> Operation:
    document: list[dict[str, Any]] = []  # made when it is first asked for

    async def show(_: EnginePort, __: Asked) -> Response:
        if not document:
            document.append(openapi(operations))
        return json_answer(document[0])

    route = Operation(
        method="GET",
        path="/v1/openapi.json",
        name="openapi",
        about="This document.",
        handler=show,
        answers={200: Answer("An OpenAPI 3.1 document.", {"type": "object"})},
    )
    operations = (*OPERATIONS, route)
    return route
