from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import Reply, Request, StandIn, answers

from sparki_daemon.client.http import Body, BrokenError, Exchange, dial, exchange, quoted


def ask(stand_in: StandIn, target: str = "/x", method: str = "GET", body: bytes = b"", headers: tuple[str, ...] = ()) -> Exchange:
    return exchange(dial(stand_in.address, 5.0), method, target, body, headers)


def raw(home: Path, answer: bytes) -> Exchange:
    """What becomes of a server that says exactly these bytes and hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home / "raw.sock"))
    listener.listen(1)

    def serve() -> None:
        with listener, listener.accept()[0] as sock:
            sock.recv(65536)
            sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return exchange(dial(str(home / "raw.sock"), 5.0), "GET", "/")
    finally:
        thread.join()


def test_a_request_carries_its_body_and_headers(stand_in: StandIn) -> None:
    stand_in.on("POST", "/x", answers({"fine": True}, 201))
    got = ask(stand_in, "/x?a=b", "POST", b'{"q": 1}', ("Idempotency-Key: k",))
    assert (got.status, got.read()) == (201, b'{"fine": true}')
    request = stand_in.requests[0]
    assert (request.body, request.headers["idempotency-key"], request.headers["content-type"]) == ({"q": 1}, "k", "application/json")


def test_an_answer_in_chunks_is_put_together_and_gives_lines(stand_in: StandIn) -> None:
    def handler(_: Request, reply: Reply) -> None:
        reply.begin()
        for part in (b"one\ntw", b"o\n", b"\nlast"):
            reply.chunk(part)
        reply.end()

    stand_in.on("GET", "/x", handler)
    assert ask(stand_in).read() == b"one\ntwo\n\nlast"
    assert [line for lines in ask(stand_in).lines() for line in lines] == [b"one", b"two", b"", b"last"]


def test_an_answer_cut_off_is_never_taken_for_whole(stand_in: StandIn) -> None:
    def handler(_: Request, reply: Reply) -> None:
        reply.begin()
        reply.chunk(b"half\n")

    stand_in.on("GET", "/x", handler)
    lines = ask(stand_in).lines()
    assert next(lines) == [b"half"]
    with pytest.raises(BrokenError):
        next(lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_nonsense_and_broken_answers_are_one_kind_of_error(home: Path, answer: bytes) -> None:
    with pytest.raises(BrokenError):
        raw(home, answer).read()


def test_a_body_without_a_length_ends_with_the_connection(home: Path) -> None:
    assert raw(home, b"HTTP/1.1 200 OK\r\n\r\nall of it").read() == b"all of it"


def test_a_silent_server_is_a_timeout(stand_in: StandIn) -> None:
    silent = threading.Event()
    stand_in.on("GET", "/x", lambda *_: (silent.wait(5), None)[1])
    with pytest.raises(TimeoutError):
        exchange(dial(stand_in.address, 0.05), "GET", "/x")
    silent.set()


def test_a_listener_that_takes_nobody_is_a_timeout_and_no_absence(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "full.sock"))
        listener.listen(0)
        first = dial(str(home / "full.sock"), 1.0)
        with pytest.raises(TimeoutError):
            dial(str(home / "full.sock"), 0.05)
        first.close()


def test_nobody_there_is_an_os_error(home: Path) -> None:
    for name in ("absent.sock", "stale.sock"):
        if name == "stale.sock":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(home / name))
        with pytest.raises(OSError):
            dial(str(home / name), 1.0)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        ("a b&c=d?e#f%", "a%20b%26c%3Dd%3Fe%23f%25"),
        ("é", "%C3%A9"),
        ("\udcff", "%FF"),
        ("\r\n", "%0D%0A"),
    ],
)
def test_a_target_holds_any_text(text: str, there: str) -> None:
    assert quoted(text) == there


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_chunks_decode_the_same_however_they_are_cut(chunks: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body, out, at = Body({"transfer-encoding": "chunked"}), b"", 0
    cutter: Callable[[], int] = iter(cuts * (len(wire) // len(cuts) + 1)).__next__
    while at < len(wire):
        step = cutter()
        out += body.feed(wire[at : at + step])
        at += step
    assert (out, body.ended) == (b"".join(chunks), True)
