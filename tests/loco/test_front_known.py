"""What was judged before goes the short way, and is the same on both sides as what went the long one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from loco_services import Scripted, answer, front, read_exactly, read_head, until

from sparki_daemon.loco.front.head import Headers, Request, judge_answer, judge_request
from sparki_daemon.loco.front.known import LIMIT, KnownAnswers, KnownRequests, is_one_head

FIELDS = b"Host: shop\r\nAccept: */*\r\nCookie: a=b\r\n"
HEADERS: Headers = [(b"Host", b"shop"), (b"Accept", b"*/*"), (b"Cookie", b"a=b")]
HERE = "127.0.0.1"


def judged(
    method: bytes = b"GET", target: bytes = b"/", headers: Headers = HEADERS, *, keep_alive: bool = True, version: str = "1.1"
) -> Request:
    return judge_request(method, target, version, headers, keep_alive, HERE)


def asking(method: bytes = b"GET", target: bytes = b"/", fields: bytes = FIELDS) -> bytes:
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, fields)


def taught(data: bytes, request: Request) -> KnownRequests:
    known = KnownRequests()
    for _ in range(2):
        known.learn(data, HERE, request)
    return known


@pytest.mark.parametrize(("method", "target"), [(b"GET", b"/"), (b"GET", b"/other?q=1#x"), (b"HEAD", b"/a%20b")])
def test_known_fields_with_another_first_line_give_what_the_long_way_gives(method: bytes, target: bytes) -> None:
    known = taught(asking(), judged())

    assert known.find(asking(method, target), HERE) == judged(method, target)


@pytest.mark.parametrize(
    "data",
    [
        asking(b"POST"),
        asking(target=b"http://elsewhere/"),
        asking(target=b"/a b"),
        asking(target=b"/\xe9"),
        asking(target=b"/" + b"x" * 3000),
        asking(fields=FIELDS + b"More: 1\r\n"),
        asking() + asking(),
        asking()[:-2],
        b"GET / HTTP/1.0\r\n" + FIELDS + b"\r\n",
        b"\r\n" + asking(),
        b"",
    ],
)
def test_all_else_goes_the_long_way(data: bytes) -> None:
    assert taught(asking(), judged()).find(data, HERE) is None


def test_another_clients_fields_are_not_known_for_they_become_others() -> None:
    assert taught(asking(), judged()).find(asking(), "192.0.2.7") is None


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        (b"Content-Length: 0\r\n", judged(headers=[*HEADERS, (b"Content-Length", b"0")])),
        (b"Transfer-Encoding: chunked\r\n", judged(headers=[*HEADERS, (b"Transfer-Encoding", b"chunked")])),
        (b"Connection: close\r\n", judged(headers=[*HEADERS, (b"Connection", b"close")], keep_alive=False)),
        (
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
            judged(headers=[*HEADERS, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]),
        ),
        (b"Long: " + b"x" * 5000 + b"\r\n", judged()),
        (b"Bare: 1\nother: 2\r\n", judged()),
    ],
)
def test_what_has_a_body_ends_its_connection_or_is_not_plain_is_never_kept(fields: bytes, request_: Request) -> None:
    data = asking(fields=FIELDS + fields)

    assert taught(data, request_).find(data, HERE) is None


def test_no_more_is_kept_than_there_is_room_for() -> None:
    known = KnownRequests()
    for number in range(3 * LIMIT):
        data = asking(fields=b"Host: h%d\r\n" % number)
        for _ in range(2):
            known.learn(data, HERE, judged(headers=[(b"Host", b"h%d" % number)]))

    assert len(known._rests) <= LIMIT


@pytest.mark.parametrize(
    ("head", "whole"),
    [
        (b"a\r\n\r\n", True),
        (b"a\r\nb\r\n\r\n", True),
        (b"a\n\r\n\r\n", False),
        (b"a\rb\r\n\r\n", False),
        (b"a\r\n", False),
        (b"a\r\n\r\nb\r\n\r\n", False),
    ],
)
def test_a_head_is_lines_that_end_as_they_should(head: bytes, whole: bool) -> None:
    assert is_one_head(head) == whole


def test_a_known_answer_is_taken_with_a_body_of_its_length_only() -> None:
    headers: Headers = [(b"Content-Length", b"3"), (b"X", b"1"), (b"Connection", b"keep-alive")]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: 1\r\nConnection: keep-alive\r\n\r\n"
    told = judge_answer(200, b"OK", headers, judged(), close=False)
    known = KnownAnswers()
    for _ in range(2):
        known.learn(head + b"one", 200, headers, told)

    found = known.find(head + b"two")
    assert found is not None
    assert (found[0].head, found[0].as_came) == (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: 1\r\n\r\n", False)
    assert known.find(head + b"tw") is None
    assert known.find(head + b"twoHTTP/1.1 200 OK") is None


def test_what_goes_to_the_service_and_comes_back_is_the_same_however_often_it_is_asked(tmp_path: Path) -> None:
    heads: list[bytes] = []

    def handle(connection: socket.socket, _: int) -> None:
        while head := read_head(connection):
            heads.append(head)
            whole = answer(b"r-1", fields="Keep-Alive: timeout=5\r\nX: 1\r\n")
            connection.sendall(whole[:-3] if head.startswith(b"HEAD") else whole)

    with front(tmp_path) as hand:
        hand.route("r-1", Scripted(handle).port)
        with hand.connect() as client:
            answers = [ask(client, asking()) for _ in range(6)]
            ask(client, asking(b"HEAD"), length=0)
            answers += [ask(client, asking()) for _ in range(2)]
        until(lambda: not hand.counted("r-1")["in_flight"], "the front has counted the last answer")
        counted = hand.counted("r-1")

    assert set(answers) == {answer(b"r-1", fields="X: 1\r\n")}
    assert {head.partition(b" ")[2] for head in heads} == {heads[0].partition(b" ")[2]}
    assert (counted["requests"], counted["answers"], counted["retries"]) == (9, 9, 0)


def test_a_known_answer_that_comes_in_pieces_or_with_a_failure_is_passed_on_as_it_is(tmp_path: Path) -> None:
    def handle(connection: socket.socket, _: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while head := read_head(connection):
            whole = answer(b"r-1", status="500 Bad" if b"/bad" in head else "200 OK")
            at = len(whole) - 1 if b"/slow" in head else 0
            connection.sendall(whole[:at])  # Nagle is off: mostly a packet of its own
            connection.sendall(whole[at:])

    with front(tmp_path) as hand:
        hand.route("r-1", Scripted(handle).port)
        with hand.connect() as client:
            for path in (b"/", b"/", b"/", b"/slow", b"/", b"/bad", b"/bad", b"/bad", b"/"):
                want = answer(b"r-1", status="500 Bad" if path == b"/bad" else "200 OK")
                assert ask(client, asking(target=path)) == want
        assert hand.counted("r-1")["errors_5xx"] == 3  # counted before the answer is sent


def test_a_cut_between_two_known_requests_takes_the_second_to_the_new_release(tmp_path: Path) -> None:
    def saying(body: bytes) -> Scripted:
        def handle(connection: socket.socket, _: int) -> None:
            while read_head(connection):
                connection.sendall(answer(body))

        return Scripted(handle)

    with front(tmp_path) as hand:
        old, new = saying(b"r-1"), saying(b"r-2")
        hand.route("r-1", old.port)
        with hand.connect() as client:
            for _ in range(4):
                assert ask(client, asking()).endswith(b"r-1")
            hand.route("r-2", new.port)
            for _ in range(4):
                assert ask(client, asking()).endswith(b"r-2")
            hand.route("r-2", new.port, {"text": "soon", "retry_after_s": None})
            assert ask(client, asking(), length=5).startswith(b"HTTP/1.1 503 ")


def ask(client: socket.socket, request: bytes, *, length: int = 3) -> bytes:
    """Send a request on a kept connection; the answer, with a body of this length."""
    client.sendall(request)
    return read_head(client) + read_exactly(client, length)
