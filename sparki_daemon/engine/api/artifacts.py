"""The routes of what the jobs of a run have left: artifacts, and the bytes of their files."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.stream import CHUNK_BYTES, Chunks, Stream
from sparki_daemon.engine.api.table import DIRECTORY, RUN, Answer, Asked, Operation, Parameter, json_answer

BYTES = "application/octet-stream"


async def list_artifacts(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.artifacts(asked.path["run"], directory=asked.query["directory"]))


async def artifact_file(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    path = await engine.artifact_file(asked.path["run"], query["name"], query["file"])
    return Stream(_bytes(path), BYTES)


async def _bytes(path: str) -> Chunks:
    with await asyncio.to_thread(open, path, "rb") as file:
        while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield data, None


NAME = Parameter("name", "query", {"type": "string", "maxLength": 4096, "default": ""}, "The artifact's name.")
FILE = Parameter("file", "query", {"type": "integer", "minimum": 0, "maximum": 2**31, "default": 0}, "The file's place in `files`, from 0.")

ROUTES = (
    Operation(
        method="GET",
        path="/v1/runs/{run}/artifacts",
        name="listArtifacts",
        about="The run's artifacts by name; of those with one name the newest attempt's.",
        handler=list_artifacts,
        parameters=(RUN, DIRECTORY),
        answers={200: Answer("Artifacts.", ref("Artifacts")), 404: Answer("`no_such_run`")},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run}/artifact",
        name="artifactFile",
        about="The bytes of one file of an artifact. Who takes them holds them against the listing's `sha256`.",
        handler=artifact_file,
        parameters=(RUN, NAME, FILE),
        answers={200: Answer("Bytes.", media=BYTES), 404: Answer("`no_such_run`, `no_such_artifact`")},
    ),
)
