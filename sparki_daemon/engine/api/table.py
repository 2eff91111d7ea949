"""What a route is: one row of data that the router, the checks and the OpenAPI document all read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sparki_daemon.engine.api import checks
from sparki_daemon.engine.api.checks import Schema
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.problems import refusal
from sparki_daemon.engine.feed import encode
from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Problem, SparkiError

MAX_BODY_BYTES = 16 * 1024 * 1024
JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a route."""

    name: str
    place: Literal["path", "query", "header"]
    schema: Schema
    about: str
    required: bool = False
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a route. `schema` None: no body, or one that is no JSON."""

    about: str
    schema: Schema | None = None
    media: str = JSON
    headers: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passed the checks; parameters that were left out have their default, or are None."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    idempotency_key: str | None
    state: Mapping[str, Any]  # of the connection: see `connection`


Handler = Callable[[EnginePort, Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    about: str
    handler: Handler
    answers: Mapping[int, Answer]
    parameters: Sequence[Parameter] = ()
    body: Schema | None = None


RUN = Parameter(
    "run", "path", {"type": "string", "minLength": 1, "maxLength": 200}, "An id (`r-…`), a unique prefix, or `latest`.", required=True
)
JOB = Parameter("uid", "path", {"type": "string", "minLength": 1, "maxLength": 200}, "A job's uid.", required=True)
DIRECTORY = Parameter(
    "directory",
    "query",
    {"type": "string", "pattern": "^/[^\\x00]*$", "maxLength": 4096, "description": "must be an absolute path"},
    "Runs of the repository that this folder lies in.",
)
SINCE = Parameter(
    "since", "query", {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0}, "Every event after this one; 0 is all of them."
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$", "description": "must be 1 to 255 visible ASCII characters"},
    "The same key and body again give the first answer again, and start nothing.",
)


def following(about: str) -> Parameter:
    """The parameter `follow` of a route that may stay open."""
    return Parameter("follow", "query", {"type": "boolean", "default": False}, about)


def json_answer(data: object, status: int = 200) -> Response:
    return Response(encode(data), status, media_type=JSON)


async def asked(operation: Operation, request: Request) -> Asked:
    """The request as the handler wants it. Raises SparkiError with every problem, the first being the main one."""
    problems: list[Problem] = []
    query = checked_query(operation, request, problems)
    problems += _path_problems(operation, request.path_params)
    key = _header(operation, request, problems)
    body = await _body(operation, request, problems)
    if problems:
        raise SparkiError(*problems)
    return Asked(request.path_params, query, body, key, request.scope["state"])


def checked_query(operation: Operation, request: HTTPConnection, problems: list[Problem]) -> dict[str, Any]:
    """The query's values by name; what is wrong goes to `problems`."""
    given: dict[str, list[str]] = {}
    for name, text in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
        given.setdefault(name, []).append(text)
    values: dict[str, Any] = {}
    known = [parameter for parameter in operation.parameters if parameter.place == "query"]
    for parameter in known:
        texts = given.pop(parameter.name, None)
        values[parameter.name] = parameter.schema.get("default")
        if texts is None:
            continue
        try:
            values[parameter.name] = checks.from_text(parameter.schema, texts)
        except ValueError as error:
            problems.append(Problem(code="bad_value", message=f"'{parameter.name}' {error}"))
            continue
        problems += checks.problems_of(parameter.schema, values[parameter.name], parameter.name)
    problems += (checks.unknown(name, [parameter.name for parameter in known], "parameter") for name in given)
    return values


def _path_problems(operation: Operation, values: Mapping[str, str]) -> Iterator[Problem]:
    for parameter in operation.parameters:
        if parameter.place == "path":
            yield from checks.problems_of(parameter.schema, values[parameter.name], parameter.name)


def _number(text: str) -> int | float:
    """1.0 is an integer. Source: JSON Schema 2020-12 (Validation), section 6.1.1."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _header(operation: Operation, request: Request, problems: list[Problem]) -> str | None:
    if IDEMPOTENCY_KEY not in operation.parameters:
        return None
    key: str | None = request.headers.get(IDEMPOTENCY_KEY.name)
    if key is not None:
        problems += checks.problems_of(IDEMPOTENCY_KEY.schema, key, IDEMPOTENCY_KEY.name)
    return key


async def _body(operation: Operation, request: Request, problems: list[Problem]) -> dict[str, Any]:
    """The body's keys with their defaults. No body counts as an empty object. Raises SparkiError for what can't be read at all."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise refusal("body_too_large", f"a request has at most {MAX_BODY_BYTES} bytes")
    if operation.body is None or not data:
        value: Any = {}
    else:
        media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media != JSON:
            raise refusal("unsupported_media_type", f"the body must be {JSON}, not {media}")
        try:
            value = json.loads(data, parse_float=_number, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise refusal("malformed_json", "the body is no JSON") from None
    if operation.body is None:
        return {}
    found = list(checks.problems_of(operation.body, value))
    problems += found
    return {} if found else checks.with_defaults(operation.body, value)
