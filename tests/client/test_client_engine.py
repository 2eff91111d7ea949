from __future__ import annotations

import os
import time
from typing import Any

import pytest
from stand_in import Reply, Request, StandIn, answers, dies_first

from sparki_daemon.client import engine as engine_module
from sparki_daemon.client.engine import Engine
from sparki_daemon.client.paths import Paths
from sparki_daemon.model.problem import ExitCode, SparkiError

RUN = {"run": "r-1", "pipeline": "ci", "file": "f"}


def code_of(caught: pytest.ExceptionInfo[SparkiError]) -> tuple[str, ExitCode]:
    return caught.value.problems[0].code, caught.value.exit_code


def test_a_run_is_started_once_though_the_answer_was_lost(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("POST", "/v1/runs", dies_first(2, answers({"runs": [RUN], "since": 4}, 201)))
    assert engine.start_runs({"directory": "/d"}) == {"runs": [RUN], "since": 4}
    keys = [request.headers["idempotency-key"] for request in stand_in.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [request.body for request in stand_in.requests] == [{"directory": "/d"}] * 3


def test_two_runs_have_two_keys(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("POST", "/v1/runs", answers({"runs": [], "since": 0}))
    engine.start_runs({})
    engine.start_runs({})
    assert len({request.headers["idempotency-key"] for request in stand_in.requests}) == 2


def test_an_answer_cut_off_in_its_body_is_asked_for_again(engine: Engine, stand_in: StandIn) -> None:
    left = [1]

    def handler(_: Request, reply: Reply) -> None:
        if left:
            left.pop()
            reply.sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        else:
            reply.json({"id": "r-1"})

    stand_in.on("GET", "/v1/runs/", handler)
    assert engine.show_run("r-1", None) == {"id": "r-1"}


def test_an_engine_that_always_hangs_up_is_given_up(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("POST", "/v1/runs/r-1/cancel", lambda *_: None)
    with pytest.raises(SparkiError) as caught:
        engine.cancel_run("r-1", force=False, limit_s=0.1)
    assert code_of(caught) == ("daemon_unreachable", ExitCode.UNREACHABLE)


def test_a_daemon_that_never_answers_is_given_up(engine: Engine, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "START_RUN_LIMIT_S", 0.05)
    stand_in.on("POST", "/v1/runs", lambda *_: time.sleep(0.5))
    with pytest.raises(SparkiError) as caught:
        engine.start_runs({})
    assert code_of(caught) == ("daemon_unreachable", ExitCode.UNREACHABLE)


def test_without_a_daemon_and_no_leave_to_start_one_the_error_says_so(paths: Paths) -> None:
    with pytest.raises(SparkiError) as caught:
        Engine(paths, may_start=False).daemon_status()
    assert code_of(caught) == ("daemon_not_running", ExitCode.UNREACHABLE)


def test_a_refusal_carries_all_problems_and_the_exit_code(engine: Engine, stand_in: StandIn) -> None:
    problem = {"code": "unknown_need", "message": "m", "file": "ci.yml", "line": 3, "column": 5, "hint": "h"}
    other = {**problem, "code": "other"}
    document = {"code": "unknown_need", "detail": "m", "exit_code": 2, "problems": [problem, other]}
    stand_in.on("POST", "/v1/runs", answers(document, 422))
    with pytest.raises(SparkiError) as caught:
        engine.start_runs({})
    assert [each.to_json() for each in caught.value.problems] == [problem, other]
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b'{"code": "no_such_run", "detail": "no"}', ("no_such_run", ExitCode.NOT_FOUND)),
        (403, b'{"title": "no"}', ("daemon_error", ExitCode.NOT_ALLOWED)),
        (500, b"<html>", ("daemon_error", ExitCode.RED)),
        (503, b"[]", ("daemon_error", ExitCode.UNREACHABLE)),
        (409, b'{"exit_code": 99}', ("daemon_error", ExitCode.USAGE)),
        (422, b'{"problems": "x"}', ("daemon_error", ExitCode.USAGE)),
    ],
)
def test_a_refusal_in_any_shape_is_an_error_with_an_exit_code(
    engine: Engine, stand_in: StandIn, status: int, body: bytes, told: tuple[str, ExitCode]
) -> None:
    head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    stand_in.on("GET", "/v1/daemon", lambda _, reply: reply.sock.sendall(head + body))
    with pytest.raises(SparkiError) as caught:
        engine.daemon_status()
    assert code_of(caught) == told


def test_an_answer_that_is_no_json_is_an_error(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/daemon", lambda _, reply: reply.sock.sendall(b"HTTP/1.1 200 x\r\ncontent-length: 1\r\n\r\n{"))
    with pytest.raises(SparkiError) as caught:
        engine.daemon_status()
    assert code_of(caught)[0] == "daemon_unreachable"


def test_the_requests_are_those_of_the_api(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": [RUN], "excerpts": []}))
    stand_in.on("POST", "/v1/", answers({}, 202))
    engine.list_runs("/a b", 3)
    engine.list_runs(None, 30)
    engine.show_run("latest", "/x")
    engine.show_run("a/../b", None)
    engine.excerpts("r-1")
    engine.cancel_run("r-1", force=True)
    engine.retry_run("r-1", failed=True)
    engine.stop_daemon(force=False)
    engine.restart_daemon()
    assert [(request.method, request.target, request.body) for request in stand_in.requests] == [
        ("GET", "/v1/runs?limit=3&directory=/a%20b", None),
        ("GET", "/v1/runs?limit=30", None),
        ("GET", "/v1/runs/latest?directory=/x", None),
        ("GET", "/v1/runs/a%2F..%2Fb", None),
        ("GET", "/v1/runs/r-1/excerpts", None),
        ("POST", "/v1/runs/r-1/cancel", {"force": True}),
        ("POST", "/v1/runs/r-1/retry", {"failed": True}),
        ("POST", "/v1/daemon/stop", {"force": False}),
        ("POST", "/v1/daemon/restart", None),
    ]


def test_log_bytes_go_on_at_the_byte_where_they_broke_off(engine: Engine, stand_in: StandIn) -> None:
    whole = os.urandom(200_000)

    def handler(request: Request, reply: Reply) -> None:
        start = int(request.values("from")[0])
        reply.begin()
        reply.chunk(whole[start : start + 70_000])
        if start + 70_000 >= len(whole):
            time.sleep(0.05)
            reply.end()

    stand_in.on("GET", "/v1/jobs/j-1/log", handler)
    pieces = list(engine.log_bytes("j-1"))
    assert b"".join(pieces) == whole
    assert all(pieces)
    assert len(stand_in.requests) == 3


@pytest.mark.parametrize(
    ("options", "query"),
    [({}, "from=0"), ({"start": 3, "end": 9}, "from=3&to=9"), ({"follow": True}, "from=0&follow=true")],
)
def test_a_part_of_a_log_is_asked_for_by_its_bytes(engine: Engine, stand_in: StandIn, options: dict[str, Any], query: str) -> None:
    stand_in.on("GET", "/v1/jobs/j-1/log", answers({}))
    assert list(engine.log_bytes("j-1", **options)) == [b"{}"]
    assert stand_in.requests[0].query == query


def test_log_lines_come_once_though_the_stream_broke(engine: Engine, stand_in: StandIn) -> None:
    lengths = iter([2, 4, 5])

    def handler(_: Request, reply: Reply) -> None:
        length = next(lengths)
        reply.begin()
        reply.lines(*[{"line": number} for number in range(length)])
        if length == 5:
            reply.end()

    stand_in.on("GET", "/v1/runs/r-1/lines", handler)
    told = [line for lines in engine.lines("r-1", "build", follow=True) for line in lines]
    assert told == [b'{"line": %d}' % number for number in range(5)]
    assert stand_in.requests[0].target == "/v1/runs/r-1/lines?follow=true&job=build"


@pytest.mark.parametrize(
    "ask", [lambda engine: list(engine.lines("r-1", None, follow=False)), lambda engine: list(engine.log_bytes("r-1"))]
)
def test_a_log_that_never_gets_on_is_given_up(engine: Engine, stand_in: StandIn, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FRUITLESS_LIMIT", 3)
    stand_in.on("GET", "/v1/", lambda _, reply: reply.begin())
    with pytest.raises(SparkiError) as caught:
        ask(engine)
    assert code_of(caught)[0] == "daemon_unreachable"
    assert len(stand_in.requests) == 4


def test_whoever_finds_a_daemon_is_told_once_what_it_says_of_itself(paths: Paths, stand_in: StandIn) -> None:
    told: list[str] = []
    stand_in.on("GET", "/v1/daemon", answers({}))
    engine = Engine(paths, may_start=False, on_found=lambda _, daemon: told.append(daemon["version"]))
    engine.daemon_status()
    engine.daemon_status()
    assert told == [stand_in.version]
