"""The engine: answers what the API asks, with the parts that `main` gave it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sparki_daemon.builder.pool import Pool
from sparki_daemon.engine.aftermath import Aftermath
from sparki_daemon.engine.api.checks import with_defaults
from sparki_daemon.engine.api.ports import JobLog, StepRange
from sparki_daemon.engine.api.shapes import START
from sparki_daemon.engine.binding import Binding
from sparki_daemon.engine.deploying import Deploying
from sparki_daemon.engine.evicting import Evicting
from sparki_daemon.engine.feed import Feed
from sparki_daemon.engine.log_watch import LogWatch
from sparki_daemon.engine.others import Others
from sparki_daemon.engine.scheduler import BUSY, Scheduler
from sparki_daemon.engine.specs import Specs
from sparki_daemon.engine.subsystems.artifacts import RunArtifacts
from sparki_daemon.engine.subsystems.history import History
from sparki_daemon.engine.subsystems.keep import Keeper
from sparki_daemon.engine.subsystems.notices import Notices
from sparki_daemon.engine.subsystems.run import Given, Runs
from sparki_daemon.loco.asking import Load
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.queue.protocol import BUILDS, DEPLOYMENTS, Queue
from sparki_daemon.store import deployments, jobs, journal, runs, steps
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.system import clock, disk, files, process

SWEEPS, SWEEP_PAUSE_S = 20, 0.25  # tries to remove a folder, and the seconds between them
log = logging.getLogger("sparki.engine")


class Engine:
    """Fills `EnginePort`."""

    def __init__(
        self, home: str, version: str, store: Store, queue: Queue, scheduler: Scheduler, specs: Specs, pool: Pool, head: int, load: Load
    ) -> None:
        self.feed = Feed(self.events_since, head)
        self.others = Others(home, store, self.feed)
        self.log_watch = LogWatch(lambda uid: pool.watch(uid, on=True), lambda uid: pool.watch(uid, on=False))
        self._home = home
        self._version = version
        self._store = store
        self._queue = queue
        self._specs = specs
        self._scheduler = scheduler
        self._pool = pool
        self._runs = Runs(store, scheduler, home, specs)
        self.deploying = Deploying(home, store, queue, self._runs, load)
        self.binding = Binding(home, store, self._start_pushed, self.deploying.deploy)
        self.aftermath = Aftermath(home, store, self.feed, Notices(store), self.deploying.keep, self.binding.settle)
        self._history = History(store)
        self._artifacts = RunArtifacts(home)
        self._keeper = Keeper(store, home, specs.cache)
        self._evicting = Evicting(store, specs.cache)
        self._since = clock.rfc3339(clock.now_ms())
        self._stopping = ""
        self._sweeps: set[asyncio.Task[None]] = set()
        self._sweeping = asyncio.Lock()
        store.on_commit(self._committed)
        self._later(self._sweep_leftovers())
        self._later(self._keeper.run())
        self._later(self.deploying.awaiting.settle())

    def _committed(self, events: Sequence[Event]) -> None:
        self.feed.publish(events)
        for event in events:
            self.log_watch.told(event)
            if event.kind == "job.finished":
                if event.data["status"] == "lost":
                    self._later(self._sweep_leftovers())
            elif event.kind == "run.finished":
                self._later(self._sweep(event.stream))
                self._later(self.deploying.awaiting.settle())
                self._later(self._evicting.after(event.stream))
            elif event.kind in ("run.created", "run.retried", "job.queued"):
                self._pool.wake()
                if event.data.get("epoch"):  # its runner died before it told of the beginning, but maybe not before it made the folders
                    self._later(self._sweep_leftovers())

            elif event.kind.startswith("deployment."):
                self.want_loco()

    def want_loco(self) -> None:
        """There is a deployment to bring on, or something was asked of one."""
        self.others.expect()
        if self._pool.supervisor:
            self._pool.supervisor.ask("loco")

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def _sweep(self, run: str) -> None:
        """Remove what an ended run worked in."""
        row = await self._store.read(lambda tx: runs.get(tx, run))
        if row is None:
            return
        self._specs.forget(run)
        for attempt in range(1, row.attempt + row.state.terminal):  # a retry may have begun meanwhile
            self._specs.secrets.forget(run, attempt)
            ended = row.attempt if row.state.terminal else row.attempt - 1
            await self._insist(partial(self._specs.kept.clear, self._specs.run_folder(run, attempt), run, ended))
        await self._insist(self._specs.kept.sweep)

    async def _sweep_leftovers(self) -> None:
        """Remove what killed processes left of jobs: the run's end, and a runner's own, never came to it."""
        left = await asyncio.to_thread(self._specs.leftovers)

        async def in_use(tx: Tx) -> tuple[dict[str, int], set[str]]:
            held = [job for job in await jobs.unfinished(tx) if job.state in BUSY]
            return {run.id: run.attempt for run in await runs.active(tx)}, {f"{job.uid}.{job.epoch}" for job in held}

        active, attempts = await self._store.read(in_use)
        await asyncio.to_thread(self._specs.secrets.sweep, lambda run, attempt: active.get(run) == attempt)
        await self._insist(partial(left.remove, active, attempts))

    async def _insist(self, remove: Callable[[], list[str]]) -> None:
        """Remove, one at a time: two that empty one folder miss entries. Again where something is left: a dying process may still write."""
        left: list[str] = []
        for _ in range(SWEEPS):
            async with self._sweeping:
                left = await asyncio.to_thread(remove)
            if not left:
                return
            await asyncio.sleep(SWEEP_PAUSE_S)
        log.warning("could not be removed: %s", "; ".join(left[:5]))

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def start_runs(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        self._refuse_while_stopping()
        answer = await self._runs.start(request, idempotency_key)
        self._pool.want(request.get("max_parallel") or 0)
        return answer

    async def _start_pushed(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        return await self.start_runs(with_defaults(START, request), idempotency_key)

    async def list_runs(self, *, directory: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
        return await self._runs.listing(directory=directory, limit=limit, before=before)

    async def job_history(self, aspect: str, *, directory: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._history.of_jobs(aspect, directory=directory, limit=limit)

    async def run_history(self, run: str, *, directory: str | None) -> dict[str, Any]:
        return await self._history.of_run(await self._runs.find(run, directory=directory))

    async def show_run(self, run: str, *, directory: str | None) -> dict[str, Any]:
        return await self._runs.show(run, directory=directory)

    async def cancel_run(self, run: str, *, force: bool) -> dict[str, Any]:
        found, stops = await self._runs.cancel(run, force=force)
        for stop in stops:
            self._pool.stop(stop)
        return await self._runs.show(found, directory=None)

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
        self._refuse_while_stopping()
        return await self._runs.retry(run, failed=failed, from_step=from_step, key=idempotency_key, given=Given(secrets, secret_names))

    async def artifacts(self, run: str, *, directory: str | None) -> dict[str, Any]:
        return await self._artifacts.listing((await self._runs.find(run, directory=directory)).id)

    async def artifact_file(self, run: str, name: str, index: int) -> str:
        return await self._artifacts.file((await self._runs.find(run)).id, name, index)

    async def prune(self, *, dry_run: bool) -> dict[str, Any]:
        """Drop now what is no longer kept, and what killed jobs left."""
        gone = await self._keeper.sweep(dry_run=dry_run)
        if not dry_run:
            await self._sweep_leftovers()
        return gone.to_json(dry_run=dry_run)

    async def cache_entries(self, directory: str) -> dict[str, Any]:
        return await self._evicting.listing(directory)

    async def prune_cache(self, directory: str, limit_bytes: int | None) -> dict[str, Any]:
        return await self._evicting.prune(directory, limit_bytes)

    def _refuse_while_stopping(self) -> None:
        if self._stopping == "stop":
            raise SparkiError(Problem(code="daemon_stopping", message="the daemon is stopping"), exit_code=ExitCode.UNREACHABLE)

    # -- events and logs -----------------------------------------------------------------------------------------------

    async def events_since(self, seq: int, *, stream: str | None, limit: int) -> list[Event]:
        return await self._store.read(lambda tx: journal.since(tx, seq, stream=stream, limit=limit))

    async def head(self) -> int:
        return await self._store.read(journal.head)

    def live_log(self, run: str, uid: str, attempt: int) -> str | None:
        return self._scheduler.live_log(run, uid, attempt)

    async def job_log(self, uid: str) -> JobLog:
        async def read(tx: Tx) -> JobLog:
            job = await jobs.get(tx, uid)
            if job is None:
                raise SparkiError(Problem(code="no_such_job", message=f"there is no job '{uid}'"), exit_code=ExitCode.NOT_FOUND)
            ranges = tuple(
                StepRange(step.index, step.name, step.log_from, step.log_to, step.started or "") for step in await steps.of_job(tx, job)
            )
            path = job.log or self._specs.log_path(job.run, job.key, job.attempt)
            return JobLog(
                uid=uid,
                key=job.key,
                run=job.run,
                path=path,
                ended=job.state.terminal,
                attempt=job.attempt,
                steps=ranges,
                started=job.started or "",
            )

        return await self._store.read(read)

    # -- the daemon ----------------------------------------------------------------------------------------------------

    async def daemon_status(self) -> dict[str, Any]:
        async def depths(tx: Tx) -> dict[str, int]:
            open_ones = [row for row in await deployments.unfinished(tx) if row.state is not DeploymentState.UNKNOWN]
            return {BUILDS: await self._queue.depth(tx, BUILDS), DEPLOYMENTS: len(open_ones)}  # those wait, or are under way

        return {
            "version": self._version,
            "home": self._home,
            "socket": _told(self._home).get("socket", ""),
            "state": self._stopping or "running",
            "processes": {
                "supervisor": _process(os.getppid(), None),
                "engine": _process(os.getpid(), self._since),
                "loco": _loco(self._home),
                "runners": [
                    {"pid": link.pid, "job": link.jobs[0] if link.jobs else None, "pss": process.pss_bytes(link.pid)}
                    for link in self._pool.links.values()
                ],
            },
            "queues": await self._store.read(depths),
            "disk": _room(self._home, self._specs.fast),
        }

    async def stop_daemon(self, *, force: bool) -> None:
        """End the daemon: at once when it is idle, with `force` after cancelling what runs; deployments wait for the next daemon.

        Raises SparkiError: `runs_active`, `deployments_active`.
        """
        active = await self._store.read(runs.active)
        if active and not force:
            names = ", ".join(run.id for run in active[:5]) + (f" and {len(active) - 5} more" if len(active) > 5 else "")
            problem = Problem(code="runs_active", message=f"runs are active: {names}", hint="wait for them, or --force cancels them")
            raise SparkiError(problem, exit_code=ExitCode.RED)
        under_way = [row.id for row in await self._store.read(deployments.unfinished) if row.state is DeploymentState.RUNNING]
        if under_way and not force:
            message = f"deployments are under way: {', '.join(under_way[:5])}"
            hint = "wait for them; with --force they stay where they are, and go on with the next daemon"
            raise SparkiError(Problem(code="deployments_active", message=message, hint=hint), exit_code=ExitCode.RED)
        self._stopping = "stop"
        for run in active:
            try:
                await self.cancel_run(run.id, force=True)
            except SparkiError:
                continue  # it ended by itself meanwhile
        await self._until(lambda: self._store.read(runs.active), limit_s=5.0)
        self._ask_supervisor("stop")

    async def restart_daemon(self) -> None:
        """Start supervisor and engine anew, as the program on disk is now; runners and their jobs go on."""
        self._stopping = "restart"
        self._ask_supervisor("restart")

    def _ask_supervisor(self, what: str) -> None:
        """Ask a moment later: the answer to whoever asked goes out first."""
        if self._pool.supervisor:
            asyncio.get_running_loop().call_later(0.05, self._pool.supervisor.ask, what)

    async def _until(self, busy: Callable[[], Any], *, limit_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + limit_s
        while await busy() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)


def _room(home: str, memory: str) -> dict[str, Any]:
    """What jobs can still write to the state folder and to the folder in memory; a job that finds no room waits for some."""
    free = {"home_free_bytes": disk.free_bytes(home), "memory_free_bytes": disk.free_bytes(memory)}
    return {**free, "full": any(map(disk.is_full, free.values()))}


def _loco(home: str) -> dict[str, Any] | None:
    """The loco that is at work; None: there is none."""
    path = os.path.join(home, "loco.lock")
    if not files.is_locked(path):
        return None
    with open(path, "rb") as file:
        pid = file.read()
    return _process(int(pid), None) if pid.isdigit() else None


def _process(pid: int, since: str | None) -> dict[str, Any]:
    return {"pid": pid, "since": since or _started(pid), "pss": process.pss_bytes(pid)}


def _started(pid: int) -> str:
    """When a process began, RFC 3339; empty where the system does not say."""
    ticks = process.start_time(pid)
    if ticks is None:
        return ""
    with open("/proc/stat", "rb") as file:
        boot_s = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
    return clock.rfc3339(boot_s * 1000 + ticks * 1000 // os.sysconf("SC_CLK_TCK"))


def _told(home: str) -> dict[str, Any]:
    import json  # noqa: PLC0415  # once a status

    try:
        with open(os.path.join(home, "daemon.json"), "rb") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
