"""Follows one run: its events, and between them the text of its jobs, so that a step's text is whole before its end is told."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from sparki_daemon.engine.api.ports import EnginePort, JobLog
from sparki_daemon.engine.api.stream import Batch, Chunks
from sparki_daemon.engine.api.texts import Cut, Texts
from sparki_daemon.engine.feed import Subscription
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.store.log_reader import LogReader

SETTLE_S = 0.045  # a step's first bytes may be in the file before its `step.started` is in the journal: text waits so long for its step
SILENCE_S = 0.100  # an unfinished line (a prompt) is shown after so long
NET_S = 1.0  # a lost notice of growth costs at most this


class JobText:
    """How far one job's text was handed on."""

    def __init__(self, log: JobLog, reader: LogReader, texts: Texts, at: int) -> None:
        self.at = at
        self._log = log
        self._reader = reader
        self._texts = texts
        self._starts = [step.start for step in log.written]
        self._ends = [step.end for step in log.written]
        self._steps = [step.index for step in log.written]
        self._seen = at  # size at the last look
        self._grew_at = 0.0
        self._settling: tuple[float, int] | None = None  # when the text up to there may go
        self._settled = at

    def begin(self, step: int, start: int) -> None:
        """A step's text begins. The log may know later steps already: it can be ahead of the events that are being told."""
        if step not in self._steps:
            place = bisect_right(self._steps, step)
            self._starts.insert(place, start)
            self._ends.insert(place, None)
            self._steps.insert(place, step)

    def end(self, step: int, end: int) -> None:
        if step in self._steps:
            self._ends[self._steps.index(step)] = end

    def rest(self, end: int | None = None) -> Iterator[bytes]:
        """Everything up to byte `end`, or to the log's end, whole lines or not."""
        yield from self._pieces(self._reader.size() if end is None else end, Cut.END)

    def live(self, now: float) -> Iterator[bytes]:
        """What has settled at `now` (the loop's clock), in whole lines; the unfinished line too after a silence."""
        size = self._texts.size(self._reader)
        if size > self._seen:
            self._seen, self._grew_at = size, now
        if self._settling is not None and now >= self._settling[0]:
            self._settled, self._settling = self._settling[1], None
        if self._settling is None and size > self._settled:
            self._settling = now + SETTLE_S, size
        yield from self._pieces(self._settled, Cut.CHARACTER if now >= self._grew_at + SILENCE_S else Cut.LINE)

    def due(self, now: float) -> float:
        """When to look again without a notice."""
        if self._settling is not None:
            return self._settling[0]
        silent = self._grew_at + SILENCE_S
        return silent if self.at < self._settled and silent > now else now + NET_S

    def _pieces(self, end: int, how: Cut) -> Iterator[bytes]:
        while self.at < end:
            step, border = self._place()
            stop = end if border is None else min(end, border)
            whole = Cut.END if stop == border else how
            line, at = self._texts.piece(self._reader, self._log.uid, self._log.key, (self.at, stop, step), whole)
            if not line:
                return
            self.at = at
            yield line

    def _place(self) -> tuple[int | None, int | None]:
        """(the step whose text begins at `at`; None: no step's, where the next place begins; None: that is not known)."""
        found = bisect_right(self._starts, self.at)
        following = self._starts[found] if found < len(self._starts) else None
        if not found:
            return None, following
        end = self._ends[found - 1]
        if end is None:
            return self._steps[found - 1], following
        return (self._steps[found - 1], end) if self.at < end else (None, following)


class Follower:
    """One follower of one run. `at` names bytes of jobs that it has already."""

    def __init__(self, engine: EnginePort, texts: Texts, at: Mapping[str, int], *, log: bool) -> None:
        self._engine = engine
        self._texts = texts
        self._at = dict(at)
        self._log = log
        self._wake = asyncio.Event()
        self._jobs: dict[str, JobText | None] = {}  # those whose text was looked for; None: there is none to show
        self._open: dict[str, ExitStack] = {}
        self._unwatched: dict[str, float] = {}  # running: when to begin to watch; many end before
        self._begun: dict[str, tuple[JobLog, Mapping[str, Any] | None]] = {}  # seen from their beginning, with the last `step.started`
        self._whole = False  # it has been told of the run from its creation on
        self.ended = False  # the run's last event so far is its end

    async def chunks(self, subscription: Subscription, first: list[Event], running: list[str]) -> Chunks:
        """NDJSON from the events `first` on, until the run has ended; `running` jobs began before `subscription.seq`."""
        batch = Batch()
        with ExitStack() as leaving:
            leaving.enter_context(self._engine.feed.waking(self._wake.set))
            leaving.callback(self._close_all)
            for uid in running:
                self._unwatched[uid] = 0.0
            page = first
            while True:
                self._wake.clear()
                while page := page or await subscription.page():
                    for event in page:
                        for line in await self._text_before(event):
                            if batch.add(line):
                                yield batch.take()
                        if batch.add(self._engine.feed.line(event), event.seq):
                            yield batch.take()
                        self._note(event)
                    page = []
                await self._watch_those_that_last()
                if not subscription.behind:
                    for line in self._live():
                        if batch.add(line):
                            yield batch.take()
                    if self.ended:
                        break
                if batch.size:
                    yield batch.take()
                if not subscription.behind:
                    await self._wait()
            if batch.size:
                yield batch.take()

    async def _text_before(self, event: Event) -> Iterable[bytes]:
        """The text that must go before `event`."""
        if not self._log or not event.kind.startswith(("step.", "job.")):
            return ()
        kind, data = event.kind, event.data
        if kind == "job.queued":  # back to the queue, or a new attempt: what comes is a new text
            self._close_job(data["uid"])
            self._at.pop(data["uid"], None)
        elif kind == "job.started":
            self._close_job(data["uid"])
            self._unwatched[data["uid"]] = asyncio.get_running_loop().time() + SETTLE_S
            if log := self._beginning(data):
                self._begun[data["uid"]] = log, None
        elif kind == "job.finished":
            end = data.get("log_bytes") if data.get("status") != "skipped" else 0
            return text.rest() if (text := await self._text(data, end)) else ()
        elif kind == "step.held":
            if text := await self._text(data, data["to"]):
                return text.rest(data["to"])
        elif kind in {"step.started", "step.finished"}:
            start, end = data["from"] or 0, data.get("to")
            if self._whole and data["uid"] not in self._jobs and data["uid"] not in self._begun and (log := self._beginning(data)):
                self._begun[data["uid"]] = log, None  # it came from the cache: it never began, and no step of it was missed
            if begun := self._begun.get(data["uid"]):
                self._begun[data["uid"]] = begun[0], data if end is None else None
            if text := await self._text(data, start if end is None else end):
                if end is None or end > start:  # not skipped, and not silent
                    text.begin(data["step"], start)
                if end is not None:
                    text.end(data["step"], end)
                return text.rest(start if end is None else end)
        return ()

    def _note(self, event: Event) -> None:
        if event.kind == "run.created":
            self._whole = True
        elif event.kind == "run.finished":
            self.ended = True
        elif event.kind == "run.retried":
            self.ended = False
        elif event.kind == "job.finished":
            self._close_job(event.data["uid"])

    async def _watch_those_that_last(self) -> None:
        """Ask for news of jobs that have been running for a moment."""
        now = asyncio.get_running_loop().time()
        for uid, due in list(self._unwatched.items()):
            if due > now:
                continue
            del self._unwatched[uid]
            if uid not in self._jobs:
                await self._open_job(uid, None)
            if self._jobs[uid] is not None:
                self._open[uid].enter_context(self._engine.log_watch.waking(uid, self._wake.set))

    def _live(self) -> Iterator[bytes]:
        """Text of running jobs that has come since. Only at the journal's head: behind it, a file may be ahead of the events."""
        now = asyncio.get_running_loop().time()
        for uid, text in self._jobs.items():
            if text is not None and uid not in self._unwatched:
                yield from text.live(now)

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        due = list(self._unwatched.values())
        due += [text.due(now) for uid, text in self._jobs.items() if text is not None and uid not in self._unwatched]
        try:
            async with asyncio.timeout_at(min(due) + 0.001 if due else None):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _text(self, data: Mapping[str, Any], upto: int | None) -> JobText | None:
        """The job's text when it is open, or when some of it up to byte `upto` (None: that is not known) was not handed on."""
        uid = data["uid"]
        if uid not in self._jobs:
            if upto is not None and upto <= self._at.get(uid, 0):
                return None
            await self._open_job(uid, data.get("attempt"))
        return self._jobs[uid]

    async def _open_job(self, uid: str, attempt: int | None) -> None:
        """Find the job's text. A former attempt's is gone: its events come without it."""
        self._jobs[uid] = None
        log, step = self._begun.get(uid, (None, None))
        if log is None:
            try:
                log = await self._engine.job_log(uid)
            except SparkiError:
                return
        if attempt is None or attempt == log.attempt:
            stack = self._open[uid] = ExitStack()
            reader = stack.enter_context(self._texts.open(log.file))
            text = self._jobs[uid] = JobText(log, reader, self._texts, self._at.get(uid, 0))
            if step is not None:
                text.begin(step["step"], step["from"] or 0)

    def _beginning(self, data: Mapping[str, Any]) -> JobLog | None:
        """Of a job that has just begun, or ended without: the store need not be asked. None: it must be, the event is an old one."""
        run, uid, attempt = data["run"], data["uid"], data["attempt"]
        path = self._engine.live_log(run, uid, attempt)
        return JobLog(uid=uid, key=data["job"], run=run, path=path, ended=False, attempt=attempt) if path else None

    def _close_job(self, uid: str) -> None:
        self._jobs.pop(uid, None)
        self._begun.pop(uid, None)
        self._unwatched.pop(uid, None)
        if stack := self._open.pop(uid, None):
            stack.close()

    def _close_all(self) -> None:
        for uid in list(self._jobs):
            self._close_job(uid)
