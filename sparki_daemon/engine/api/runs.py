"""The routes of runs."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sparki_daemon.engine.api import shapes
from sparki_daemon.engine.api.events import refuse_the_future
from sparki_daemon.engine.api.follow import Follower
from sparki_daemon.engine.api.log_lines import excerpts, lines_of
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.problems import refusal
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.stream import Stream
from sparki_daemon.engine.api.table import (
    DIRECTORY,
    IDEMPOTENCY_KEY,
    NDJSON,
    RUN,
    SINCE,
    Answer,
    Asked,
    Operation,
    Parameter,
    following,
    json_answer,
)
from sparki_daemon.engine.api.texts import Texts
from sparki_daemon.model.problem import ExitCode

ENDED = frozenset({"success", "failure", "cancelled", "lost", "skipped"})


async def start_runs(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.start_runs(dict(asked.body), asked.idempotency_key), 201)


async def list_runs(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    return json_answer({"runs": await engine.list_runs(directory=query["directory"], limit=query["limit"], before=query["before"])})


async def show_run(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.show_run(asked.path["run"], directory=asked.query["directory"]))


async def cancel_run(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.cancel_run(asked.path["run"], force=asked.body["force"]), 202)


async def retry_run(engine: EnginePort, asked: Asked) -> Response:
    body = asked.body
    given = {"secrets": body["secrets"], "secret_names": body["secret_names"], "from_step": body["from_step"]}
    answer = await engine.retry_run(asked.path["run"], failed=body["failed"], idempotency_key=asked.idempotency_key, **given)
    return json_answer(answer, 202)


async def show_excerpts(engine: EnginePort, asked: Asked) -> Response:
    run = await engine.show_run(asked.path["run"], directory=asked.query["directory"])
    return json_answer({"excerpts": await excerpts(engine, run)})


async def follow_run(engine: EnginePort, asked: Asked) -> Response:
    """The run's events after `since`; where they begin with its creation, nothing else need be asked first."""
    since: int = asked.query["since"]
    await refuse_the_future(engine, since)
    texts: Texts = asked.state["texts"]
    follower = Follower(engine, texts, _places(asked.query["at"] or []), log=asked.query["log"])
    subscription = engine.feed.subscription(since, asked.path["run"])
    page = await subscription.page()
    running: list[str] = []
    if not page or page[0].kind != "run.created":
        run = await engine.show_run(asked.path["run"], directory=asked.query["directory"])
        subscription = engine.feed.subscription(since, run["id"])
        page = await subscription.page()
        follower.ended = run["status"] in ENDED
        running = [job["uid"] for job in run["jobs"] if job["status"] == "running"] if asked.query["log"] else []
    return Stream(follower.chunks(subscription, page, running), since=since)


async def log_lines(engine: EnginePort, asked: Asked) -> Response:
    since = engine.feed.last  # before the look at the run: what ends after the look is told
    run = await engine.show_run(asked.path["run"], directory=asked.query["directory"])
    chosen = _chosen(run, asked.query["job"])
    subscription = engine.feed.subscription(since, run["id"]) if asked.query["follow"] and run["status"] not in ENDED else None
    return Stream(lines_of(engine, chosen, subscription))


def _places(texts: list[str]) -> dict[str, int]:
    """Byte by job from `UID:BYTE`. Raises SparkiError."""
    places = {}
    for text in texts:
        uid, _, byte = text.rpartition(":")
        if not uid or not byte.isascii() or not byte.isdigit() or len(byte) > 18:
            raise refusal("bad_value", f"'at' must be UID:BYTE, not '{text}'")
        places[uid] = int(byte)
    return places


def _chosen(run: dict[str, Any], job: str | None) -> list[str]:
    """The uids of the run's jobs in the plan's order; with `job`, of that key alone, or of all jobs of that name. Raises SparkiError."""
    found = [each["uid"] for each in run["jobs"] if job is None or job in (each["id"], each["uid"])]
    found = found or [each["uid"] for each in run["jobs"] if each["name"] == job]
    if job is not None and not found:
        known = ", ".join(each["id"] for each in run["jobs"][:20])
        raise refusal("no_such_job", f"run {run['id']} has no job '{job}'", hint=f"its jobs: {known}", exit_code=ExitCode.NOT_FOUND)
    return found


LIMIT = Parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 30}, "How many runs at most.")
BEFORE = Parameter("before", "query", {"type": "string", "minLength": 1, "maxLength": 200}, "Runs that are older than this one.")
WITH_LOG = Parameter("log", "query", {"type": "boolean", "default": False}, "Bring the text of jobs too.")
AT = Parameter(
    "at",
    "query",
    {"type": "array", "items": {"type": "string", "pattern": "^.+:[0-9]{1,18}$"}, "maxItems": 1000},
    "`UID:BYTE`: the text of that job is wanted from this byte on (the `to` of its last `log` line); repeatable.",
)
ONE_JOB = Parameter("job", "query", {"type": "string", "minLength": 1, "maxLength": 4096}, "One job's id, or name.")

NOT_FOUND = Answer("`no_such_run`")
INVALID = Answer("What is wrong with the request, or with the pipeline that it names.")
CONFLICT = Answer("The run is not in a state for that.")
BEYOND = Answer("`since_beyond_head`: the journal has no such event.")
PRUNED = Answer("`events_pruned`: the journal begins at `first_kept`.")

ROUTES = (
    Operation(
        method="POST",
        path="/v1/runs",
        name="startRuns",
        about="Start runs of a repository's pipelines. Follow them from `since`.",
        handler=start_runs,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.START,
        answers={201: Answer("What was started.", ref("Started")), 404: NOT_FOUND, 409: CONFLICT, 422: INVALID},
    ),
    Operation(
        method="GET",
        path="/v1/runs",
        name="listRuns",
        about="The newest runs first.",
        handler=list_runs,
        parameters=(DIRECTORY, LIMIT, BEFORE),
        answers={200: Answer("Runs.", ref("Runs")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}",
        name="showRun",
        about="A run with its jobs and steps.",
        handler=show_run,
        parameters=(RUN, DIRECTORY),
        answers={200: Answer("The run.", ref("Run")), 404: NOT_FOUND},
    ),
    Operation(
        method="POST",
        path="/v1/runs/{run}/cancel",
        name="cancelRun",
        about="End a run: by GitHub's ladder, or at once with `force`.",
        handler=cancel_run,
        parameters=(RUN, IDEMPOTENCY_KEY),
        body=shapes.CANCEL,
        answers={202: Answer("The run.", ref("Run")), 404: NOT_FOUND, 409: CONFLICT},
    ),
    Operation(
        method="POST",
        path="/v1/runs/{run}/retry",
        name="retryRun",
        about="A new attempt at all jobs, or at those that did not succeed.",
        handler=retry_run,
        parameters=(RUN, IDEMPOTENCY_KEY),
        body=shapes.RETRY,
        answers={202: Answer("The new attempt.", ref("Retried")), 404: NOT_FOUND, 409: CONFLICT},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}/excerpts",
        name="runExcerpts",
        about="Why a run went red: at most 20 lines of each failed step and lost job.",
        handler=show_excerpts,
        parameters=(RUN, DIRECTORY),
        answers={200: Answer("Excerpts.", ref("Excerpts")), 404: NOT_FOUND},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}/follow",
        name="followRun",
        about=(
            "The run's events after `since`, a line each; with `log` also lines {log: {uid, job, step, from, to, text}}, all of a step's"
            " text before its step.finished. Ends after the run.finished of the present attempt. A connection that ends without the last"
            " chunk was cut: come back with the last seq as `since` and the last `to` of each job as `at`."
        ),
        handler=follow_run,
        parameters=(RUN, DIRECTORY, SINCE, WITH_LOG, AT),
        answers={200: Answer("Events and text.", media=NDJSON), 404: NOT_FOUND, 409: BEYOND, 410: PRUNED},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}/lines",
        name="runLines",
        about=(
            "The log as lines {job, step, index, line, time, text}, jobs in the plan's order. `time`: the line began then, or less than a"
            " second later."
        ),
        handler=log_lines,
        parameters=(RUN, DIRECTORY, ONE_JOB, following("Stay until the run has ended.")),
        answers={200: Answer("Lines.", media=NDJSON), 404: NOT_FOUND},
    ),
)
