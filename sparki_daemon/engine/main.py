"""The engine's process: takes its lock, opens its parts, meets what earlier processes left, and serves."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import time

from sparki_daemon.builder.pool import Pool
from sparki_daemon.builder.supervisor_link import SupervisorLink
from sparki_daemon.engine.api.app import build
from sparki_daemon.engine.api.refusal import build_refusal
from sparki_daemon.engine.api.serving import serve
from sparki_daemon.engine.engine import Engine
from sparki_daemon.engine.ledger import Ledger
from sparki_daemon.engine.scheduler import Scheduler
from sparki_daemon.engine.specs import Specs
from sparki_daemon.loco.asking import Load
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.store import deployments, environments, jobs, journal, runs
from sparki_daemon.store.sqlite import SqliteStore
from sparki_daemon.system import files, process
from sparki_daemon.system.nonce import fast_folder

LOCK_LIMIT_S = 15.0
log = logging.getLogger("sparki.engine")


def main(home: str, cache: str, version: str, load: Load, *, listen_fd: int, control_fd: int) -> int:
    """Be the engine of the state folder `home`, with caches in `cache`; the exit status. `load` gives an adapter by its name."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        lock = _take_lock(os.path.join(home, "engine.lock"))
        store = SqliteStore.open(os.path.join(home, "state.db"))
    except SparkiError as error:
        log.error("%s", error)  # noqa: TRY400  # the problem says all; the place in our code doesn't help
        asyncio.run(_refuse(error, listen_fd, control_fd))
        return 1
    except OSError as error:
        problem = Problem(code="state_unwritable", message=f"can't use the state folder {home}: {error.strerror}")
        asyncio.run(_refuse(SparkiError(problem, exit_code=ExitCode.UNREACHABLE), listen_fd, control_fd))
        return 1
    asyncio.run(_run(home, cache, version, load, store, listen_fd, control_fd))
    os.close(lock)
    return 0


def _take_lock(path: str) -> int:
    """The engine's lock, for its life; waits for an engine that is just ending.

    Raises SparkiError: `locks_do_not_work` where the file system takes two holders, `engine_running` where another one goes on.
    """
    deadline = time.monotonic() + LOCK_LIMIT_S
    while (lock := files.try_lock(path)) is None:
        if time.monotonic() > deadline:
            problem = Problem(code="engine_running", message=f"another engine holds {path}", hint="sparki daemon status tells which")
            raise SparkiError(problem, exit_code=ExitCode.UNREACHABLE)
        time.sleep(0.01)
    second = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return lock
    finally:
        os.close(second)
    message = f"locks don't work on the file system of {os.path.dirname(path)}"
    problem = Problem(code="locks_do_not_work", message=message, hint="set SPARKI_HOME to a folder on a local disk")
    raise SparkiError(problem, exit_code=ExitCode.UNREACHABLE)


async def _refuse(error: SparkiError, listen_fd: int, control_fd: int) -> None:
    """Answer everyone with what keeps the engine from starting, then end: the supervisor tries anew."""
    stop = asyncio.Event()
    await SupervisorLink.open(control_fd, lambda _: None, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().call_later(60.0, stop.set)
    serving = await serve(build_refusal(error, lambda: asyncio.get_running_loop().call_later(0.3, stop.set)), listen_fd)
    await stop.wait()
    await serving.stop()


async def _run(home: str, cache: str, version: str, load: Load, store: SqliteStore, listen_fd: int, control_fd: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    queue = EmbeddedQueue()
    specs = Specs(home, fast_folder(home), cache, keeps=True)
    specs.kept.restore(await store.read(jobs.unfinished), {run.id: run.attempt for run in await store.read(runs.active)})
    scheduler = Scheduler(store, queue, specs, system=process.system_name())
    pool = Pool(home, Ledger(store, queue, specs, scheduler), max(2, os.cpu_count() or 2))
    engine = Engine(home, version, store, queue, scheduler, specs, pool, await store.read(journal.head), load)
    pool.on_grew = engine.log_watch.notify
    await pool.recover(await scheduler.recover())
    pool.supervisor = await SupervisorLink.open(control_fd, pool.heard, stop.set)
    turns = asyncio.create_task(pool.run())
    others = asyncio.create_task(engine.others.listen())
    aftermath = asyncio.create_task(engine.aftermath.run())
    if await store.read(environments.serving) or any(
        row.state is not DeploymentState.UNKNOWN for row in await store.read(deployments.unfinished)
    ):
        engine.want_loco()  # it sees to what is live, too: the machine may have been restarted
    pushes = asyncio.create_task(engine.binding.recover())
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    log.info("ready: pid %d, version %s", os.getpid(), version)
    try:
        serving = await serve(build(engine), listen_fd)
        await stop.wait()
        engine.feed.close()
        await serving.stop()
    finally:
        turns.cancel()
        others.cancel()
        aftermath.cancel()
        pushes.cancel()
        pool.close()
        await store.close()
