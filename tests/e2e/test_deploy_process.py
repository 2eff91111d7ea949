"""A real service on this machine, through the real command and daemon: what people see of it, and what nobody may."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import SPARKI, Shop

PATIENCE_S = 30.0
SECRET = "correct-horse-battery"
SERVICE = """
import http.server, os, sys
print("the token is", os.environ["TOKEN"], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        bad = os.path.exists("bad") and self.path != "/healthz"
        body = open("app.txt", "rb").read()
        self.send_response(500 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SETTINGS = """
environments:
  staging:
    adapter: process
    command: exec {python} service.py
    listen: 127.0.0.1:{port}
    health: {{http: /healthz, interval: 50ms, within: 20s}}
    watch: {watch}
    grace: 5s
    release_command: echo "migrating with $TOKEN"
    variables: {{LEVEL: info}}
    secrets: [TOKEN]
    hooks:
      before: echo "before $SPARKI_RELEASE_NUMBER"
      after: echo "after $SPARKI_STATUS"
"""


class Site(Shop):
    """A shop whose environment is a service on this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder)
        self.port = port
        self.write("service.py", SERVICE)
        self.settle(watch="0s")
        subprocess.run([*SPARKI, "secret", "set", "TOKEN"], input=SECRET, cwd=self.root, env=self.environ, text=True, check=True)

    def settle(self, *, watch: str) -> None:
        self.write("sparki.yml", SETTINGS.format(python=sys.executable, port=self.port, watch=watch))
        self.commit("settings")

    def get(self, path: str = "/") -> tuple[int, str]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            link.request("GET", path)
            answer = link.getresponse()
            return answer.status, answer.read().decode().strip()
        finally:
            link.close()

    def end(self) -> None:
        subprocess.run([*SPARKI, "env", "down", "staging", "--yes"], env=self.environ, cwd=self.root, capture_output=True, check=False)
        super().end()


@pytest.fixture
def site(tmp_path: Path, free_port: int) -> Iterator[Site]:
    found = Site(tmp_path, free_port)
    yield found
    found.end()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until_in_log(site: Site, deployment: str, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while text not in (log := site.sparki("logs", deployment)):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    return log


def test_hooks_and_the_release_command_run_and_nothing_on_disk_has_the_secret_that_they_print(site: Site) -> None:
    site.sparki("deploy", "staging")
    deployment = site.json("deployments")["deployments"][0]["id"]
    log = until_in_log(site, deployment, "after live")

    assert site.get() == (200, "one")
    assert "before 1" in log
    assert "migrating with ***" in log
    assert "the token is ***" in site.sparki("env", "logs", "staging")
    leaks = [path for path in site.home.rglob("*") if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()]
    assert leaks == []


def test_a_command_beside_the_service_has_its_folder_and_environment_and_its_output_no_secret(site: Site) -> None:
    site.sparki("deploy", "staging")
    script = f'cat app.txt; echo "$LEVEL $PORT"; test "$TOKEN" = {SECRET} && echo "has $TOKEN"; head -c 100000 /dev/zero | tr "\\0" a'
    first, second, third, long = site.sparki("env", "exec", "staging", "--", "sh", "-c", script).splitlines()

    assert (first, second.partition(" ")[0], third, len(long)) == ("one", "info", "has ***", 100_000)
    assert int(second.partition(" ")[2]) != site.port
    (deployed,) = site.home.glob("environments/*/staging/releases/*/app.txt")
    deployed.write_text("changed by hand")
    shown = site.json("env", "show", "staging")
    assert shown["drift"] == [{"what": "files.app.txt", "released": "as shipped", "live": "changed"}]
    words = site.sparki("env", "show", "staging")
    assert "drift files.app.txt: released as shipped, live changed" in words
    assert f"process {shown['facts']['pid']} on port {shown['facts']['port']}\n" in words
    assert "null" not in words
    assert "'absent' can't be started there" in site.sparki("env", "exec", "staging", "--", "absent", code=1)
    site.sparki("env", "exec", "staging", "--", "sh", "-c", "exit 7", code=7)


def test_what_is_down_has_no_command_beside_it(site: Site) -> None:
    site.sparki("deploy", "staging")
    site.sparki("env", "down", "staging", "--yes")

    assert site.json("env", "show", "staging")["live"] is None
    said = site.sparki("env", "exec", "staging", "--", "true", code=5)
    assert "nothing is live" in said


def test_a_release_that_answers_badly_takes_itself_back_and_the_old_one_never_stopped(site: Site) -> None:
    site.settle(watch="20s")
    first = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, first, "watch")
    site.sparki("cancel", first, "--keep")
    assert site.wait_for(first, "live", "failed")["status"] == "live"
    site.write("bad", "")
    site.write("app.txt", "two")
    site.commit("bad")

    deployment = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, deployment, "watch")
    answers = [site.get() for _ in range(30)]
    assert (500, "two") in answers
    shown = site.wait_for(deployment, "reverted", "live", "failed")
    assert shown["status"] == "reverted"
    assert "answered with 5xx" in next(step["reason"] for step in shown["steps"] if step["name"] == "watch")
    assert site.get() == (200, "one")


def test_a_rollback_brings_the_files_of_then_and_maintenance_answers_everyone(site: Site) -> None:
    site.sparki("deploy", "staging")
    site.write("app.txt", "two")
    site.commit("two")
    site.sparki("deploy", "staging")
    assert site.get() == (200, "two")
    site.sparki("rollback", "staging")
    assert site.get() == (200, "one")

    site.sparki("env", "maintenance", "staging", "on")
    assert site.get()[0] == 503
    site.sparki("env", "maintenance", "staging", "off")
    assert site.get() == (200, "one")


def wait_for_step(site: Site, deployment: str, step: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while site.json("show", deployment)["step"] != step:
        assert time.monotonic() < deadline, site.json("show", deployment)
        time.sleep(0.05)
