"""A repository that deploys to an adapter which another package brings, through the real command and daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PLATFORM = Path(__file__).parent / "twin_platform"
SPARKI = [sys.executable, "-m", "sparki_cli.main"]
SETTINGS = """
environments:
  staging:
    adapter: twin
    command: serve
    variables: {LEVEL: info}
"""


class Shop:
    """A repository, a state folder, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.side = folder / "side"  # modules that every Python process of this shop finds first
        self.more: dict[str, str] = {}  # of the environment
        self.home = folder / "home"
        self.root = folder / "shop"
        self.root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", ".")
        self.write("sparki.yml", SETTINGS)
        self.write("app.txt", "one\n")
        self.commit("first")

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "SPARKI_HOME": str(self.home), "PYTHONPATH": f"{self.side}{os.pathsep}{PLATFORM}", **self.more}

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        return subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", ".")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def sparki(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([*SPARKI, *words], cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout if done.stdout and code == 0 else done.stdout + done.stderr

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.sparki(*words, "--json", code=code).splitlines()[-1])

    def platform(self) -> dict[str, Any]:
        (path,) = self.home.glob("environments/*/staging/platform.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def wait_for(self, deployment: str, *statuses: str, step: str = "") -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            shown: dict[str, Any] = self.json("show", deployment)
            if shown["status"] in statuses and step in ("", shown["step"]):
                return shown
            time.sleep(0.05)
        raise AssertionError(shown)

    def down(self) -> None:
        """End the service, also where a test failed while a deployment was under way."""
        for word in ("running", "waiting"):
            for one in (one for one in self.json("deployments")["deployments"] if one["status"] == word):
                self.sparki("cancel", one["id"])
                self.wait_for(one["id"], "cancelled", "reverted", "failed", "live")
        self.sparki("env", "down", "staging", "--yes")

    def end(self) -> None:
        subprocess.run([*SPARKI, "daemon", "stop", "--force"], env=self.environ, cwd=self.root, capture_output=True, check=False)
