"""One question to a service: its status decides, in its time, whatever its body does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from sparki_daemon.loco.adapters.process.probe import probe
from sparki_daemon.loco.adapters.process.wishes import Health

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@contextmanager
def service(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A service that answers each question so."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    link, _ = server.accept()
                    with link, suppress(OSError):
                        link.recv(65536)
                        answer(link)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def drips(link: socket.socket) -> None:
    link.sendall(HEAD)
    while True:
        link.sendall(b"x")
        time.sleep(0.01)


@pytest.mark.parametrize(
    "answer",
    [drips, lambda link: link.sendall(HEAD + b"half"), lambda link: link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall")],
    ids=["a body without an end", "half a body", "a whole one"],
)
def test_a_good_status_is_good_whatever_the_body_does(answer: Callable[[socket.socket], None]) -> None:
    with service(answer) as port:
        assert probe("127.0.0.1", port, Health(path="/", timeout_s=3.0)) == ""


def test_another_status_nonsense_and_silence_are_bad_and_nobody_there_too() -> None:
    health, impatient, over = Health(path="/h", timeout_s=30.0), Health(path="/h", timeout_s=0.2), threading.Event()
    with service(lambda link: link.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")) as port:
        assert probe("127.0.0.1", port, health) == "GET /h answered 503, not 200"
    with service(lambda link: link.sendall(b"SSH-2.0-x\r\n")) as port:
        assert probe("127.0.0.1", port, health).startswith("GET /h: ")
    with service(lambda _: over.wait() and None) as port:
        assert probe("127.0.0.1", port, impatient) == "GET /h: timed out"
        over.set()
    with socket.socket() as held:  # nobody listens there, and nobody else can
        held.bind(("127.0.0.1", 0))
        assert probe("127.0.0.1", held.getsockname()[1], health) == "GET /h: Connection refused"
