"""Turns every failure into a problem document. Source: RFC 9457; `code`, `exit_code` and `problems` are Sparki's additions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from sparki_daemon.engine.feed import encode
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

MEDIA_TYPE = "application/problem+json"

STATUS_OF_CODE: Mapping[str, int] = {
    "malformed_json": 400,
    "not_same_user": 403,
    "method_not_allowed": 405,
    "run_finished": 409,
    "run_active": 409,
    "deployment_finished": 409,
    "deployment_begun": 409,
    "deployment_not_unknown": 409,
    "no_approval_needed": 409,
    "deploying": 409,
    "runs_active": 409,
    "deployments_active": 409,
    "idempotency_mismatch": 409,
    "since_beyond_head": 409,
    "events_pruned": 410,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "disk_full": 507,
    "internal_error": 500,
}
STATUS_OF_EXIT: Mapping[ExitCode, int] = {
    ExitCode.USAGE: 422,
    ExitCode.UNREACHABLE: 503,
    ExitCode.NOT_ALLOWED: 403,
    ExitCode.NOT_FOUND: 404,
    ExitCode.UNKNOWN_END: 409,
    ExitCode.INTERRUPTED: 409,
}

log = logging.getLogger("sparki.api")


def status_of(error: SparkiError) -> int:
    """The HTTP status: by the code where it says more than the exit code does; 500 for what only the engine can mend."""
    return STATUS_OF_CODE.get(error.problems[0].code) or STATUS_OF_EXIT.get(error.exit_code, 500)


def document(error: SparkiError) -> dict[str, Any]:
    """The problem document; the first problem is the main one. A pruned journal's error tells the `first` seq that is kept."""
    main = error.problems[0]
    found: dict[str, Any] = {
        "type": f"urn:sparki:problem:{main.code}",
        "title": main.code.replace("_", " "),
        "status": status_of(error),
        "detail": main.message,
        "code": main.code,
        "exit_code": int(error.exit_code),
        "problems": [problem.to_json() for problem in error.problems],
    }
    first = getattr(error, "first", None)
    if main.code == "events_pruned" and first is not None:
        found["first_kept"] = first
    return found


def refusal(code: str, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.USAGE) -> SparkiError:
    """A SparkiError of one problem."""
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=exit_code)


def answer(error: SparkiError, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode(document(error)), status_of(error), headers, MEDIA_TYPE)


async def on_sparki_error(_: HTTPConnection, error: Exception) -> Response:
    """The one handler of what a user must be told."""
    assert isinstance(error, SparkiError)
    return answer(error)


async def on_http_error(request: HTTPConnection, error: Exception) -> Response:
    """What the router refuses: an unknown path, a method that a path lacks."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return answer(refusal("method_not_allowed", f"{request.url.path} answers {allowed} only"), error.headers)
    return answer(refusal("no_such_path", f"the API has no {request.url.path}", hint="GET /v1/openapi.json", exit_code=ExitCode.NOT_FOUND))


async def on_departure(_: HTTPConnection, error: Exception) -> Response:
    """The client left in the middle of its request: nobody is there to read an answer."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


async def on_unexpected(request: HTTPConnection, error: Exception) -> Response:
    """A fault of the engine: the operator's log has the trace, the client the fact."""
    log.error("%s failed", request.url.path, exc_info=error)
    return answer(refusal("internal_error", "the engine failed on this request", hint="sparki daemon logs", exit_code=ExitCode.RED))
