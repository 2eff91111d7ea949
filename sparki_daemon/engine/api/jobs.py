"""The route of a job's log, byte by byte."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from sparki_daemon.engine.api.ports import EnginePort, JobLog
from sparki_daemon.engine.api.stream import CHUNK_BYTES, Chunks, Stream
from sparki_daemon.engine.api.table import JOB, TEXT, Answer, Asked, Operation, Parameter, following
from sparki_daemon.engine.feed import Subscription
from sparki_daemon.store.log_reader import LogReader


async def job_log(engine: EnginePort, asked: Asked) -> Response:
    start, end = asked.query["from"], asked.query["to"]
    since = engine.feed.last  # before the look at the job: an end after the look is told
    log = await engine.job_log(asked.path["uid"])
    with LogReader(log.file) as reader:
        size = reader.size()
    subscription = engine.feed.subscription(since, log.run) if asked.query["follow"] and not log.ended else None
    return Stream(_bytes(engine, log, start, end, subscription), TEXT, headers={"Sparki-Log-Size": str(size)})


async def _bytes(engine: EnginePort, log: JobLog, at: int, end: int | None, subscription: Subscription | None) -> Chunks:
    with LogReader(log.file) as reader:
        if subscription is not None:
            async with engine.log_watch.watch(log.uid) as changed:
                ended = False
                while not ended and (end is None or at < end):
                    ended = await _ended(subscription, log.uid)
                    stop = reader.size() if end is None else min(end, reader.size())
                    while data := reader.read(at, min(CHUNK_BYTES, stop - at)):
                        yield data, None
                        at += len(data)
                    if not ended:
                        await changed()
        stop = reader.size() if end is None else min(end, reader.size())
        while data := reader.read(at, min(CHUNK_BYTES, stop - at)):
            yield data, None
            at += len(data)
            await asyncio.sleep(0)  # a long log must not keep the loop from others


async def _ended(subscription: Subscription, uid: str) -> bool:
    """The job has ended, by the events so far."""
    ended = False
    while events := await subscription.page():
        ended = ended or any(event.kind == "job.finished" and event.data.get("uid") == uid for event in events)
    return ended


OFFSET = {"type": "integer", "minimum": 0, "maximum": 2**53}

ROUTES = (
    Operation(
        method="GET",
        path="/v1/jobs/{uid}/log",
        name="jobLog",
        about="The bytes of a job's log, of a running job too. With `follow` the answer ends when the job has ended and all was sent.",
        handler=job_log,
        parameters=(
            JOB,
            Parameter("from", "query", {**OFFSET, "default": 0}, "The first byte."),
            Parameter("to", "query", OFFSET, "The byte after the last; left out: the log's end."),
            following("Stay until the job has ended."),
        ),
        answers={
            200: Answer("Text.", media=TEXT, headers={"Sparki-Log-Size": {"type": "integer", "minimum": 0}}),
            404: Answer("`no_such_job`"),
        },
    ),
)
