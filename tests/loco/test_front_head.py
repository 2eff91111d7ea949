"""What a request's or an answer's head becomes on the other side."""

from __future__ import annotations

import pytest

from sparki_daemon.loco.front.head import RefusedError, Request, interim_head, judge_answer, judge_request, plain


def judged(headers, *, method=b"GET", target=b"/", version="1.1", peer="203.0.113.7"):
    return judge_request(method, target, version, [(b"Host", b"shop.test"), *headers], keep_alive=True, peer=peer)


def refused(headers, **how):
    with pytest.raises(RefusedError) as caught:
        judged(headers, **how)
    return caught.value.status


def test_fields_of_one_hop_and_those_that_connection_names_stay_here():
    head = judged(
        [(b"Connection", b"close, X-Secret"), (b"X-Secret", b"1"), (b"Keep-Alive", b"9"), (b"TE", b"trailers"), (b"Accept", b"*/*")]
    ).head

    assert b"Accept: */*" in head
    for name in (b"X-Secret", b"Keep-Alive", b"TE:", b"Connection"):
        assert name not in head


@pytest.mark.parametrize("named", [b"content-length", b"host", b"Content-Length, Host"])
def test_connection_cannot_take_a_body_its_border_or_a_request_its_host(named):
    head = judged([(b"Connection", named), (b"Content-Length", b"3")], method=b"POST").head

    assert b"Content-Length: 3\r\n" in head
    assert b"Host: shop.test\r\n" in head


def test_a_foreign_client_cannot_say_who_it_is():
    head = judged(
        [(b"X-Forwarded-For", b"10.0.0.1"), (b"X-Forwarded-Proto", b"https"), (b"Forwarded", b"for=x"), (b"X-Real-IP", b"y")]
    ).head

    assert b"X-Forwarded-For: 203.0.113.7\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head
    assert b"\r\nForwarded" not in head
    assert b"X-Real-IP" not in head


def test_a_terminator_on_this_machine_is_believed():
    head = judged([(b"X-Forwarded-For", b"203.0.113.7"), (b"X-Forwarded-Proto", b"https")], peer="127.0.0.1").head

    assert b"X-Forwarded-For: 203.0.113.7, 127.0.0.1\r\n" in head
    assert b"X-Forwarded-Proto: https\r\n" in head


def test_connection_cannot_strip_what_the_front_itself_says_of_the_client():
    assert b"X-Forwarded-For: 203.0.113.7\r\n" in judged([(b"Connection", b"X-Forwarded-For")]).head


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"3"), (b"Content-Length", b"3")],
        [(b"Content-Length", b"3"), (b"content-length", b"4")],
        [(b"Content-Length", b"+3")],
        [(b"Content-Length", b"3, 3")],
        [(b"Content-Length", b"")],
        [(b"Content-Length", b"9" * 30)],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"xchunked")],
        [(b"Host", b"other.test")],
    ],
)
def test_what_two_readers_could_understand_in_two_ways_is_refused(headers):
    assert refused(headers, method=b"POST") == 400


def test_http_1_0_knows_no_chunks():
    assert refused([(b"Transfer-Encoding", b"chunked")], version="1.0", method=b"POST") == 400


def test_what_is_too_large_is_refused():
    assert refused([(b"X", b"y" * 70_000)]) == 431
    assert refused([(b"X", b"y")] * 200) == 431
    assert refused([], target=b"/" + b"x" * 20_000) == 414


def test_other_protocols_are_refused():
    assert refused([], version="2.0") == 505
    assert refused([], method=b"CONNECT", target=b"a:1") == 405


def test_a_request_needs_a_host_in_http_1_1_only():
    with pytest.raises(RefusedError):
        judge_request(b"GET", b"/", "1.1", [], keep_alive=True, peer="")
    assert b"Host: \r\n" in judge_request(b"GET", b"/", "1.0", [], keep_alive=False, peer="").head


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://a.test/x?y", b"/x?y", b"a.test"),
        (b"HTTP://a.test", b"/", b"a.test"),
        (b"/x", b"/x", b"shop.test"),
        (b"*", b"*", b"shop.test"),
    ],
)
def test_the_address_wins_over_the_host_field(target, path, host):
    assert judged([], target=target).head.startswith(b"GET %b HTTP/1.1\r\nHost: %b\r\n" % (path, host))


def test_only_a_websocket_is_an_upgrade():
    upgrade = (b"Connection", b"keep-alive, Upgrade")
    assert judged([upgrade, (b"Upgrade", b"websocket")]).upgrade
    other = judged([upgrade, (b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"x")])
    assert not other.upgrade
    assert b"Upgrade" not in other.head
    assert not judged([(b"Upgrade", b"websocket")]).upgrade
    assert not judged([upgrade, (b"Upgrade", b"websocket")], version="1.0").upgrade


def test_only_methods_that_may_come_twice_are_idempotent():
    assert [judged([], method=method).idempotent for method in (b"GET", b"PUT", b"DELETE", b"POST", b"PATCH")] == [True] * 3 + [False] * 2


def request(*, method=b"GET", old=False, keep_alive=True):
    return Request(method, b"", keep_alive, old, chunked=False, length=None, upgrade=False)


def test_an_answer_without_a_length_comes_in_chunks_or_ends_with_the_connection():
    modern = judge_answer(200, b"OK", [], request(), close=False)
    assert modern.chunk
    assert not modern.close
    assert b"Transfer-Encoding: chunked" in modern.head
    old = judge_answer(200, b"OK", [(b"Transfer-Encoding", b"chunked")], request(old=True), close=False)
    assert not old.chunk
    assert old.close
    assert b"Transfer-Encoding" not in old.head
    assert b"Connection: close" in old.head


@pytest.mark.parametrize(("status", "method"), [(204, b"GET"), (304, b"GET"), (200, b"HEAD")])
def test_an_answer_without_a_body_gets_no_chunks(status, method):
    answer = judge_answer(status, b"", [], request(method=method), close=False)
    assert not answer.chunk
    assert not answer.close


def test_an_old_client_that_wants_to_stay_is_told_that_it_may():
    assert b"Connection: keep-alive" in judge_answer(200, b"OK", [(b"Content-Length", b"1")], request(old=True), close=False).head


def test_an_answers_fields_of_one_hop_stay_here():
    headers = [(b"Connection", b"close, X-Hop"), (b"X-Hop", b"1"), (b"Content-Length", b"1"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")]
    head = judge_answer(200, b"OK", headers, request(), close=False).head
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n"


def test_an_answer_in_a_coding_that_is_not_undone_here_is_refused():
    with pytest.raises(RefusedError):
        judge_answer(200, b"OK", [(b"Transfer-Encoding", b"gzip, chunked")], request(), close=False)


def test_only_101_keeps_the_fields_of_the_upgrade():
    fields = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Link", b"</a>")]
    assert b"Upgrade: websocket" in interim_head(101, b"Switching Protocols", fields)
    assert interim_head(103, b"Early Hints", fields) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_the_fronts_own_answer_has_its_length_and_no_body_for_head():
    assert plain(503, "soon", close=False, retry_after_s=7).endswith(b"Content-Length: 5\r\nRetry-After: 7\r\n\r\nsoon\n")
    assert plain(502, "gone", close=True, head_only=True).endswith(b"Content-Length: 5\r\nConnection: close\r\n\r\n")
