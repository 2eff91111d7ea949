"""The CLI as a real process, and runs as the engine tells them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "client"))

from stand_in import Reply, Request, StandIn, answers, event, text  # the path to it stands above

PROGRAM = [sys.executable, "-m", "sparki_cli.main"]


class Program:
    """`sparki` in an environment that a test can change; `env` values of None are taken out."""

    def __init__(self, home: Path, cwd: Path) -> None:
        self.cwd = cwd
        self.env: dict[str, str | None] = {
            "SPARKI_HOME": str(home),
            "NO_COLOR": None,
            "ACCESSIBLE": None,
            "TERM": "xterm",
            "LANG": "C.UTF-8",
        }

    def environment(self) -> dict[str, str]:
        merged = {**os.environ, **self.env}
        return {name: value for name, value in merged.items() if value is not None}

    def __call__(self, *words: str | bytes, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *words], check=False, env=self.environment(), cwd=self.cwd, input=stdin, capture_output=True, timeout=50
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([*PROGRAM, *words], env=self.environment(), cwd=self.cwd, **streams)


# -- a run as the engine tells it ------------------------------------------------------------------------------------------

GREEN = [
    event(1, "run.created", pipeline="ci"),
    event(2, "run.started", ms=10),
    event(3, "job.started", ms=20, job="build", uid="j-build", name="build", status="running"),
    event(4, "step.started", ms=20, job="build", step=0, name="Run make"),
    text(0, "making\nmade"),
    text(11, " it\n"),
    event(
        5,
        "step.finished",
        ms=1520,
        job="build",
        uid="j-build",
        step=0,
        name="Run make",
        conclusion="success",
        exit_code=0,
        duration_ms=1500,
    ),
    event(6, "job.finished", ms=1530, job="build", uid="j-build", name="build", status="success"),
    event(7, "run.finished", ms=1540, status="success"),
]

RED = [
    event(1, "run.created", pipeline="ci"),
    event(2, "run.started", ms=10),
    event(3, "job.started", ms=20, job="build", uid="j-build", name="build", status="running"),
    event(4, "job.started", ms=20, job="lint", uid="j-lint", name="lint (a)", status="running"),
    event(5, "step.started", ms=20, job="build", step=0, name="Run make"),
    text(0, "making\n"),
    event(6, "step.started", ms=20, job="lint", step=0, name="Run lint"),
    text(0, "all fine, no end", job="lint"),
    event(
        7, "step.finished", ms=520, job="lint", uid="j-lint", step=0, name="Run lint", conclusion="success", exit_code=0, duration_ms=500
    ),
    event(
        8, "step.finished", ms=530, job="lint", uid="j-lint", step=1, name="Run more", conclusion="skipped", exit_code=None, duration_ms=0
    ),
    event(9, "job.finished", ms=530, job="lint", uid="j-lint", name="lint (a)", status="success"),
    text(7, "boom\n"),
    event(
        10,
        "step.finished",
        ms=1520,
        job="build",
        uid="j-build",
        step=0,
        name="Run make",
        conclusion="failure",
        exit_code=3,
        duration_ms=1500,
    ),
    event(11, "job.finished", ms=1530, job="build", uid="j-build", name="build", status="failure"),
    event(12, "job.finished", ms=1530, job="after", uid="j-after", name="after", status="skipped"),
    event(13, "run.finished", ms=1540, status="failure"),
]
EXCERPT = {"job": "build", "step": 0, "name": "Run make", "exit_code": 3, "reason": "", "lines": ["making", "boom"]}


def jobs_of(story: list[dict[str, Any]]) -> list[dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = {}
    for item in story:
        if item.get("kind", "").startswith("job."):
            data = item["data"]
            jobs.setdefault(data["job"], {"id": data["job"], "uid": data["uid"], "name": data["name"], "status": "queued", "steps": []})
    return list(jobs.values())


def shown(run: str, story: list[dict[str, Any]], pipeline: str = "ci") -> dict[str, Any]:
    return {
        "id": run,
        "pipeline": pipeline,
        "file": "ci.yml",
        "status": "running",
        "created": "2026-11-23T12:00:00.000Z",
        "jobs": jobs_of(story),
    }


def tell(story: list[dict[str, Any]], then: Callable[[Reply], None] | None = None) -> Callable[[Request, Reply], None]:
    """A follow stream of what lies after `since` and `at`; `then` does what comes before the end."""

    def handler(request: Request, reply: Reply) -> None:
        since = int(request.values("since")[0])
        at = {uid: int(offset) for uid, offset in (value.split(":") for value in request.values("at"))}
        items = [
            item for item in story if item.get("seq", 0) > since or ("log" in item and item["log"]["from"] >= at.get(item["log"]["uid"], 0))
        ]
        if request.values("log") == ["false"]:
            items = [item for item in items if "log" not in item]
        reply.begin()
        if items:
            reply.lines(*items)
        if then:
            then(reply)
        reply.end()

    return handler


def serve_run(stand_in: StandIn, story: list[dict[str, Any]], run: str = "r-1", excerpts: list[Any] | None = None) -> None:
    """The routes that `sparki run` asks for one run."""
    stand_in.on("POST", "/v1/runs", answers({"runs": [{"run": run, "pipeline": "ci", "file": "ci.yml"}], "since": 0}, 201))
    stand_in.on("GET", f"/v1/runs/{run}", answers(shown(run, story)))
    stand_in.on("GET", f"/v1/runs/{run}/follow", tell(story))
    stand_in.on("GET", f"/v1/runs/{run}/excerpts", answers({"excerpts": excerpts or []}))
