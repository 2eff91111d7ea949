"""The door: who is let in, and how it closes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from api_twin import Talk, Twin, ask, asked, refusal, served
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from sparki_daemon.engine.api import peer
from sparki_daemon.engine.api.app import build
from sparki_daemon.engine.api.refusal import build_refusal
from sparki_daemon.engine.api.serving import serve
from sparki_daemon.model.problem import ExitCode

STRANGER = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(b"POST /v1/daemon/stop HTTP/1.1\\r\\nhost: s\\r\\ncontent-length: 0\\r\\n\\r\\n")
    answer = b""
    while data := sock.recv(65536):
        answer += data
sys.stdout.buffer.write(answer)
"""


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "sock")


def test_only_the_same_uid_is_admitted() -> None:
    assert peer.admitted(os.geteuid())
    assert not peer.admitted(os.geteuid() + 1)


def test_the_uid_of_the_other_end_is_the_kernels_word() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer.uid_of(one) == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
async def test_another_user_is_refused_and_nothing_is_done(twin: Twin) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "sock")
        async with served(twin, path):
            os.chmod(path, 0o777)
            arguments = [sys.executable, "-c", STRANGER, path]
            answer = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, check=True, cwd="/")
    head, _, body = answer.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body)["code"] == "not_same_user"
    assert json.loads(body)["exit_code"] == 4
    assert twin.stopped == []


async def test_stopping_cuts_streams_so_that_their_clients_come_back(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    targets = ["/v1/events?follow=true", f"/v1/runs/{run}/follow?log=true", f"/v1/runs/{run}/lines?follow=true"]
    targets.append(f"/v1/jobs/{uid}/log?follow=true")
    async with served(twin, path):
        talks = [await ask(path, "GET", target) for target in targets]
        client = await unix_connect(path, "ws://sparki/v1/events")
        while twin.feed.followers < 4:
            await asyncio.sleep(0.001)
        before = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - before < 1.0
    for talk in talks:
        await talk.body()
        assert not talk.whole
        talk.close()
    with pytest.raises(ConnectionClosed):  # after whatever came before
        while await client.recv():
            pass
    assert client.close_code == 1012
    assert twin.feed.followers == 0
    assert not twin.log_watch.watched(uid)


async def test_stopping_lets_a_request_end_that_is_being_answered(twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = asyncio.Event()

    async def slow() -> dict:
        asked_for.set()
        await asyncio.sleep(0.1)
        return {"done": True}

    monkeypatch.setattr(twin, "daemon_status", slow)
    async with served(twin, path):
        asking = asyncio.create_task(asked(path, "GET", "/v1/daemon"))
        await asked_for.wait()
    assert await asking == (200, {"done": True})


async def test_stopping_does_not_wait_for_a_request_that_never_ends(twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = asyncio.Event()

    async def never() -> dict:
        asked_for.set()
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(twin, "daemon_status", never)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        serving = await serve(build(twin), listener.fileno())
        asking = asyncio.create_task(asked(path, "GET", "/v1/daemon"))
        await asked_for.wait()
        await serving.stop(grace_s=0.05)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asking


async def test_a_client_that_connects_between_two_engines_just_waits(twin: Twin, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        first = await serve(build(twin), listener.fileno())
        assert (await asked(path, "GET", "/v1/daemon"))[0] == 200
        await first.stop()
        asking = asyncio.create_task(asked(path, "GET", "/v1/daemon"))
        await asyncio.sleep(0.05)
        assert not asking.done()
        second = await serve(build(twin), listener.fileno())
        assert (await asking)[0] == 200
        await second.stop()


async def test_an_engine_that_cannot_start_says_why_to_everyone(path: str) -> None:
    told: list[int] = []
    error = refusal("state_corrupt", ExitCode.RED)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        serving = await serve(build_refusal(error, lambda: told.append(1)), listener.fileno())
        for method, target in (("GET", "/v1/daemon"), ("POST", "/v1/runs")):
            status, answer = await asked(path, method, target)
            assert (status, answer["code"], answer["exit_code"]) == (500, "state_corrupt", 1)
        await serving.stop()
    assert told == [1, 1]


async def test_half_a_request_and_a_reset_harm_nobody(twin: Twin, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with served(twin, path) as serving:
        for data in (
            b"",
            b"GET /v1/da",
            b"POST /v1/runs HTTP/1.1\r\nhost: s\r\ncontent-length: 100\r\n\r\n{",
            b"GET /v1/daemon HTTP/1.1\r\nhost: s\r\n\r\n",
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(data)
        while serving.connections:
            await asyncio.sleep(0.001)
        assert (await asked(path, "GET", "/v1/daemon"))[0] == 200
    assert caplog.records == []


async def test_connections_and_followers_go_with_their_clients(twin: Twin, path: str) -> None:
    run = twin.run()
    async with served(twin, path) as serving:
        talks: list[Talk] = [await ask(path, "GET", f"/v1/runs/{run}/follow") for _ in range(50)]
        assert serving.connections == 50
        for talk in talks:
            talk.close()
            with contextlib.suppress(ConnectionError):
                await talk.writer.wait_closed()
        while serving.connections or twin.feed.followers:
            await asyncio.sleep(0.001)


def test_the_api_loads_without_what_it_does_not_need() -> None:
    code = "import sparki_daemon.engine.api.app, sparki_daemon.engine.api.serving, sys; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "h11", "uvloop", "pydantic", "jinja2", "multiprocessing.pool", "sqlite3", "yaml", "rich", "typer"} & set(loaded)
