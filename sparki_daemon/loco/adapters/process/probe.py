"""Asks a service how it is, and reads the last lines of its log."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import time

from sparki_daemon.loco.adapters.process.wishes import Health

BODY_BYTES = 65536
TAIL_BYTES = 2000
TAIL_LINES = 5


def probe(host: str, port: int, health: Health) -> str:
    """Ask once, blocking. Empty: it is well; otherwise what is wrong. The status decides: a body may go on for ever."""
    link = http.client.HTTPConnection(host, port, timeout=health.timeout_s)
    deadline = time.monotonic() + health.timeout_s
    try:
        link.connect()
        link.sock.settimeout(_left(deadline))
        sock = link.sock
        link.request("GET", health.path or "/")
        answer = link.getresponse()
        _read_on(sock, answer, deadline)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"GET {health.path}: {said}"
    finally:
        link.close()
    return "" if answer.status == health.status else f"GET {health.path} answered {answer.status}, not {health.status}"


def _read_on(sock: socket.socket, answer: http.client.HTTPResponse, deadline: float) -> None:
    """Take what there is of the body while there is time, so that no service has its answer refused."""
    taken = 0
    with answer, contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        while taken < BODY_BYTES and time.monotonic() < deadline:
            sock.settimeout(_left(deadline))
            if not (piece := answer.read1(BODY_BYTES)):
                return
            taken += len(piece)


def _left(deadline: float) -> float:
    return max(0.01, deadline - time.monotonic())


def tail(path: str, hidden: list[str]) -> str:
    """The last lines of a log, without the values in `hidden`: they are found before anything is cut off, so none is shown by half."""
    values = sorted((value.encode() for value in hidden if value), key=len, reverse=True)
    beyond = len(values[0]) if values else 0  # what may be the end of a value lies in here, and goes
    data = b""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES - beyond))
        data = file.read()
    for value in values:
        data = data.replace(value, b"\0" * len(value))
    text = re.sub("\0+", "***", data[-TAIL_BYTES:].decode(errors="replace"))
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])
