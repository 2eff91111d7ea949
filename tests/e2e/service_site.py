"""A repository whose environment is a real service on this machine, through the real command and daemon."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from pathlib import Path

from shop import SPARKI, Shop

PATIENCE_S = 30.0
SECRET = "correct-horse-battery"
SERVICE = """
import http.server, os, sys, time
print("the token is", os.environ["TOKEN"], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        bad = os.path.exists("bad") and self.path != "/healthz"
        body = open("app.txt", "rb").read()
        self.send_response(500 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(0.3 if self.path == "/slow" else 0)  # an answer that has begun can't be asked for again
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
        with contextlib.suppress(AssertionError):
            self.down()
        super().end()


def wait_for_step(site: Site, deployment: str, step: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while site.json("show", deployment)["step"] != step:
        assert time.monotonic() < deadline, site.json("show", deployment)
        time.sleep(0.05)
