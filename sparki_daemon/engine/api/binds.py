"""The routes of bound repositories."""

from __future__ import annotations

from starlette.responses import Response

from sparki_daemon.engine.api import bind_shapes as shapes
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.table import IDEMPOTENCY_KEY, Answer, Asked, Operation, json_answer


async def bind(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.binding.bind(dict(asked.body)), 201)


async def unbind(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.binding.unbind(asked.body["directory"]))


async def receive(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.binding.receive(dict(asked.body)))


NOT_FOUND = Answer("`no_repository`, `not_bound`, `no_such_remote`, `no_such_push`")
INVALID = Answer("`remote_exists`, `already_bound`, `bad_remote_name`, `hooks_elsewhere`")

ROUTES = (
    Operation(
        method="POST",
        path="/v1/binds",
        name="bind",
        about="Give a repository a remote whose pushes are run and deployed. Again, it mends what is there.",
        handler=bind,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.BIND,
        answers={201: Answer("The bind.", ref("Bind")), 404: NOT_FOUND, 422: INVALID},
    ),
    Operation(
        method="POST",
        path="/v1/unbinds",
        name="unbind",
        about="Take all of a bind away. The bare repository goes with the end of what runs from it.",
        handler=unbind,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.UNBIND,
        answers={200: Answer("What went.", ref("Unbound")), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/pushes",
        name="receivePush",
        about="What became of a push that a hook has written down; the same push begins everything once.",
        handler=receive,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.RECEIVE,
        answers={200: Answer("Runs and deployments by ref.", ref("PushReceived")), 404: NOT_FOUND},
    ),
)
