"""The routes of the results of jobs that are kept."""

from __future__ import annotations

from starlette.responses import Response

from sparki_daemon.engine.api import shapes
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.table import IDEMPOTENCY_KEY, Answer, Asked, Operation, Parameter, json_answer


async def entries(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.cache_entries(asked.query["directory"]))


async def prune(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.prune_cache(asked.body["directory"], asked.body.get("limit_bytes")))


DIRECTORY = Parameter("directory", "query", shapes.DIRECTORY, "A folder of the repository.", required=True, example="/")
NOT_FOUND = Answer("no repository")

ROUTES = (
    Operation(
        method="GET",
        path="/v1/cache",
        name="cacheEntries",
        about="The results of a repository's jobs that are kept, the last used first.",
        handler=entries,
        parameters=(DIRECTORY,),
        answers={200: Answer("The results.", ref("CacheEntries")), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/cache/prune",
        name="pruneCache",
        about="Drop results, those first that were used longest ago, until no more than `limit_bytes` are left (else the project's bound).",
        handler=prune,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.PRUNE_CACHE,
        answers={200: Answer("What went.", ref("Evicted")), 404: NOT_FOUND},
    ),
)
