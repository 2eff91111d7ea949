"""The OpenAPI document against the code: requests made from the document, answers held against it, over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from api_twin import Twin, asked, served
from hypothesis import HealthCheck, settings
from requests.adapters import HTTPAdapter
from schemathesis.checks import CHECKS
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from sparki_daemon.engine.api.app import OPERATIONS
from sparki_daemon.engine.api.openapi import openapi

BASE = "http://sparki"
DOCUMENT = openapi(OPERATIONS)
EXAMPLES = 25


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("sparki", timeout=10)
        self._path = path

    def _new_conn(self) -> Any:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(self._path)
        return sock


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("sparki", timeout=10)
        self._path = path

    def _new_conn(self) -> _UnixConnection:  # type: ignore[override]
        return _UnixConnection(self._path)


class _UnixAdapter(HTTPAdapter):
    def __init__(self, path: str) -> None:
        self._pool = _UnixPool(path)
        super().__init__()

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> _UnixPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()


@contextmanager
def the_twin(folder: Path) -> Iterator[str]:
    """The twin's socket, served by a loop in a thread of its own; a run went well, another has a failed step."""
    path = str(folder / "sock")
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        twin = Twin(folder)
        async with served(twin, path):
            await asked(path, "POST", "/v1/runs", {"directory": "/repo"})
            uid = f"{twin.run()}.test"
            twin.begin(uid)
            twin.begin_step(uid, 0)
            twin.write(uid, b"it failed\n")
            twin.end_step(uid, 0, "failure", 1)
            twin.finish(uid, "failure")
            twin.finish_run(uid.split(".", maxsplit=1)[0], "failure")
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait()
    try:
        yield path
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()


PIPELINE = """
name: ci
on: push
jobs:
  good: {runs-on: ubuntu-latest, steps: [{run: echo it works}]}
  bad: {runs-on: ubuntu-latest, steps: [{run: echo it failed; exit 3}]}
"""


@contextmanager
def the_daemon(folder: Path) -> Iterator[str]:
    """A real daemon's socket; one run has ended, red."""
    repository, home = folder / "repo", folder / "home"
    (repository / ".github/workflows").mkdir(parents=True)
    (repository / ".github/workflows/ci.yml").write_text(PIPELINE)
    subprocess.run(["git", "init", "-q", "."], cwd=repository, check=True)
    sparki = [sys.executable, "-m", "sparki_cli.main"]
    environment = {**os.environ, "SPARKI_HOME": str(home)}
    assert subprocess.run([*sparki, "run"], cwd=repository, env=environment, capture_output=True, check=False).returncode == 1
    try:
        yield json.loads((home / "daemon.json").read_bytes())["socket"]
    finally:
        subprocess.run([*sparki, "daemon", "stop", "--force"], cwd=repository, env=environment, capture_output=True, check=True)


# Where the API may be served from, by name: each gives the path of a Unix socket.
SERVERS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {"twin": the_twin, "daemon": the_daemon}
# A real daemon runs repositories, not any path, and goes when it is told to.
NOT_OF_THE_DAEMON = {"/v1/daemon/stop", "/v1/daemon/restart"}
CHECKS_OF = {"twin": CHECKS.get_all(), "daemon": [check for check in CHECKS.get_all() if check.__name__ != "positive_data_acceptance"]}


@pytest.fixture(scope="module", params=["twin", pytest.param("daemon", marks=pytest.mark.slow)])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    with SERVERS[request.param](tmp_path_factory.mktemp("api")) as path, requests.Session() as session:
        session.mount(BASE, _UnixAdapter(path))
        session.headers["sparki-server"] = request.param
        yield session


schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_what_the_document_says(case: schemathesis.Case, session: requests.Session) -> None:
    server = str(session.headers["sparki-server"])
    if server == "daemon" and case.operation.path in NOT_OF_THE_DAEMON:
        return
    if "follow" in (case.query or {}):
        case.query["follow"] = "false"  # an open stream has no end to wait for
    case.call_and_validate(base_url=BASE, session=session, timeout=10, checks=CHECKS_OF[server])


def test_the_served_document_is_the_one_made_from_the_table(session: requests.Session) -> None:
    served_document = session.get(f"{BASE}/v1/openapi.json").json()
    assert served_document["paths"].pop("/v1/openapi.json")
    assert served_document == DOCUMENT


def test_every_route_is_in_the_document() -> None:
    listed = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert listed == {
        ("GET", "/v1/daemon"),
        ("POST", "/v1/daemon/stop"),
        ("POST", "/v1/prune"),
        ("POST", "/v1/daemon/restart"),
        ("GET", "/v1/runs"),
        ("POST", "/v1/runs"),
        ("GET", "/v1/runs/{run}"),
        ("POST", "/v1/runs/{run}/cancel"),
        ("POST", "/v1/runs/{run}/retry"),
        ("GET", "/v1/runs/{run}/excerpts"),
        ("GET", "/v1/runs/{run}/artifacts"),
        ("GET", "/v1/runs/{run}/artifact"),
        ("GET", "/v1/runs/{run}/history"),
        ("GET", "/v1/history"),
        ("GET", "/v1/cache"),
        ("POST", "/v1/cache/prune"),
        ("GET", "/v1/runs/{run}/follow"),
        ("GET", "/v1/runs/{run}/lines"),
        ("GET", "/v1/jobs/{uid}/log"),
        ("GET", "/v1/deployments"),
        ("POST", "/v1/deployments"),
        ("POST", "/v1/deployment-plans"),
        ("POST", "/v1/rollbacks"),
        ("POST", "/v1/promotions"),
        ("GET", "/v1/deployments/{deployment}"),
        ("GET", "/v1/deployments/{deployment}/log"),
        ("POST", "/v1/deployments/{deployment}/cancel"),
        ("POST", "/v1/deployments/{deployment}/approve"),
        ("POST", "/v1/deployments/{deployment}/resolve"),
        ("GET", "/v1/environments"),
        ("GET", "/v1/environments/{environment}"),
        ("GET", "/v1/environments/{environment}/releases"),
        ("GET", "/v1/environments/{environment}/log"),
        ("POST", "/v1/environments/{environment}/exec"),
        ("POST", "/v1/environments/{environment}/maintenance"),
        ("POST", "/v1/environments/{environment}/down"),
        ("POST", "/v1/binds"),
        ("POST", "/v1/unbinds"),
        ("POST", "/v1/pushes"),
        ("GET", "/v1/events"),
    }


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ("/v1/daemon", "Daemon"),
        ("/v1/runs", "Runs"),
        ("/v1/runs/latest", "Run"),
        ("/v1/runs/latest/excerpts", "Excerpts"),
        ("/v1/runs/latest/artifacts", "Artifacts"),
        ("/v1/runs/r-none", "ProblemDocument"),
    ],
)
def test_an_answer_has_its_documents_shape(session: requests.Session, target: str, shape: str) -> None:
    answer = session.get(BASE + target).json()
    jsonschema_rs.validate({"$ref": f"#/components/schemas/{shape}", "components": DOCUMENT["components"]}, answer)
