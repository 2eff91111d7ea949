"""The routes of what past runs tell."""

from __future__ import annotations

from starlette.responses import Response

from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.table import DIRECTORY, RUN, Answer, Asked, Operation, Parameter, json_answer


async def job_history(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    return json_answer({"jobs": await engine.job_history(query["aspect"], directory=query["directory"], limit=query["limit"])})


async def run_history(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.run_history(asked.path["run"], directory=asked.query["directory"]))


ASPECT = Parameter(
    "aspect",
    "query",
    {"type": "string", "enum": ["flaky", "slow", "expensive"]},
    "What jobs are looked for.",
    required=True,
    example="slow",
)
LIMIT = Parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 30}, "How many jobs at most.")
NOT_FOUND = Answer("`no_such_run`, or no repository")

ROUTES = (
    Operation(
        method="GET",
        path="/v1/history",
        name="jobHistory",
        about="Jobs of the last 200 runs that are flaky (same tree, different result), slower than their last 20 times, or expensive.",
        handler=job_history,
        parameters=(ASPECT, DIRECTORY, LIMIT),
        answers={200: Answer("Jobs, the most telling first.", ref("PastJobs")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}/history",
        name="runHistory",
        about="What the runs of the same pipeline before it say of a run: broken since when, flaky jobs, jobs slower than usual.",
        handler=run_history,
        parameters=(RUN, DIRECTORY),
        answers={200: Answer("What they say.", ref("RunHistory")), 404: NOT_FOUND},
    ),
)
