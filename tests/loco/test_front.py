"""A front process between real sockets: what passes through, what is refused, what a cut does."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
import time

from loco_services import answer, peak_kib, read_exactly, read_head, saying, until
from websockets.sync.client import connect
from websockets.sync.server import serve


def echo(connection: socket.socket, number: int) -> None:
    """Answers with the head that came, then with the body's size and digest."""
    while head := read_head(connection):
        digest, size = hashlib.sha256(), 0
        low = head.lower()
        if b"transfer-encoding: chunked" in low:
            while length := int(_line(connection), 16):
                piece = read_exactly(connection, length)
                digest.update(piece)
                size += len(piece)
                read_exactly(connection, 2)
            read_exactly(connection, 2)
        elif b"content-length: " in low:
            left = int(low.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while left:
                piece = connection.recv(min(left, 65536))
                digest.update(piece)
                left -= len(piece)
                size += len(piece)
        connection.sendall(answer(head + b"|%d|" % size + digest.hexdigest().encode()))


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += connection.recv(1)
    return line


def get(connection: socket.socket, method: bytes = b"GET") -> bytes:
    connection.sendall(method + b" / HTTP/1.1\r\nHost: t\r\n\r\n")
    return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    head = read_head(connection)
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head + read_exactly(connection, int(length or 0))


# -- the route ----------------------------------------------------------------------------------------------------------------


def test_before_any_release_is_live_the_answer_says_so(hand):
    hand.route(None)

    got = hand.get()

    assert got.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in got
    assert got.endswith(b"no release is live here yet\n")
    assert hand.counted(None)["refused"] == 1


def test_a_cut_moves_requests_and_never_the_clients_connection(hand, service):
    blue, green = service(saying(b"blue")), service(saying(b"green"))
    hand.route("r-1", blue.port)
    with hand.connect() as kept, hand.connect() as idle:
        assert get(kept).endswith(b"blue")
        hand.route("r-2", green.port)
        assert get(kept).endswith(b"green")
        assert get(idle).endswith(b"green")
    assert hand.counted("r-1")["requests"] == 1
    assert hand.counted("r-2")["requests"] == 2


def test_an_answer_under_way_ends_where_it_began(hand, service):
    go = threading.Event()

    def slow(connection, number):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nblue")
        go.wait(20)
        connection.sendall(b"blue")

    blue, green = service(slow), service(saying(b"green"))
    hand.route("r-1", blue.port)
    with hand.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        read_head(connection)
        hand.route("r-2", green.port)
        assert hand.counted("r-1")["in_flight"] == 1
        go.set()
        assert read_exactly(connection, 8) == b"blueblue"
        assert get(connection).endswith(b"green")
    until(lambda: hand.counted("r-1")["in_flight"] == 0)
    assert hand.counted("r-1")["cuts"] == 0


def test_in_maintenance_everybody_is_told_when_to_come_again(hand, service):
    blue = service(saying(b"blue"))
    hand.route("r-1", blue.port, {"text": "back at noon", "retry_after_s": 90})
    with hand.connect() as connection:
        got = get(connection)
        assert b" 503 " in got
        assert b"Retry-After: 90\r\n" in got
        assert got.endswith(b"back at noon\n")
        hand.route("r-1", blue.port)
        assert get(connection).endswith(b"blue")


def test_a_dead_service_is_a_502_and_is_counted(hand, service):
    blue = service(saying(b""))
    blue.close()
    hand.route("r-1", blue.port)

    with hand.connect() as connection:
        assert get(connection).startswith(b"HTTP/1.1 502 ")
        assert get(connection).startswith(b"HTTP/1.1 502 ")
    assert hand.counted("r-1") | {"failed": 2, "in_flight": 0} == hand.counted("r-1")


# -- kept connections that die ------------------------------------------------------------------------------------------------


def one_answer_then_death(body: bytes):
    """Each connection answers once, and hangs up when it is asked again."""

    def handle(connection, number):
        read_head(connection)
        connection.sendall(answer(body))
        read_head(connection)

    return handle


def test_a_kept_connection_that_dies_before_its_answer_is_replaced(hand, service):
    blue = service(one_answer_then_death(b"blue"))
    hand.route("r-1", blue.port)
    with hand.connect() as connection:
        for _ in range(6):
            assert get(connection).endswith(b"blue")
    counted = hand.counted("r-1")
    assert counted["retries"] >= 3
    assert counted["failed"] == 0
    assert counted["requests"] == 6


def test_a_put_is_sent_again_with_its_body(hand, service):
    heard = []

    def handle(connection, number):
        while head := read_head(connection):
            body = read_exactly(connection, 5) if head.startswith(b"PUT") else b""
            heard.append((number, body))
            if number == 1 and body:
                return
            connection.sendall(answer(b"ok"))

    blue = service(handle)
    hand.route("r-1", blue.port)
    with hand.connect() as connection:
        get(connection)
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        assert read_answer(connection).endswith(b"ok")
    assert heard == [(1, b""), (1, b"hello"), (2, b"hello")]


def test_a_post_that_may_have_been_worked_on_is_never_sent_twice(hand, service):
    heard = []

    def handle(connection, number):
        while head := read_head(connection):
            heard.append(head.partition(b" ")[0])
            if head.startswith(b"POST"):
                return
            connection.sendall(answer(b"ok"))

    blue = service(handle)
    hand.route("r-1", blue.port)
    with hand.connect() as connection:
        get(connection)
        assert get(connection, b"POST").startswith(b"HTTP/1.1 502 ")
    assert heard == [b"GET", b"POST"]
    assert hand.counted("r-1")["failed"] == 1


def test_a_new_connection_that_dies_is_not_tried_again(hand, service):
    blue = service(lambda connection, number: read_head(connection))
    hand.route("r-1", blue.port)

    assert hand.get().startswith(b"HTTP/1.1 502 ")
    assert blue.connections == 1


def test_an_answer_cut_in_flight_ends_the_connection_and_is_counted(hand, service):
    def handle(connection, number):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    hand.route("r-1", service(handle).port)

    assert hand.get().endswith(b"half")
    assert hand.counted("r-1")["cuts"] == 1


# -- bodies -------------------------------------------------------------------------------------------------------------------


def test_a_big_upload_streams_through_in_bounded_memory(hand, service):
    """200 MB to a service that reads slower than the client sends: nothing piles up in between."""
    hand.route("r-1", service(echo).port)
    size, piece = 200_000_000, os.urandom(1_000_000)
    digest = hashlib.sha256()
    before = peak_kib(hand.process.pid)
    with hand.connect() as connection:
        connection.sendall(b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            connection.sendall(piece)
            digest.update(piece)
        assert read_answer(connection).endswith(b"|%d|%b" % (size, digest.hexdigest().encode()))
    assert peak_kib(hand.process.pid) - before < 16 * 1024


def test_a_chunked_upload_arrives_whole(hand, service):
    hand.route("r-1", service(echo).port)
    with hand.connect() as connection:
        connection.sendall(b"POST /up HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"a" * 10, b"b" * 70_000, b"c"):
            connection.sendall(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
            time.sleep(0.02)
        connection.sendall(b"0\r\nX-Trailer: 1\r\n\r\n")
        expected = hashlib.sha256(b"a" * 10 + b"b" * 70_000 + b"c").hexdigest().encode()
        assert read_answer(connection).endswith(b"|70011|" + expected)


def test_a_big_answer_waits_for_a_slow_client_in_bounded_memory(hand, service):
    size = 100_000_000

    def handle(connection, number):
        while read_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(100):
                connection.sendall(bytes(1_000_000))

    hand.route("r-1", service(handle).port)
    before = peak_kib(hand.process.pid)
    with hand.connect() as connection:
        for _ in range(2):  # the second goes over the connection that had been stopped
            connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            read_head(connection)
            time.sleep(0.3)
            left = size
            while left:
                left -= len(connection.recv(min(left, 1 << 20)))
    assert peak_kib(hand.process.pid) - before < 16 * 1024


def test_an_answer_that_ends_with_its_connection_comes_in_chunks(hand, service):
    def handle(connection, number):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nabc")
        time.sleep(0.05)
        connection.sendall(b"de")

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in read_head(connection)
        assert read_exactly(connection, 20) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"[:20]
    assert hand.counted("r-1")["cuts"] == 0


def test_head_and_304_leave_the_connection_in_step(hand, service):
    def handle(connection, number):
        while head := read_head(connection):
            if head.startswith(b"HEAD"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            elif b"If-None-Match" in head:
                connection.sendall(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
            else:
                connection.sendall(answer(b"whole"))

    blue = service(handle)
    hand.route("r-1", blue.port)
    with hand.connect() as connection:
        for _ in range(3):
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n")
            assert b"Content-Length: 1000" in read_head(connection)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nIf-None-Match: x\r\n\r\n")
            assert b" 304 " in read_head(connection)
            assert get(connection).endswith(b"whole")
    assert blue.connections == 1


def test_expect_100_continue_goes_to_the_service_and_back(hand, service):
    def handle(connection, number):
        head = read_head(connection)
        assert b"Expect: 100-continue" in head
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(answer(read_exactly(connection, 4)))

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert read_head(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert read_answer(connection).endswith(b"\r\n\r\nbody")


def test_an_early_refusal_reaches_a_client_that_still_sends(hand, service):
    def handle(connection, number):
        read_head(connection)
        connection.sendall(answer(b"too much", status="413 Content Too Large"))
        while connection.recv(65536):
            pass

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5000000\r\n\r\n" + bytes(100_000))
        got = read_answer(connection)
        assert got.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in got
        assert got.endswith(b"too much")


def test_requests_sent_in_one_go_are_answered_in_order(hand, service):
    def handle(connection, number):
        while head := read_head(connection):
            connection.sendall(answer(head.split(b" ")[1]))

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % number for number in range(200)))
        assert [read_answer(connection).rpartition(b"\r\n\r\n")[2] for _ in range(200)] == [b"/%d" % number for number in range(200)]


def test_http_1_0_gets_its_answer_and_its_end(hand, service):
    hand.route("r-1", service(saying(b"blue")).port)

    assert hand.ask(b"GET / HTTP/1.0\r\n\r\n").endswith(b"Connection: close\r\n\r\nblue")


def test_the_service_is_told_who_asks(hand, service):
    hand.route("r-1", service(echo).port)

    got = hand.get("/x?y=1", "Cookie: a=b\r\n")

    assert b"GET /x?y=1 HTTP/1.1\r\nHost: test\r\n" in got
    assert b"Cookie: a=b\r\n" in got
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in got
    assert b"X-Forwarded-Host: test\r\n" in got


# -- WebSocket ----------------------------------------------------------------------------------------------------------------


def test_a_websocket_goes_through_both_ways_and_is_counted(hand, service):
    def handle(connection, number):
        head = read_head(connection)
        assert b"Upgrade: websocket" in head
        assert b"Sec-WebSocket-Key: k" in head
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        while data := connection.recv(65536):
            connection.sendall(data[::-1])

    hand.route("r-1", service(handle).port)
    with hand.connect() as connection:
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n")
        assert b" 101 " in read_head(connection)
        assert read_exactly(connection, 5) == b"hello"
        for data in (b"\x81\x05GET /", b"\0" * 100_000 + b"\1"):
            connection.sendall(data)
            assert read_exactly(connection, len(data))[-1:] == data[:1]
        assert hand.counted("r-1")["tunnels"] == hand.counted("r-1")["in_flight"] == 1
    until(lambda: hand.counted("r-1")["in_flight"] == 0)
    assert hand.counted("r-1")["tunnels"] == hand.counted("r-1")["aborted"] == 0


def test_a_refused_websocket_is_an_answer_like_any_other(hand, service):
    hand.route("r-1", service(saying(b"no")).port)
    with hand.connect() as connection:
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert read_answer(connection).endswith(b"no")
        assert get(connection).endswith(b"no")


def test_a_real_websocket_library_talks_through(hand):
    def reply(socket):
        for message in socket:
            socket.send(message.upper())

    with serve(reply, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hand.route("r-1", server.socket.getsockname()[1])
        with connect(f"ws://127.0.0.1:{hand.port}/chat") as client:
            for text in ("hello", "x" * 300_000):
                client.send(text)
                assert client.recv() == text.upper()
        server.shutdown()


# -- the front's own end ------------------------------------------------------------------------------------------------------


def test_a_draining_front_ends_each_connection_with_its_next_answer_and_then_goes(hand, service):
    hand.route("r-1", service(saying(b"blue")).port)
    with hand.connect() as kept:
        get(kept)
        os.kill(hand.process.pid, signal.SIGTERM)
        until(lambda: b"Connection: close" in get(kept), "the signal has arrived")
        assert kept.recv(1) == b""
    assert hand.process.wait(20) == 0
