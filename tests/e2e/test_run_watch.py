"""`sparki run --watch` with the real daemon: what starts a run again, what does not, and what is cancelled."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SPARKI = str(Path(sys.executable).with_name("sparki"))
WORKFLOW = """\
name: ci
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo "it says $(cat word)"; if [ "$(cat word)" = slow ]; then sleep 50; fi
"""
LIMIT_S = 25.0


class Watching:
    """The command in a repository of its own, and what it has printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repo"
        self.env = {**os.environ, "SPARKI_HOME": str(folder / "home"), "LANG": "C.UTF-8"}
        (self.folder / ".github/workflows").mkdir(parents=True)
        self.write(".github/workflows/ci.yml", WORKFLOW)
        self.write(".gitignore", "ignored/\n")
        self.write("word", "one\n")
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qm", "first"]):
            subprocess.run(["git", *words], cwd=self.folder, check=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.printed = b""

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self, *words: str) -> None:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen([SPARKI, "run", "--watch", *words], cwd=self.folder, env=self.env, **streams)  # type: ignore[call-overload]

    def until(self, text: str, times: int = 1) -> None:
        """Read what is printed until `text` was there so often."""
        assert self.process
        assert self.process.stdout
        deadline = time.monotonic() + LIMIT_S
        while self.printed.count(text.encode()) < times:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"no {times} × {text!r} in:\n{self.printed.decode()}"
            self.printed += data

    def interrupt(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        self.printed += rest
        return self.process.returncode

    def runs(self) -> list[dict[str, Any]]:
        done = subprocess.run([SPARKI, "runs", "--json"], cwd=self.folder, env=self.env, capture_output=True, check=True)
        return json.loads(done.stdout)["runs"]  # type: ignore[no-any-return]

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process and self.process.stdout:
            self.process.stdout.close()
        subprocess.run([SPARKI, "daemon", "stop", "--force"], cwd=self.folder, env=self.env, capture_output=True, check=False)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    made = Watching(tmp_path)
    yield made
    made.close()


def test_a_change_of_the_tree_runs_again_and_nothing_else_does(watching: Watching) -> None:
    watching.start()
    watching.until("waiting for a change")
    watching.write("ignored/output", "noise")
    watching.write(".git/description", "noise")
    os.utime(watching.folder / "word")
    watching.write("word", "two\n")
    watching.until("waiting for a change", 2)
    assert b"it says one" in watching.printed
    assert b"it says two" in watching.printed
    assert watching.interrupt() == 130
    assert [run["status"] for run in watching.runs()] == ["success", "success"]


def test_what_is_outdated_is_cancelled(watching: Watching) -> None:
    watching.write("word", "slow\n")
    watching.start()
    watching.until("it says slow")
    watching.write("word", "quick\n")
    watching.until("it says quick")
    watching.until("waiting for a change")
    assert watching.interrupt() == 130
    assert [run["status"] for run in watching.runs()] == ["success", "cancelled"]


def test_a_broken_pipeline_is_told_and_the_mended_one_runs(watching: Watching) -> None:
    watching.write(".github/workflows/ci.yml", WORKFLOW.replace("runs-on", "runs_on"))
    watching.start()
    watching.until("waiting for a change")
    assert b"error:" in watching.printed
    watching.write(".github/workflows/ci.yml", WORKFLOW)
    watching.until("it says one")
    watching.until("waiting for a change", 2)
    assert watching.interrupt() == 130


def test_with_json_every_run_has_its_end_on_a_line(watching: Watching) -> None:
    watching.start("--json")
    watching.until('"run.finished"')
    watching.write("word", "two\n")
    watching.until('"run.finished"', 2)
    watching.interrupt()
    lines = [line for line in watching.printed.splitlines() if line.startswith(b"{")]
    ends = [event["data"]["status"] for event in map(json.loads, lines) if event["kind"] == "run.finished"]
    assert ends == ["success", "success"]


def test_ctrl_c_during_a_run_cancels_it(watching: Watching) -> None:
    watching.write("word", "slow\n")
    watching.start()
    watching.until("it says slow")
    assert watching.interrupt() == 130
    assert [run["status"] for run in watching.runs()] == ["cancelled"]


@pytest.mark.parametrize("words", [["--detach"], ["--plan"], ["--list"], ["--ref", "HEAD"]])
def test_what_makes_no_sense_beside_it_is_wrong_usage(watching: Watching, words: list[str]) -> None:
    watching.start(*words)
    watching.until(f"can't be given with {words[0]}")
    assert watching.process
    assert watching.process.wait(LIMIT_S) == 2


def test_a_pipeline_that_is_not_there_ends_it(watching: Watching) -> None:
    watching.start("nope")
    watching.until("error:")
    assert watching.process
    assert watching.process.wait(LIMIT_S) == 2
