"""The routes over a real socket: what they answer, and how they refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from api_twin import Pruned, Twin, ask, asked, refusal, served

from sparki_daemon.engine.api.problems import document, status_of
from sparki_daemon.model.problem import ExitCode, Position, Problem, SparkiError
from sparki_daemon.store.artifacts import Artifacts


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


@pytest.fixture
async def path(twin: Twin, tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "sock")
    async with served(twin, path):
        yield path


async def test_a_run_is_started_and_told_where_to_follow_it(twin: Twin, path: str) -> None:
    twin.run()
    status, answer = await asked(path, "POST", "/v1/runs", {"directory": "/repo"})
    assert status == 201
    assert answer == {"runs": [{"run": "r-0001", "pipeline": "ci", "file": "ci.yml"}], "since": 1}


async def test_the_same_key_starts_one_run_and_another_body_is_refused(twin: Twin, path: str) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await asked(path, "POST", "/v1/runs", {"directory": "/repo"}, key)
    second = await asked(path, "POST", "/v1/runs", {"directory": "/repo"}, key)
    other = await asked(path, "POST", "/v1/runs", {"directory": "/other"}, key)
    assert first == second
    assert len(twin.runs) == 1
    assert (other[0], other[1]["code"]) == (409, "idempotency_mismatch")


async def test_runs_are_listed_with_limit_and_before(twin: Twin, path: str) -> None:
    for number in range(5):
        twin.run(directory=f"/{number % 2}")
    assert [run["id"] for run in (await asked(path, "GET", "/v1/runs?limit=2"))[1]["runs"]] == ["r-0004", "r-0003"]
    assert [run["id"] for run in (await asked(path, "GET", "/v1/runs?before=r-0003&directory=/0"))[1]["runs"]] == ["r-0002", "r-0000"]


async def test_a_run_is_shown_by_its_id_and_by_latest(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    for name in (run, "latest"):
        status, shown = await asked(path, "GET", f"/v1/runs/{name}")
        assert (status, shown["id"], [job["id"] for job in shown["jobs"]]) == (200, run, ["a", "b"])


async def test_cancel_and_retry_answer_202_or_why_not(twin: Twin, path: str) -> None:
    run = twin.run()
    assert (await asked(path, "POST", f"/v1/runs/{run}/retry"))[1]["code"] == "run_active"
    assert (await asked(path, "POST", f"/v1/runs/{run}/cancel", {"force": True}))[0] == 202
    assert twin.journal[1].data == {"run": run, "force": True}
    again = await asked(path, "POST", f"/v1/runs/{run}/cancel")
    assert (again[0], again[1]["code"]) == (409, "run_finished")
    retried = {"run": run, "attempt": 2, "since": 3, "file_changed": False}
    assert await asked(path, "POST", f"/v1/runs/{run}/retry", {"failed": True}) == (202, retried)


async def test_the_daemon_tells_its_state_and_takes_orders(twin: Twin, path: str) -> None:
    twin.run()
    assert (await asked(path, "GET", "/v1/daemon"))[1]["queues"] == {"builds": 0, "deployments": 0}
    assert (await asked(path, "GET", "/v1/daemon"))[1]["disk"]["full"] is True
    refused = await asked(path, "POST", "/v1/daemon/stop", {"force": False})
    assert (refused[0], refused[1]["code"], refused[1]["exit_code"]) == (409, "runs_active", 1)
    assert (await asked(path, "POST", "/v1/daemon/stop", {"force": True}))[0] == 202
    assert (await asked(path, "POST", "/v1/daemon/restart"))[0] == 202
    assert twin.stopped == ["stop", "restart"]


async def test_a_refusal_is_a_problem_document(path: str) -> None:
    talk = await ask(path, "GET", "/v1/runs/r-9999")
    answer = await talk.json()
    talk.close()
    assert (talk.status, talk.headers["content-type"]) == (404, "application/problem+json")
    assert answer == {
        "type": "urn:sparki:problem:no_such_run",
        "title": "no such run",
        "status": 404,
        "detail": "no_such_run was met",
        "code": "no_such_run",
        "exit_code": 5,
        "problems": [{"code": "no_such_run", "message": "no_such_run was met", "file": None, "line": None, "column": None, "hint": ""}],
    }


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/", 404, "no_such_path"),
        ("GET", "/v1/run", 404, "no_such_path"),
        ("GET", "/v1/runs/", 404, "no_such_path"),
        ("DELETE", "/v1/runs", 405, "method_not_allowed"),
        ("HEAD", "/v1/events", 405, "method_not_allowed"),
        ("GET", "/v1/runs?limit=0", 422, "bad_value"),
        ("GET", "/v1/runs?limit=x", 422, "bad_value"),
        ("GET", "/v1/runs?limit=1&limit=2", 422, "bad_value"),
        ("GET", "/v1/runs?colour=red", 422, "unknown_key"),
        ("GET", "/v1/runs?directory=repo", 422, "bad_value"),
        ("GET", "/v1/runs?before=r-9", 404, "no_such_run"),
        ("GET", "/v1/events?since=-1", 422, "bad_value"),
        ("GET", "/v1/events?since=99", 409, "since_beyond_head"),
        ("GET", "/v1/events?follow=yes", 422, "bad_value"),
        ("GET", "/v1/runs/r-9/follow", 404, "no_such_run"),
        ("GET", "/v1/runs/r-9/follow?at=x", 422, "bad_value"),
        ("GET", "/v1/runs/r-9/lines", 404, "no_such_run"),
        ("GET", "/v1/runs/r-9/excerpts", 404, "no_such_run"),
        ("GET", "/v1/jobs/j-9/log", 404, "no_such_job"),
        ("GET", "/v1/jobs/j-9/log?from=x", 422, "bad_value"),
    ],
)
async def test_a_bad_request_is_refused_with_its_code(path: str, method: str, target: str, status: int, code: str) -> None:
    talk = await ask(path, method, target)
    answer = json.loads(await talk.body()) if method != "HEAD" else {"code": code}
    talk.close()
    assert (talk.status, answer["code"]) == (status, code)
    if status == 405:
        assert talk.headers["allow"] in {"GET", "GET, POST", "POST, GET"}


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_json"),
        (b"\xff\xfe", {}, 400, "malformed_json"),
        (b'{"directory": "/a", "max_parallel": NaN}', {}, 400, "malformed_json"),
        (b"[" * 100_000, {}, 400, "malformed_json"),
        (b"", {}, 422, "bad_value"),
        (b"[]", {}, 422, "bad_value"),
        (b'{"directory": "/a"}', {"content-type": "text/xml"}, 415, "unsupported_media_type"),
        (b'{"directory": "/a"}', {"Idempotency-Key": "a b"}, 422, "bad_value"),
        (b'{"directory": "/a", "x": 1}', {}, 422, "unknown_key"),
    ],
)
async def test_a_bad_body_is_refused_with_its_code(path: str, raw: bytes, headers: dict[str, str], status: int, code: str) -> None:
    talk = await ask(path, "POST", "/v1/runs", headers=headers, raw=raw)
    answer = await talk.json()
    talk.close()
    assert (talk.status, answer["code"]) == (status, code)


async def test_a_body_that_has_no_end_is_refused_before_it_fills_the_memory(path: str) -> None:
    talk = await ask(path, "POST", "/v1/runs", raw=b" " * (17 << 20))
    assert (talk.status, (await talk.json())["code"]) == (413, "body_too_large")
    talk.close()


async def test_a_fault_of_the_engine_is_logged_and_told_without_its_trace(
    twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(twin, "daemon_status", fail)
    status, answer = await asked(path, "GET", "/v1/daemon")
    assert (status, answer["code"]) == (500, "internal_error")
    assert "Traceback" not in json.dumps(answer)
    assert [record.name for record in caplog.records] == ["sparki.api"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_pruned_journal_names_the_first_event_that_it_keeps(twin: Twin, path: str) -> None:
    for _ in range(5):
        twin.run()
    twin.pruned = 3
    status, answer = await asked(path, "GET", "/v1/events?since=1")
    assert (status, answer["code"], answer["first_kept"]) == (410, "events_pruned", 4)
    talk = await ask(path, "GET", "/v1/events?since=3")
    assert [line["seq"] async for line in talk.lines()] == [4, 5]
    talk.close()


async def test_several_requests_share_a_connection(twin: Twin, path: str) -> None:
    run = twin.run()
    talk = await ask(path, "GET", f"/v1/runs/{run}", headers={"connection": "keep-alive"})
    assert (await talk.json())["id"] == run
    talk.writer.write(f"GET /v1/runs/{run} HTTP/1.1\r\nhost: s\r\n\r\n".encode())
    await talk.head()
    assert (await talk.json())["id"] == run
    talk.close()


async def test_what_is_no_http_gets_a_problem_document(path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "malformed_request"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (refusal("unknown_need"), 422),
        (refusal("no_such_env", ExitCode.NOT_FOUND), 404),
        (refusal("not_allowed", ExitCode.NOT_ALLOWED), 403),
        (refusal("daemon_stopping", ExitCode.UNREACHABLE), 503),
        (refusal("disk_full", ExitCode.RED), 507),
        (refusal("store_unwritable", ExitCode.RED), 500),
        (refusal("run_active"), 409),
        (Pruned(7), 410),
    ],
)
def test_the_status_follows_from_the_code_else_from_the_exit_code(error: SparkiError, status: int) -> None:
    assert status_of(error) == status


def test_a_document_has_every_problem_and_the_first_is_the_main_one() -> None:
    problems = (Problem(code="a", message="first", at=Position("f.yml", 3, 4), hint="h"), Problem(code="b", message="second"))
    found = document(SparkiError(*problems))
    assert (found["code"], found["detail"], found["exit_code"]) == ("a", "first", 2)
    assert found["problems"] == [problem.to_json() for problem in problems]


async def test_artifacts_are_listed_and_their_files_come_as_bytes(twin: Twin, path: str, tmp_path: Path) -> None:
    run = twin.run()
    source = tmp_path / "source"
    source.write_bytes(b"\0\xff" * 200_000)
    Artifacts(str(twin.folder / "artifacts")).save(run, 1, "a/b?", [("x.bin", str(source))], job="test")
    told = (await asked(path, "GET", "/v1/runs/latest/artifacts"))[1]
    assert told["run"] == run
    assert [(one["name"], one["job"], one["size_bytes"]) for one in told["artifacts"]] == [("a/b?", "test", 400_000)]
    talk = await ask(path, "GET", f"/v1/runs/{run}/artifact?name=a%2Fb%3F&file=0")
    assert (talk.status, b"".join([data async for data in talk.chunks()])) == (200, source.read_bytes())
    talk.close()
    for query in ("name=a%2Fb%3F&file=1", "name=none&file=0"):
        refused = await asked(path, "GET", f"/v1/runs/{run}/artifact?{query}")
        assert (refused[0], refused[1]["code"]) == (404, "no_such_artifact")
