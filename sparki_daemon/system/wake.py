"""A wake-up from process to process: an empty datagram, after which the other looks into the store by itself."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

LONGEST = 100  # bytes of a Unix socket's address that every system takes


def listen(folder: str, name: str) -> socket.socket | None:
    """A socket that becomes readable when somebody calls `wake(folder, name)`; one of an earlier process is replaced.

    None where the folder's path is too long for a socket and the system has no /proc: then only a look now and then tells.
    """
    path = os.path.join(folder, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    before = os.umask(0o177)
    try:
        with _address(folder, name) as address:
            server.bind(address)
    except OSError:
        server.close()
        return None
    finally:
        os.umask(before)
    server.setblocking(False)
    return server


def wake(folder: str, name: str) -> None:
    """Wake whoever listens there; nobody may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        with _address(folder, name) as address:
            sender.sendto(b"", address)


@contextlib.contextmanager
def _address(folder: str, name: str) -> Iterator[str]:
    """The address of the socket `name` in `folder`, by way of a descriptor where its path is too long."""
    path = os.path.join(folder, name)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def drain(server: socket.socket) -> None:
    """Take every wake-up that has come."""
    with contextlib.suppress(BlockingIOError):
        while True:
            server.recv(16)
