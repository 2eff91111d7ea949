"""The routes of environments, what is live in them, and their releases."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from sparki_daemon.engine.api import deploy_shapes as shapes
from sparki_daemon.engine.api.deployments import INVALID, LIMIT
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.stream import Chunks, Stream
from sparki_daemon.engine.api.table import IDEMPOTENCY_KEY, NDJSON, TEXT, Answer, Asked, Operation, Parameter, following, json_answer
from sparki_daemon.engine.feed import encode
from sparki_daemon.model.problem import SparkiError


async def listing(engine: EnginePort, asked: Asked) -> Response:
    return json_answer({"environments": await engine.deploying.environments(asked.query["directory"])})


async def show(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.environment(asked.query["directory"], asked.path["environment"]))


async def releases(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    return json_answer({"releases": await engine.deploying.releases(query["directory"], asked.path["environment"], query["limit"])})


async def log(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    lines = await engine.deploying.service_log(
        query["directory"], asked.path["environment"], release=query["release"] or "", follow=query["follow"]
    )

    async def chunks() -> Chunks:
        async for line in lines:
            yield f"{line}\n".encode("utf-8", "surrogateescape"), None

    return Stream(chunks(), TEXT)


async def execute(engine: EnginePort, asked: Asked) -> Response:
    run = await engine.deploying.execute(asked.body["directory"], asked.path["environment"], asked.body["command"])

    async def chunks() -> Chunks:
        told: asyncio.Queue[str | None] = asyncio.Queue()
        doing = asyncio.ensure_future(run(told.put_nowait))
        doing.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (line := await told.get()) is not None:
                yield encode({"text": line}) + b"\n", None
            try:
                yield encode({"exit_code": doing.result()}) + b"\n", None
            except SparkiError as error:
                yield encode({"error": error.problems[0].to_json(), "exit_code": int(error.exit_code)}) + b"\n", None
        finally:
            doing.cancel()

    return Stream(chunks())


async def maintenance(engine: EnginePort, asked: Asked) -> Response:
    body = asked.body
    return json_answer(await engine.deploying.maintenance(body["directory"], asked.path["environment"], on=body["on"]))


async def down(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.down(asked.body["directory"], asked.path["environment"]))


ENVIRONMENT = Parameter("environment", "path", shapes.NAME, "Its name in sparki.yml.", required=True)
WHERE = Parameter("directory", "query", shapes.FOLDER, "A folder of the repository.", required=True, example="/repo")
RELEASE = Parameter("release", "query", shapes.NAME, "Another release than the live one.")
NOT_FOUND = Answer("`no_such_environment`, `nothing_live`, `no_repository`")
SHOWN = Answer("The environment.", ref("Environment"))

ROUTES = (
    Operation(
        method="GET",
        path="/v1/environments",
        name="listEnvironments",
        about="The environments of a repository, and what is live in each.",
        handler=listing,
        parameters=(WHERE,),
        answers={200: Answer("Environments.", ref("Environments")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/environments/{environment}",
        name="showEnvironment",
        about="What is live, whether it is well now, and how it differs from what was released.",
        handler=show,
        parameters=(ENVIRONMENT, WHERE),
        answers={200: SHOWN, 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/environments/{environment}/releases",
        name="listReleases",
        about="Releases, the newest first.",
        handler=releases,
        parameters=(ENVIRONMENT, WHERE, LIMIT),
        answers={200: Answer("Releases.", ref("Releases")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/environments/{environment}/log",
        name="serviceLog",
        about="The lines that the live release's service wrote.",
        handler=log,
        parameters=(ENVIRONMENT, WHERE, RELEASE, following("Stay, and send what comes.")),
        answers={200: Answer("Text.", media=TEXT), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/environments/{environment}/exec",
        name="executeBeside",
        about="Run a command in the live release's folder and environment: lines {text}, at the end {exit_code}.",
        handler=execute,
        parameters=(ENVIRONMENT, IDEMPOTENCY_KEY),
        body=shapes.EXECUTE,
        answers={200: Answer("Lines.", media=NDJSON), 404: NOT_FOUND, 422: INVALID},
    ),
    Operation(
        method="POST",
        path="/v1/environments/{environment}/maintenance",
        name="setMaintenance",
        about="Answer everyone with a notice, or no longer.",
        handler=maintenance,
        parameters=(ENVIRONMENT, IDEMPOTENCY_KEY),
        body=shapes.MAINTENANCE,
        answers={200: SHOWN, 404: NOT_FOUND, 422: INVALID},
    ),
    Operation(
        method="POST",
        path="/v1/environments/{environment}/down",
        name="endEnvironment",
        about="End the service and what serves it; releases stay.",
        handler=down,
        parameters=(ENVIRONMENT, IDEMPOTENCY_KEY),
        body=shapes.IN,
        answers={200: SHOWN, 404: NOT_FOUND, 422: INVALID},
    ),
)
