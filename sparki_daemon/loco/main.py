"""The process that brings deployments on: started when there is one, gone when there has been none for a while."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sparki_daemon.loco.adapters import load
from sparki_daemon.loco.loco import Loco
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.store import projects
from sparki_daemon.store.sqlite import SqliteStore
from sparki_daemon.system import files, wake

LOCK_LIMIT_S = 15.0
NET_S = 1.0  # a lost wake-up, or a freeze's end, costs at most this
IDLE_S = 30.0
WAKE, ENGINE_WAKE = "loco.wake", "engine.wake"  # the sockets on which loco and the engine wake each other
log = logging.getLogger("sparki.loco")


def main(home: str, death_fd: int) -> int:
    """Be the loco of the state folder `home`; the exit status. End of file at `death_fd` is the supervisor's death."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        lock = _take_lock(os.path.join(home, "loco.lock"))
        os.ftruncate(lock, 0)
        os.write(lock, b"%d" % os.getpid())  # for who is asked how the daemon is; whether it is true tells the lock
        store = SqliteStore.open(os.path.join(home, "state.db"))
    except (SparkiError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400  # the problem says all
        return 1
    asyncio.run(_run(home, store, death_fd))
    os.close(lock)
    return 0


def _take_lock(path: str) -> int:
    """Loco's lock, for its life; waits for one that is just ending. Raises SparkiError `loco_running`."""
    deadline = time.monotonic() + LOCK_LIMIT_S
    while (lock := files.try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise SparkiError(Problem(code="loco_running", message=f"another loco holds {path}"))
        time.sleep(0.01)
    return lock


async def _run(home: str, store: SqliteStore, death_fd: int) -> None:
    loop = asyncio.get_running_loop()
    stop, woken = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(death_fd, _supervisor_died, loop, death_fd, stop)
    server = wake.listen(home, WAKE)
    if server is not None:
        loop.add_reader(server, _woken, server, woken)
    loco = Loco(
        store=store,
        queue=EmbeddedQueue(),
        load=load,
        secrets=_Secrets(store, home).of,
        home=home,
        holder=f"{os.uname().nodename}:{os.getpid()}",
        now=lambda: datetime.now(UTC),
        woken=woken.set,
    )
    store.on_commit(lambda _: wake.wake(home, ENGINE_WAKE))
    log.info("ready: pid %d", os.getpid())
    try:
        await _turns(loco, woken, stop)
    finally:
        await loco.close()
        await store.close()
        if server is not None:
            loop.remove_reader(server)
            server.close()


async def _turns(loco: Loco, woken: asyncio.Event, stop: asyncio.Event) -> None:
    """Turn after turn, until told to stop or idle for a while."""
    stopping = asyncio.ensure_future(stop.wait())
    busy_at = time.monotonic()
    try:
        while not stop.is_set():
            woken.clear()
            try:
                await loco.turn()
            except SparkiError as error:  # the disk is full, or the state file is locked: it is tried again
                log.warning("%s", error)
            if not loco.idle:
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at > IDLE_S:
                return
            waking = asyncio.ensure_future(woken.wait())
            await asyncio.wait((waking, stopping), timeout=NET_S, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
    finally:
        stopping.cancel()


def _woken(server: socket.socket, woken: asyncio.Event) -> None:
    wake.drain(server)
    woken.set()


def _supervisor_died(loop: asyncio.AbstractEventLoop, fd: int, stop: asyncio.Event) -> None:
    loop.remove_reader(fd)
    stop.set()


class _Secrets:
    """The values of a project's secrets, from the keyring or the vault, when a step needs them."""

    def __init__(self, store: SqliteStore, home: str) -> None:
        self._store = store
        self._home = home

    async def of(self, project: str, environment: str, names: tuple[str, ...]) -> Mapping[str, str]:
        """Name → value. Raises SparkiError `secret_not_set` with each that has none."""
        path = await self._store.read(lambda tx: projects.path_of(tx, project))
        values = await asyncio.to_thread(self._values, path or "", names)
        missing = [name for name in names if name not in values]
        if missing:
            problems = [
                Problem(
                    code="secret_not_set",
                    message=f"the secret '{name}' of environment '{environment}' has no value",
                    hint=f"sparki secret set {name}",
                )
                for name in missing
            ]
            raise SparkiError(*problems)
        return values

    def _values(self, path: str, names: tuple[str, ...]) -> Mapping[str, str]:
        from sparki_daemon.vault.store import Secrets  # noqa: PLC0415  # loads cryptography: only where a release has secrets

        return Secrets(self._home).values(path, names) if names else {}
