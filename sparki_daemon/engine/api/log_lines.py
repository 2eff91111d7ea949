"""A run's log as lines with their step and time: `sparki logs`, and why a run went red."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from sparki_daemon.engine.api.follow import SETTLE_S
from sparki_daemon.engine.api.ports import EnginePort, JobLog
from sparki_daemon.engine.api.stream import Batch, Chunks
from sparki_daemon.engine.feed import Subscription, encode
from sparki_daemon.store.log_reader import BLOCK_BYTES, LogReader

EXCERPT_LINES = 20
EXCERPT_COLUMNS = 10_000


async def lines_of(engine: EnginePort, uids: Sequence[str], subscription: Subscription | None) -> Chunks:
    """NDJSON: one job after the other, always in the same order. With a subscription on the run, each until it has ended."""
    batch = Batch()
    news = _News(subscription) if subscription is not None else None
    for uid in uids:
        log = await engine.job_log(uid)
        with LogReader(log.file) as reader:
            printer = LinePrinter(reader)
            async with aclosing(_looks(engine, log, reader, news)) as looks:
                async for known, end in looks:
                    for line in printer.lines(known, end):
                        if batch.add(line):
                            yield batch.take()
                            await asyncio.sleep(0)  # a long log must not keep the loop from others
                    if batch.size:
                        yield batch.take()


class _News:
    """What a run's events say of the jobs that are followed one after the other."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.over = False  # the run has ended: so have its jobs

    async def of(self, uid: str) -> bool:
        """Something happened to the job since it was last asked for."""
        found = False
        while events := await self._subscription.page():
            self.over = self.over or any(event.kind == "run.finished" for event in events)
            found = found or any(event.data.get("uid") == uid for event in events)
        return found


async def _looks(engine: EnginePort, log: JobLog, reader: LogReader, news: _News | None) -> AsyncGenerator[tuple[JobLog, int], None]:
    """(the job's log, its bytes that may be shown now) again and again, the last time when there will be no more."""
    if news is None or news.over or log.ended:
        yield log, reader.size()
        return
    wake = asyncio.Event()
    with engine.feed.waking(wake.set):
        async with engine.log_watch.watch(log.uid) as changed:
            while True:
                size = reader.size()
                await asyncio.sleep(SETTLE_S)  # so that the step of these bytes is known
                if await news.of(log.uid):
                    log = await engine.job_log(log.uid)
                if log.ended or news.over:
                    yield log, reader.size()
                    return
                yield log, size
                await _either(wake, changed)


async def _either(wake: asyncio.Event, changed: Any) -> None:
    tasks = [asyncio.ensure_future(wake.wait()), asyncio.ensure_future(changed())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        wake.clear()


class LinePrinter:
    """The lines of one log, each once, as JSON."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._at = 0
        self._scanned = 0  # no line end between _at and here
        self._times = _Times(reader)

    def lines(self, log: JobLog, end: int) -> Iterator[bytes]:
        """What is new up to byte `end`: whole lines, and the unfinished one when the job has ended."""
        stop = end if log.ended else self._last_line_end(end)
        if stop <= self._at:
            return
        steps = log.written
        starts = [step.start for step in steps]
        self._times.look()
        for number, offset, text in self._reader.lines(self._at, stop):
            found = bisect_right(starts, offset) - 1
            step = steps[found] if found >= 0 else None
            if step is not None and step.end is not None and offset >= step.end:
                step = None
            yield encode(
                {
                    "job": log.key,
                    "step": step.name if step else None,
                    "index": step.index if step else None,
                    "line": number,
                    "time": self._times.at(offset, step.started if step else "") or log.started,
                    "text": text.removesuffix(b"\r").decode("utf-8", "replace"),
                }
            )
        self._at = self._scanned = stop

    def _last_line_end(self, end: int) -> int:
        """The end of the last whole line between what was shown and `end`, read backwards."""
        high = end
        while high > self._scanned:
            low = max(self._scanned, high - BLOCK_BYTES)
            found = self._reader.read(low, high - low).rfind(b"\n")
            if found >= 0:
                return low + found + 1
            high = low
        self._scanned = max(self._scanned, end)
        return self._at


class _Times:
    """When lines were written, for offsets that only rise: the log's index where it has one, else when the step began.

    A time is never later than its line, and less than a second earlier: a log without an index has only text of the job's first second.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._count = self._next = 0
        self._now = ""

    def look(self) -> None:
        """The log may have grown, and its index."""
        self._count = self._reader.trusted_records()

    def at(self, offset: int, step_started: str) -> str:
        """RFC 3339, UTC; empty: nothing is known."""
        while self._next < self._count and (record := self._reader.record(self._next))[0] <= offset:
            self._now = datetime.fromtimestamp(record[2] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._next += 1
        return max(self._now, step_started)


async def excerpts(engine: EnginePort, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The last lines of each failed step of `run` (the answer to `show`), of lost jobs and of those that ran out of time.

    A failure that `continue-on-error` lets pass explains nothing.
    """
    found = []
    for job in run["jobs"]:
        if job.get("tolerated"):
            continue
        lost = job["status"] == "lost" or job.get("reason") == "timed_out"
        failed = [(number, step) for number, step in enumerate(job["steps"]) if step["conclusion"] == "failure"]
        if not lost and (job["status"] != "failure" or not failed):
            if job["status"] == "failure":
                found.append(_excerpt(job, None, None, []))
            continue
        log = await engine.job_log(job["uid"])
        with LogReader(log.file) as reader:
            for number, step in failed:
                start, end = step.get("from"), step.get("to")
                lines = [] if start is None or end is None else reader.tail_lines(start, end, EXCERPT_LINES)
                found.append(_excerpt(job, step.get("index", number), step, lines))
            if lost and not failed:
                found.append(_excerpt(job, None, None, reader.tail_lines(0, reader.size(), EXCERPT_LINES)))
    return found


def _excerpt(job: dict[str, Any], index: int | None, step: dict[str, Any] | None, lines: list[bytes]) -> dict[str, Any]:
    return {
        "job": job["id"],
        "step": index,
        "name": (step or job)["name"],
        "exit_code": step["exit_code"] if step else None,
        "reason": (step or {}).get("reason") or job.get("reason") or "",
        "lines": [line.removesuffix(b"\r").decode("utf-8", "replace")[:EXCERPT_COLUMNS] for line in lines],
    }
