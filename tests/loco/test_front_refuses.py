"""A front process and what it must not let through."""

from __future__ import annotations

import threading

import pytest
from loco_services import read_head, saying, until

# -- what is refused ----------------------------------------------------------------------------------------------------------

SMUGGLED = [
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nX: y",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\nX: y\n\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x3\r\n\r\nabc",
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("data", SMUGGLED)
def test_what_could_smuggle_a_request_never_reaches_the_service(hand, service, data):
    blue = service(saying(b"blue"))
    hand.route("r-1", blue.port)

    got = hand.ask(data)

    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in got
    assert got.count(b"HTTP/1.1 ") == 1
    assert blue.connections == 0


@pytest.mark.parametrize("chunk", [b"3\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n"])
def test_a_body_whose_chunks_are_broken_is_no_request(hand, service, chunk):
    heard = []

    def handle(connection, number):
        read_head(connection)
        heard.append(connection.recv(65536))
        heard.append(connection.recv(65536))

    hand.route("r-1", service(handle).port)

    got = hand.ask(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)

    assert got.startswith(b"HTTP/1.1 400 ")
    assert not any(data.endswith(b"0\r\n\r\n") for data in heard), "the service took it for whole"


def test_an_endless_head_is_refused(hand):
    hand.route(None)
    with hand.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nX: ")
        try:
            for _ in range(100):
                connection.sendall(b"y" * 10_000)
        except OSError:
            pass
        assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_leaves_is_counted_and_lets_the_service_go(hand, service):
    left = threading.Event()

    def handle(connection, number):
        read_head(connection)
        connection.recv(1)
        left.set()

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: hand.counted("r-1")["in_flight"] == 1)
    assert left.wait(20)
    until(lambda: hand.counted("r-1")["in_flight"] == 0)
    assert hand.counted("r-1")["aborted"] == 1


@pytest.mark.parametrize(
    "nonsense", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"HTTP/1.1 101 Up\r\n\r\n"]
)
def test_a_service_that_speaks_no_http_is_a_502(hand, service, nonsense):
    def handle(connection, number):
        read_head(connection)
        connection.sendall(nonsense)
        connection.recv(1)

    hand.route("r-1", service(handle).port)

    assert hand.get().startswith(b"HTTP/1.1 502 ")
