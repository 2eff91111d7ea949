"""The OpenAPI 3.1 document, made from the table of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparki_daemon.engine.api import bind_shapes, deploy_shapes, shapes
from sparki_daemon.engine.api.problems import MEDIA_TYPE
from sparki_daemon.engine.api.table import JSON, Answer, Operation, Parameter

# What any route may answer beside its own; the second, where a route takes a body.
SHARED = {
    400: "No HTTP request, or a target of over 64 KiB; of a body: no JSON.",
    403: "`not_same_user`",
    422: "A parameter, or the body, is no good.",
    500: "A fault of the engine: its log has more.",
}
SHARED_OF_BODIES = {413: "The body is too large.", 415: "The body is not JSON by its type.", 507: "`disk_full`"}


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of the API."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sparki", "version": "1", "description": "The engine of a state folder, over its Unix socket."},
        "servers": [{"url": "/", "description": "The Unix socket that `daemon.json` names."}],
        "paths": paths,
        "components": {"schemas": {**shapes.COMPONENTS, **deploy_shapes.COMPONENTS, **bind_shapes.COMPONENTS}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "description": operation.about,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        required = bool(operation.body.get("required"))
        found["requestBody"] = {"required": required, "content": {JSON: {"schema": operation.body}}}
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": parameter.schema,
    }


def _responses(operation: Operation) -> dict[str, Any]:
    shared = SHARED if operation.body is None else {**SHARED, **SHARED_OF_BODIES}
    answers = {**{status: Answer(about) for status, about in shared.items()}, **operation.answers}
    return {str(status): _answer(status, answer) for status, answer in sorted(answers.items())}


def _answer(status: int, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"description": answer.about}
    if status >= 400:
        found["content"] = {MEDIA_TYPE: {"schema": shapes.ref("ProblemDocument")}}
    elif status >= 200:
        found["content"] = {answer.media: {"schema": answer.schema} if answer.schema else {}}
    if answer.headers:
        found["headers"] = {name: {"schema": schema, "required": True} for name, schema in answer.headers.items()}
    return found
