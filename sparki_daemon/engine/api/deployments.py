"""The routes of deployments."""

from __future__ import annotations

import os

from starlette.responses import Response

from sparki_daemon.engine.api import deploy_shapes as shapes
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import NOTHING, ref
from sparki_daemon.engine.api.stream import CHUNK_BYTES, Chunks, Stream
from sparki_daemon.engine.api.table import DIRECTORY, IDEMPOTENCY_KEY, TEXT, Answer, Asked, Operation, Parameter, json_answer


async def deploy(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.deploy(dict(asked.body), asked.idempotency_key), 201)


async def plan(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.plan(dict(asked.body)))


async def rollback(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.rollback(dict(asked.body), asked.idempotency_key), 201)


async def promote(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.promote(dict(asked.body), asked.idempotency_key), 201)


async def listing(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    found = await engine.deploying.listing(directory=query["directory"], environment=query["environment"], limit=query["limit"])
    return json_answer({"deployments": found})


async def show(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.show(asked.path["deployment"]))


async def cancel(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.cancel(asked.path["deployment"], keep=asked.body["keep"]), 202)


async def approve(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.approve(asked.path["deployment"]), 202)


async def resolve(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.deploying.resolve(asked.path["deployment"], asked.body["outcome"]), 202)


async def log(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    return Stream(_bytes(await engine.deploying.log(asked.path["deployment"]), query["from"], query["last"]), TEXT)


async def _bytes(path: str, start: int, last: int | None) -> Chunks:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # nothing was said yet
        return
    try:
        if last is not None:
            start = max(start, os.fstat(fd).st_size - last)
        while data := os.pread(fd, CHUNK_BYTES, start):
            start += len(data)
            yield data, None
    finally:
        os.close(fd)


DEPLOYMENT = Parameter(
    "deployment", "path", {"type": "string", "minLength": 1, "maxLength": 200}, "An id (`d-…`), or a unique prefix.", required=True
)
ENVIRONMENT = Parameter("environment", "query", {"type": "string", "minLength": 1, "maxLength": 200}, "Deployments to this one.")
LIMIT = Parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 30}, "How many at most.")
FROM = Parameter("from", "query", {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0}, "The first byte.")
LAST = Parameter("last", "query", {"type": "integer", "minimum": 0, "maximum": 2**53}, "At most so many bytes, those at the end.")

ASKED = Answer("What was asked for; follow its events from `since`, with the deployment as `stream`.", ref("DeploymentAsked"))
NOT_FOUND = Answer("`no_such_deployment`, `no_repository`, `no_such_release`, `release_pruned` …")
INVALID = Answer("What is wrong with the request, or with sparki.yml.")
NOT_ALLOWED = Answer("`branch_not_allowed`, `own_deployment`")
CONFLICT = Answer("It is not in a state for that.")
MAKING = {201: ASKED, 403: NOT_ALLOWED, 404: NOT_FOUND, 409: CONFLICT, 422: INVALID}
STEERING = {202: Answer("The deployment.", ref("Deployment")), 403: NOT_ALLOWED, 404: NOT_FOUND, 409: CONFLICT}

ROUTES = (
    Operation(
        method="POST",
        path="/v1/deployments",
        name="deploy",
        about="Deploy a commit, or a release that is there.",
        handler=deploy,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.DEPLOY,
        answers=MAKING,
    ),
    Operation(
        method="GET",
        path="/v1/deployments",
        name="listDeployments",
        about="The newest deployments first.",
        handler=listing,
        parameters=(DIRECTORY, ENVIRONMENT, LIMIT),
        answers={200: Answer("Deployments.", ref("Deployments")), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/deployment-plans",
        name="planDeployment",
        about="What a deployment would change and wait for. Nothing is touched.",
        handler=plan,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.DEPLOY,
        answers={200: Answer("The plan.", ref("DeploymentPlan")), 403: NOT_ALLOWED, 404: NOT_FOUND, 422: INVALID},
    ),
    Operation(
        method="POST",
        path="/v1/rollbacks",
        name="rollBack",
        about="Deploy an old release's very artifact; without `release` that which was live before the present one.",
        handler=rollback,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.ROLLBACK,
        answers=MAKING,
    ),
    Operation(
        method="POST",
        path="/v1/promotions",
        name="promote",
        about="Deploy to `environment` what is live in `source`.",
        handler=promote,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.PROMOTE,
        answers=MAKING,
    ),
    Operation(
        method="GET",
        path="/v1/deployments/{deployment}",
        name="showDeployment",
        about="A deployment with its steps.",
        handler=show,
        parameters=(DEPLOYMENT,),
        answers={200: Answer("The deployment.", ref("Deployment")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/deployments/{deployment}/log",
        name="deploymentLog",
        about="What the deployment's steps and commands have said so far.",
        handler=log,
        parameters=(DEPLOYMENT, FROM, LAST),
        answers={200: Answer("Text.", media=TEXT), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/deployments/{deployment}/cancel",
        name="cancelDeployment",
        about="Undo it as far as it has come; with `keep` what has the traffic keeps it, and is watched no longer.",
        handler=cancel,
        parameters=(DEPLOYMENT, IDEMPOTENCY_KEY),
        body=shapes.CANCEL,
        answers=STEERING,
    ),
    Operation(
        method="POST",
        path="/v1/deployments/{deployment}/approve",
        name="approveDeployment",
        about="Say yes to one that waits for approval.",
        handler=approve,
        parameters=(DEPLOYMENT, IDEMPOTENCY_KEY),
        body=NOTHING,
        answers=STEERING,
    ),
    Operation(
        method="POST",
        path="/v1/deployments/{deployment}/resolve",
        name="resolveDeployment",
        about="Say how one ended whose end is unknown, or have it tried again.",
        handler=resolve,
        parameters=(DEPLOYMENT, IDEMPOTENCY_KEY),
        body=shapes.RESOLVE,
        answers=STEERING,
    ),
)
