"""An engine in memory that keeps the API's promises, and helpers that talk to it over its real Unix socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy_twin import BindTwin, DeployTwin

from sparki_daemon.engine.api.app import build
from sparki_daemon.engine.api.ports import JobLog, StepRange
from sparki_daemon.engine.api.serving import Serving, serve
from sparki_daemon.engine.feed import Feed
from sparki_daemon.engine.log_watch import LogWatch
from sparki_daemon.engine.subsystems.artifacts import RunArtifacts
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

TIME = "2026-01-02T03:04:05.678Z"
ENDED = {"success", "failure", "cancelled", "lost"}


def refusal(code: str, exit_code: ExitCode = ExitCode.USAGE) -> SparkiError:
    return SparkiError(Problem(code=code, message=f"{code} was met"), exit_code=exit_code)


class Pruned(SparkiError):  # noqa: N818  # reads as what happened
    def __init__(self, first: int) -> None:
        super().__init__(Problem(code="events_pruned", message="pruned"), exit_code=ExitCode.NOT_FOUND)
        self.first = first


class Twin:
    """Runs, jobs and logs in memory; logs are real files in `folder`. What a runner would do, the tests do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal: list[Event] = []
        self.pruned = 0  # events that are no longer kept
        self.feed = Feed(self.events_since)
        self.watched: list[tuple[str, bool]] = []
        self.log_watch = LogWatch(lambda uid: self.watched.append((uid, True)), lambda uid: self.watched.append((uid, False)))
        self.deploying = DeployTwin(folder)
        self.binding = BindTwin()
        self.runs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, JobLog] = {}
        self.keys: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.stopped: list[str] = []
        self.journal_reads = 0

    # -- what happens ---------------------------------------------------------------------------------------------------

    def tell(self, *events: tuple[str, str, dict[str, Any]]) -> list[Event]:
        """Commit (kind, run, data) events together, then tell them."""
        made = []
        for kind, run, data in events:
            made.append(Event(len(self.journal) + 1, TIME, run, kind, {"run": run, **data}))
            self.journal.append(made[-1])
        self.feed.publish(made)
        return made

    def commit_untold(self, kind: str, run: str, **data: Any) -> Event:
        """Readable, and not told yet."""
        event = Event(len(self.journal) + 1, TIME, run, kind, {"run": run, **data})
        self.journal.append(event)
        return event

    def run(self, jobs: tuple[str, ...] = ("test",), directory: str = "/repo") -> str:
        run = f"r-{len(self.runs):04d}"
        self.runs[run] = {
            "id": run,
            "pipeline": "ci",
            "file": ".github/workflows/ci.yml",
            "status": "queued",
            "reason": "",
            "source": {"tree": "t", "commit": None, "dirty": True, "branch": "main"},
            "attempt": 1,
            "created": TIME,
            "started": None,
            "finished": None,
            "directory": directory,
            "title": "",
            "jobs": [self._job(run, key) for key in jobs],
        }
        self.tell(("run.created", run, {"pipeline": "ci", "file": "ci.yml", "directory": directory, "source": {}, "attempt": 1}))
        return run

    def _job(self, run: str, key: str) -> dict[str, Any]:
        uid = f"{run}.{key}"
        self.logs[uid] = JobLog(uid=uid, key=key, run=run, path=str(self.folder / uid), ended=False, started=TIME)
        return {
            "id": key,
            "uid": uid,
            "name": key.title(),
            "status": "queued",
            "reason": "",
            "cached": False,
            "outputs": {},
            "started": None,
            "finished": None,
            "needs": [],
            "log": 0,
            "steps": [],
        }

    def job(self, uid: str) -> dict[str, Any]:
        run, key = uid.split(".", 1)
        return next(job for job in self.runs[run]["jobs"] if job["id"] == key)

    def move(self, uid: str, kind: str, status: str, **data: Any) -> None:
        job, log = self.job(uid), self.logs[uid]
        job["status"] = status
        job["reason"] = data.get("reason", "")
        self.logs[uid] = replace(log, ended=status in ENDED | {"skipped"})
        known = {"job": log.key, "uid": uid, "name": job["name"], "status": status, "reason": "", "epoch": 1, "attempt": log.attempt}
        self.tell((kind, log.run, {**known, **data}))
        if kind == "job.finished":
            self.log_watch.notify(uid)

    def begin(self, uid: str) -> None:
        self.runs[self.logs[uid].run]["status"] = "running"
        self.move(uid, "job.started", "running")

    def finish(self, uid: str, status: str = "success", **data: Any) -> None:
        self.move(uid, "job.finished", status, **data)

    def finish_run(self, run: str, status: str = "success") -> None:
        self.runs[run]["status"] = status
        self.tell(("run.finished", run, {"status": status, "reason": ""}))

    def write(self, uid: str, data: bytes, *, notify: bool = True) -> None:
        with open(self.logs[uid].file, "ab") as file:
            file.write(data)
        if notify:
            self.log_watch.notify(uid)

    def size(self, uid: str) -> int:
        return os.path.getsize(self.logs[uid].file) if os.path.exists(self.logs[uid].file) else 0

    def begin_step(self, uid: str, index: int) -> None:
        log, at = self.logs[uid], self.size(uid)
        self.logs[uid] = replace(log, steps=(*log.steps, StepRange(index, f"step {index}", at, None, TIME)))
        self.job(uid)["steps"].append(
            {"index": index, "id": "", "name": f"step {index}", "status": "running", "outcome": "", "conclusion": "", "reason": ""}
            | {"exit_code": None, "duration_ms": None, "from": at, "to": None}
        )
        self.tell(("step.started", log.run, self._step(uid, index, at)))

    def end_step(self, uid: str, index: int, conclusion: str = "success", exit_code: int = 0) -> None:
        log, at = self.logs[uid], self.size(uid)
        *others, last = log.steps
        self.logs[uid] = replace(log, steps=(*others, replace(last, end=at)))
        end = {"outcome": conclusion, "conclusion": conclusion, "exit_code": exit_code, "duration_ms": 5, "reason": "", "to": at}
        self.job(uid)["steps"][-1] |= end | {"status": conclusion}
        self.tell(("step.finished", log.run, {**self._step(uid, index, last.start), **end, "left": []}))

    def restore(self, uid: str, *texts: bytes) -> None:
        """The job comes from the cache: its log is there, its steps have only ends, and so has it."""
        log = self.logs[uid]
        for index, text in enumerate(texts):
            start = self.size(uid)
            self.write(uid, text)
            end = {"outcome": "success", "conclusion": "success", "exit_code": 0, "duration_ms": 5, "reason": "", "to": self.size(uid)}
            self.tell(("step.finished", log.run, {**self._step(uid, index, start), **end, "left": []}))
        self.finish(uid, log_bytes=self.size(uid), cached=True)

    def _step(self, uid: str, index: int, at: int) -> dict[str, Any]:
        log = self.logs[uid]
        return {"job": log.key, "uid": uid, "attempt": log.attempt, "step": index, "id": "", "name": f"step {index}", "from": at}

    # -- EnginePort -----------------------------------------------------------------------------------------------------

    async def start_runs(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        if idempotency_key in self.keys:
            known, answer = self.keys[idempotency_key]
            if known != request:
                raise refusal("idempotency_mismatch")
            return answer
        since = len(self.journal)
        run = self.run(directory=request["directory"])
        uid = f"{run}.test"
        self.begin(uid)
        self.write(uid, b"hello\n")
        self.finish(uid)
        self.finish_run(run)
        answer = {"runs": [{"run": run, "pipeline": "ci", "file": "ci.yml"}], "since": since}
        if idempotency_key is not None:
            self.keys[idempotency_key] = request, answer
        return answer

    async def list_runs(self, *, directory: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
        if before is not None:
            self.found(before)
        runs = [run for run in self.runs.values() if directory in (None, run["directory"]) and (before is None or run["id"] < before)]
        return [{key: value for key, value in run.items() if key != "jobs"} for run in reversed(runs)][:limit]

    async def job_history(self, aspect: str, *, directory: str | None, limit: int) -> list[dict[str, Any]]:
        jobs = [(run, job) for run in self.runs.values() if directory in (None, run["directory"]) for job in run["jobs"]]
        return [{"job": job["id"], "name": job["name"], "pipeline": run["pipeline"], "file": aspect} for run, job in jobs][:limit]

    async def run_history(self, run: str, *, directory: str | None) -> dict[str, Any]:
        self.found(run)
        return {"broken_since": None, "flaky": [], "slow": []}

    def found(self, run: str) -> dict[str, Any]:
        ids = list(self.runs)
        matching = ids[-1:] if run == "latest" else [run] if run in self.runs else [known for known in ids if known.startswith(run)]
        if not matching:
            raise refusal("no_such_run", ExitCode.NOT_FOUND)
        if len(matching) > 1:
            raise refusal("ambiguous_run")
        return self.runs[matching[0]]

    async def show_run(self, run: str, *, directory: str | None) -> dict[str, Any]:
        return self.found(run)

    async def cancel_run(self, run: str, *, force: bool) -> dict[str, Any]:
        found = self.found(run)
        if found["status"] in ENDED:
            raise refusal("run_finished")
        self.tell(("run.cancelling", found["id"], {"force": force}))
        self.finish_run(found["id"], "cancelled")
        return found

    async def retry_run(
        self,
        run: str,
        *,
        failed: bool,
        from_step: str | None,
        idempotency_key: str | None,
        secrets: dict[str, str],
        secret_names: list[str],
    ) -> dict[str, Any]:
        found = self.found(run)
        if found["status"] not in ENDED:
            raise refusal("run_active")
        since = len(self.journal)
        found["attempt"] += 1
        self.tell(("run.retried", found["id"], {"attempt": found["attempt"]}))
        self.finish_run(found["id"])
        return {"run": found["id"], "attempt": found["attempt"], "since": since, "file_changed": False}

    async def artifacts(self, run: str, *, directory: str | None) -> dict[str, Any]:
        return await RunArtifacts(str(self.folder)).listing(self.found(run)["id"])

    async def artifact_file(self, run: str, name: str, index: int) -> str:
        return await RunArtifacts(str(self.folder)).file(self.found(run)["id"], name, index)

    async def daemon_status(self) -> dict[str, Any]:
        process = {"pid": 1, "since": TIME, "pss": 1}
        processes = {"supervisor": process, "engine": process, "loco": None, "runners": [{"pid": 2, "job": None}]}
        queues = {"builds": 0, "deployments": 0}
        disk = {"home_free_bytes": 1, "memory_free_bytes": None, "full": True}
        return {"version": "0", "socket": "s", "state": "running", "home": "h", "processes": processes, "queues": queues, "disk": disk}

    async def cache_entries(self, directory: str) -> dict[str, Any]:
        return {"entries": [], "bytes": 0, "limit": 1}

    async def prune_cache(self, directory: str, limit_bytes: int | None) -> dict[str, Any]:
        return {"evicted": []}

    async def prune(self, *, dry_run: bool) -> dict[str, Any]:
        sizes = dict.fromkeys(("logs_bytes", "artifacts_bytes", "snapshots_bytes", "cache_bytes"), 0)
        return {"dry_run": dry_run, "runs": 0, **sizes, "events": 0}

    async def stop_daemon(self, *, force: bool) -> None:
        if not force and any(run["status"] not in ENDED for run in self.runs.values()):
            raise refusal("runs_active", ExitCode.RED)
        self.stopped.append("stop")

    async def restart_daemon(self) -> None:
        self.stopped.append("restart")

    async def events_since(self, seq: int, *, stream: str | None, limit: int) -> list[Event]:
        self.journal_reads += 1
        await asyncio.sleep(0)  # as a real read does, it lets others run
        if seq < self.pruned:
            raise Pruned(self.pruned + 1)
        return [event for event in self.journal[seq:] if stream in (None, event.stream)][:limit]

    async def head(self) -> int:
        return len(self.journal)

    def live_log(self, run: str, uid: str, attempt: int) -> str | None:
        log = self.logs.get(uid)
        return log.path if run in self.runs and log and log.attempt == attempt else None

    async def job_log(self, uid: str) -> JobLog:
        if uid not in self.logs:
            raise refusal("no_such_job", ExitCode.NOT_FOUND)
        return self.logs[uid]


# -- over the socket --------------------------------------------------------------------------------------------------------


TALKS: list[Talk] = []  # of the present test: a failing one leaves none open


@asynccontextmanager
async def served(twin: Twin, path: str) -> AsyncIterator[Serving]:
    """The API of `twin` on the Unix socket at `path`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        serving = await serve(build(twin), listener.fileno())
        try:
            yield serving
        finally:
            await serving.stop()
            for talk in TALKS:
                talk.close()
            TALKS.clear()
            await asyncio.sleep(0.01)  # their transports end in the loop's next turns


class Talk:
    """One request and its answer, read by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole = False  # the last chunk came

    async def head(self) -> None:
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    async def chunk(self) -> bytes:
        """The next chunk; b"" is the end."""
        try:
            size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
            data = (await self.reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self.whole = not data
        return data

    async def body(self) -> bytes:
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.chunk():
            yield chunk

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        held = b""
        async for chunk in self.chunks():
            *whole, held = (held + chunk).split(b"\n")
            for line in whole:
                yield json.loads(line)
        assert not held

    async def json(self) -> Any:
        return json.loads(await self.body())

    def close(self) -> None:
        self.writer.close()


async def ask(path: str, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None, raw: bytes = b"") -> Talk:
    talk = Talk(*await asyncio.open_unix_connection(path))
    TALKS.append(talk)
    data = raw or (b"" if body is None else json.dumps(body).encode())
    known = {"host": "sparki", "connection": "close", "content-length": str(len(data)), "content-type": "application/json"}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**known, **(headers or {})}.items())]
    talk.writer.write("\r\n".join((*lines, "", "")).encode() + data)
    try:
        await talk.head()
    except BaseException:
        talk.close()
        raise
    return talk


async def asked(path: str, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """(status, JSON) of a whole exchange."""
    talk = await ask(path, method, target, body, headers)
    try:
        return talk.status, await talk.json()
    finally:
        talk.close()
