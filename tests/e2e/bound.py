"""A bound repository: pushes go through real git, its hook, the real command and daemon."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shop import SPARKI, Shop

CI = """
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: cat app.txt; test ! -e broken
"""
RULES = """
environments:
  staging:
    adapter: twin
    command: serve
branches:
  main: {run: [ci], deploy: staging}
"""


class BoundShop(Shop):
    """`push` gives what the push said, as git shows it, without its `remote:`."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__(folder)
        self.write(".github/workflows/ci.yml", CI)
        self.write("sparki.yml", RULES)
        self.commit("pipelines")
        self.before = (self.root / ".git" / "config").read_bytes()
        self.made: dict[str, Any] = self.json("bind", *words)

    @property
    def bare(self) -> Path:
        return Path(self.made["address"])

    def pushing(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "surrogateescape", **more}
        return subprocess.Popen(["git", "push", *words], cwd=self.root, env=self.environ, text=True, **options)

    def push(self, *words: str, code: int = 0) -> str:
        process = self.pushing(*words)
        said, _ = process.communicate(timeout=90)
        assert process.returncode == code, said
        return "".join(line.removeprefix("remote: ").rstrip() + "\n" for line in said.splitlines())

    def runs(self) -> list[dict[str, Any]]:
        """Those of this repository, the newest first."""
        found: list[dict[str, Any]] = self.json("runs")["runs"]
        return found

    def deployments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("deployments")["deployments"]
        return found

    def event(self, run: str) -> dict[str, Any]:
        """What the run's job saw as its event."""
        done = subprocess.run([*SPARKI, "logs", run], cwd=self.root, env=self.environ, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("EVENT "))
        found: dict[str, Any] = json.loads(line.removeprefix("EVENT "))
        return found


def tree_of(folder: Path) -> dict[str, bytes]:
    """Everything below a folder: of a file its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def head(shop: Shop, rev: str = "HEAD") -> str:
    return shop.git("rev-parse", rev)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
