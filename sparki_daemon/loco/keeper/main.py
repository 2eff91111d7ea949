"""The keeper's process: leaves its starter's session and tree, takes the lock, and keeps until told to go."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time

from sparki_daemon.loco.keeper.keeper import SOCKET_NAME, Keeper
from sparki_daemon.loco.keeper.state import LOCK_NAME
from sparki_daemon.system import held, process

LOG_NAME = "keeper.log"
START_LIMIT_S = 10.0
BACKLOG = 64


def main(folder: str, version: str) -> int:
    """Start the keeper of an environment, and come back when it can be asked; 0 also where one runs already.

    What went wrong is told on standard error as one line of JSON.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chdir(folder)
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        _be_keeper(write_fd, version)
    os.close(write_fd)
    return _await(read_fd)


def _await(report: int) -> int:
    ready = select.select([report], [], [], START_LIMIT_S)[0]
    told = os.read(report, 65536) if ready else b'{"message": "it was not up in time"}'
    if told == b"up":
        return 0
    if told == b"held":  # by another, who may be about to listen
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(SOCKET_NAME)
                return 0
            if held.holder(LOCK_NAME) is None:
                break
            time.sleep(0.01)
        told = b'{"message": "the keeper that runs does not answer"}'
    sys.stderr.write((told or b'{"message": "it died at its start"}').decode(errors="replace") + "\n")
    return 1


def _be_keeper(report: int, version: str) -> None:
    status = 1
    try:
        os.setsid()
        lock = held.take(LOCK_NAME)
        if lock is None:
            os.write(report, b"held")
            return
        _redirect(keep=(lock, report))
        process.become_subreaper()
        try:
            keeper = Keeper(_listen(), version)
        except (OSError, ValueError, TypeError, KeyError) as error:
            os.write(report, json.dumps({"message": f"{type(error).__name__}: {error}"}).encode())
            return
        os.write(report, b"up")
        os.close(report)
        keeper.run()
        os.unlink(SOCKET_NAME)
        status = 0
    finally:
        if status and sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())  # into keeper.log; the front has another keeper started
            sys.stderr.flush()
        os._exit(status)


def _redirect(keep: tuple[int, ...]) -> None:
    """Nothing of the starter stays open: its pipes must end with it."""
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    at = 3
    for fd in sorted(keep):
        os.closerange(at, fd)
        at = fd + 1
    os.closerange(at, 4096)


def _listen() -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET_NAME)
    server = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        server.bind(SOCKET_NAME)
    finally:
        os.umask(before)
    server.listen(BACKLOG)
    return server
