"""The front's process: started by the keeper, outlives it, and has a new keeper started when the old one was killed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable

import uvloop

from sparki_daemon.loco import counts
from sparki_daemon.loco.front.control import Control
from sparki_daemon.loco.front.names import CONTROL_FD, PUBLIC_FD, lock_name, sheet_name
from sparki_daemon.loco.front.server import Front
from sparki_daemon.system import held

DRAIN_LIMIT_S = 60.0
KEEPER_WAIT_S = (0.05, 0.2, 1.0, 5.0)  # before each attempt to start a keeper; the last is repeated


def main(number: int, start_keeper: Callable[[], None]) -> int:
    """Be front `number` of the environment whose folder is the working directory. `start_keeper` starts one and waits for it to be up."""
    if held.take(lock_name(number)) is None:
        return 1
    sheet = counts.load(sheet_name(number)) or counts.create(sheet_name(number))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve(number, sheet, start_keeper))
    return 0


async def _serve(number: int, sheet: counts.Sheet, start_keeper: Callable[[], None]) -> None:
    listener = socket.socket(fileno=PUBLIC_FD)
    front = Front(listener, sheet)
    orphaned = asyncio.Event()
    control = Control(socket.socket(fileno=CONTROL_FD), front, number, orphaned.set)
    for fd in (PUBLIC_FD, CONTROL_FD):
        os.set_inheritable(fd, False)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, front.drain, DRAIN_LIMIT_S)
    for number_ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number_ignored, signal.SIG_IGN)
    control.start()
    watching = loop.create_task(_watch_for_keeper(front, control, orphaned, start_keeper))
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # exchanges end by reference counts; a full pass is a pause for everybody
    await front.gone.wait()
    watching.cancel()


async def _watch_for_keeper(front: Front, control: Control, orphaned: asyncio.Event, start_keeper: Callable[[], None]) -> None:
    """Start a keeper when the last was killed: somebody must restart services and fronts."""
    while True:
        await orphaned.wait()
        orphaned.clear()
        for attempt in range(10**9):
            await asyncio.sleep(KEEPER_WAIT_S[min(attempt, len(KEEPER_WAIT_S) - 1)])
            if control.has_keeper or front.route.draining:
                break
            with contextlib.suppress(Exception):  # a full disk, no more processes: tried again
                await asyncio.to_thread(start_keeper)
