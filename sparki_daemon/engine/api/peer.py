"""Who is at the other end of a connection: only the user that the engine runs as may talk to it."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from sparki_daemon.engine.api.problems import document, refusal
from sparki_daemon.engine.feed import encode
from sparki_daemon.model.problem import ExitCode

_UCRED = struct.Struct("3i")  # pid, uid, gid. Source: unix(7), SO_PEERCRED


def uid_of(sock: Any) -> int | None:
    """The uid that the other end had when it connected; None: the system can't tell. `sock` is a Unix socket.

    Where there is no SO_PEERCRED (not Linux) the 0700 folder of the socket alone keeps others out.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def admitted(uid: int | None) -> bool:
    """Only the same uid: root too is someone else, for a daemon that runs that user's programs with that user's rights."""
    return uid is None or uid == os.geteuid()


def raw_answer(status: str, body: bytes) -> bytes:
    """A whole HTTP answer that ends its connection, for requests that never become one."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode("ascii") + body


def refused() -> bytes:
    """What a stranger gets for whatever it asks."""
    error = refusal(
        "not_same_user", "this daemon belongs to another user", hint="start your own: sparki daemon start", exit_code=ExitCode.NOT_ALLOWED
    )
    return raw_answer("403 Forbidden", encode(document(error)))


def malformed() -> bytes:
    """What a client gets that doesn't speak HTTP."""
    error = refusal("malformed_request", "this is no HTTP/1.1 request")
    return raw_answer("400 Bad Request", encode({**document(error), "status": 400}))
