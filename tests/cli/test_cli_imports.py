from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_stories import GREEN, Program, serve_run, shown
from stand_in import StandIn, answers

# Each of these takes longer to load than a short command should take in all.
HEAVY = {
    "typer", "click", "rich", "http", "http.client", "asyncio", "subprocess", "argparse", "typing", "dataclasses", "inspect", "socket",
    "logging", "email", "urllib", "urllib.parse", "tempfile", "shutil", "pathlib", "datetime", "contextlib", "sqlite3", "yaml", "hashlib",
    "importlib.metadata", "sparki_daemon.model.problem",
}  # fmt: skip

# `sparki ci` plans and runs in its own process; these belong to what it has not: a daemon, a loop, deployments, schedules, help;
# or to what one step doesn't need: secrets, a cache, settings, artifacts. See docs/decisions/quick-imports.md.
NOT_FOR_CI = {
    "typer", "click", "rich", "http", "http.client", "asyncio", "ssl", "argparse", "email", "urllib.parse",
    "importlib.metadata", "zoneinfo", "difflib", "concurrent.futures", "multiprocessing", "keyring",
    "dataclasses", "inspect", "hashlib", "logging", "tempfile", "shutil", "traceback", "yaml", "yaml.reader", "random",
    "sparki_daemon.model.deployment", "sparki_daemon.store.deployments",
    "sparki_daemon.store.sqlite", "sparki_daemon.engine.engine", "sparki_daemon.client.engine",
    "sparki_daemon.engine.caching", "sparki_daemon.vault.store", "sparki_daemon.pipeline.settings_file",
    "sparki_daemon.pipeline.environments", "sparki_daemon.toolchains.python", "sparki_daemon.toolchains.node",
}  # fmt: skip

AT_EXIT = """
import os, runpy, sys
before, leave = set(sys.modules), os._exit
def end(code):
    os.write(2, ("\\nLOADED " + " ".join(sorted(set(sys.modules) - before))).encode())
    leave(code)
os._exit = end
from sparki_cli.main import main
main()
"""


def loaded_by(sparki: Program, *words: str) -> set[str]:
    done = subprocess.run(  # noqa: PLW1510  # the exit code is what is looked at
        [sys.executable, "-c", AT_EXIT, *words], env=sparki.environment(), cwd=sparki.cwd, capture_output=True, timeout=50
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(done.stderr.decode().rpartition("LOADED ")[2].split())


@pytest.mark.parametrize(
    "words",
    [["--version"], ["run"], ["run", "--json"], ["run", "-q"], ["run", "--detach"], ["retry", "r-1"], ["runs"], ["show", "r-1"],
     ["logs", "r-1"], ["logs", "r-1", "-f"], ["cancel", "r-1"]],
    ids=" ".join,
)  # fmt: skip
def test_a_hot_command_loads_nothing_heavy(sparki: Program, stand_in: StandIn, words: list[str]) -> None:
    serve_run(stand_in, GREEN)
    stand_in.on("GET", "/v1/runs?", answers({"runs": []}))
    stand_in.routes["GET", "/v1/runs"] = lambda request, reply: reply.json(
        {"runs": []} if request.path == "/v1/runs" else shown("r-1", GREEN)
    )
    stand_in.on("GET", "/v1/jobs/", answers({}))
    stand_in.on("GET", "/v1/runs/r-1/lines", answers({}) if "-f" not in words else lambda _, reply: (reply.begin(), reply.end())[0])
    stand_in.on("POST", "/v1/runs/r-1/cancel", answers({"id": "r-1"}, 202))
    stand_in.on("POST", "/v1/runs/r-1/retry", answers({"run": "r-1", "attempt": 2, "since": 0}, 202))
    assert loaded_by(sparki, *words) & HEAVY == set()


def test_ci_of_one_step_loads_nothing_of_what_it_has_not(sparki: Program) -> None:
    workflows = Path(sparki.cwd, ".github", "workflows")
    workflows.mkdir(parents=True)
    (workflows / "ci.yml").write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: exit 0}]}}\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=sparki.cwd, check=True)
    loaded = loaded_by(sparki, "ci")
    assert "sparki_daemon.ci.run" in loaded
    assert loaded & NOT_FOR_CI == set()


def test_help_does_load_typer(sparki: Program) -> None:
    assert "typer" in loaded_by(sparki, "--help")
