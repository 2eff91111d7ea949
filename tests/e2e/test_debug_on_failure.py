"""`sparki run --debug-on-failure` on a real terminal, with the real daemon: what the shell sees, and what lets the job go on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SPARKI = str(Path(sys.executable).with_name("sparki"))
LIMIT_S = 30.0
WORKFLOW = """\
name: ci
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: mkdir sub; echo /opt/extra >> $GITHUB_PATH
      - run: env > env-of-step; exit 3
        working-directory: sub
        env: {MINE: "yes", WORD: "${{ secrets.WORD }}"}
      - run: echo "later '$FROM_SHELL'"
        if: always()
"""
SECRET = "canary-5f1c9"


class Terminal:
    """The command in a repository of its own, on a terminal of its own, and what it has printed."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder / "repo"
        self.env = {**os.environ, "SPARKI_HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm", "WORD": SECRET, "ACCESSIBLE": "1"}
        (self.folder / ".github/workflows").mkdir(parents=True)
        (self.folder / ".github/workflows/ci.yml").write_text(WORKFLOW)
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qm", "first"]):
            subprocess.run(["git", *words], cwd=self.folder, check=True)
        self.printed = b""
        self.fd = -1
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        self.fd, end = pty.openpty()

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [SPARKI, "run", "--debug-on-failure", "--secret", "WORD", *words]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=end,
            stdout=end,
            stderr=end,
            preexec_fn=own_terminal,  # noqa: PLW1509  # this process has no threads
        )
        os.close(end)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text.encode() not in self.printed:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in:\n{self.printed.decode()}"
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # Linux: the other end is closed
                data = b""
            assert data, f"no {text!r} in:\n{self.printed.decode()}"
            self.printed += data

    def end(self) -> int:
        """Read the rest, and wait; the exit code."""
        assert self.process
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.fd], [], [], 0.1)
            try:
                data = os.read(self.fd, 65536) if ready else b"more"
            except OSError:
                break
            self.printed += data if ready else b""
            if self.process.poll() is not None and not ready:
                break
        return self.process.wait(timeout=LIMIT_S)

    def sparki(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([SPARKI, *words], cwd=self.folder, env=self.env, capture_output=True, check=False, timeout=LIMIT_S)

    def job(self) -> dict[str, Any]:
        return json.loads(self.sparki("show", "latest", "--json").stdout)["jobs"][0]  # type: ignore[no-any-return]

    def until_ended(self) -> dict[str, Any]:
        deadline = time.monotonic() + LIMIT_S
        while (found := self.job())["status"] == "running":
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.fd >= 0:
            os.close(self.fd)
        self.sparki("daemon", "stop", "--force")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def at_the_shell(terminal: Terminal, *words: str) -> None:
    terminal.start(*words)
    terminal.until("has failed: a shell")
    terminal.type("echo in $((40 + 2)) $PWD\n")
    terminal.until("in 42 ")


def test_the_shell_has_the_steps_folder_and_exactly_its_environment_and_the_job_goes_on_after_it(terminal: Terminal) -> None:
    at_the_shell(terminal)
    terminal.type("env > env-of-shell; diff <(sort env-of-step) <(sort env-of-shell) | sed 's/^/D/'; echo compared $?$?\n")
    terminal.until("compared 00\r\n")
    terminal.type("cp env-of-shell " + str(terminal.folder.parent / "env") + "; echo FROM_SHELL=word >> $GITHUB_ENV; echo copied $?$?\n")
    terminal.until("copied 00\r\n")
    assert terminal.job()["status"] == "running"
    terminal.type("exit\n")
    terminal.until("later 'word'")

    assert terminal.end() == 1
    assert not [line for line in terminal.printed.decode().splitlines() if line.startswith(("D<", "D>")) and " _=" not in line]
    seen = (terminal.folder.parent / "env").read_text().splitlines()
    assert {"MINE=yes", f"WORD={SECRET}"} <= set(seen)
    assert next(line for line in seen if line.startswith("PATH=")).startswith("PATH=/opt/extra:")
    ended = terminal.job()
    assert (ended["status"], [step["conclusion"] for step in ended["steps"]]) == ("failure", ["success", "failure", "success"])


def test_nothing_of_the_environment_stays_behind(terminal: Terminal) -> None:
    at_the_shell(terminal)
    terminal.type("exit\n")
    assert terminal.end() == 1

    files = [path for path in terminal.home.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert list((terminal.home / "holds").iterdir()) == []


def test_ctrl_c_is_the_shells(terminal: Terminal) -> None:
    at_the_shell(terminal)
    terminal.type("sleep 300\n")
    terminal.until("sleep 300")
    time.sleep(0.3)  # until the shell has started it
    terminal.type("\x03")
    terminal.type("echo still $((40 + 3))\n")
    terminal.until("still 43")
    assert terminal.job()["status"] == "running"
    terminal.type("exit\n")

    assert terminal.end() == 1


def test_a_cancel_hangs_the_shell_up_and_ends_the_job(terminal: Terminal) -> None:
    at_the_shell(terminal)
    assert terminal.sparki("cancel", "latest").returncode == 0

    assert terminal.end() == 1
    assert terminal.job()["status"] == "cancelled"


def test_the_end_of_the_command_lets_the_job_go_on(terminal: Terminal) -> None:
    at_the_shell(terminal)
    assert terminal.process
    terminal.process.send_signal(signal.SIGKILL)

    assert terminal.until_ended()["status"] == "failure"
    assert len([*(terminal.home / "holds").iterdir()]) == 1
    assert terminal.sparki("prune").returncode == 0
    assert not [*(terminal.home / "holds").iterdir()]


def test_without_a_terminal_or_beside_what_does_not_watch_it_is_refused(terminal: Terminal) -> None:
    refused = terminal.sparki("run", "--debug-on-failure")
    assert (refused.returncode, b"needs a terminal" in refused.stderr) == (2, True)
    beside = terminal.sparki("run", "--debug-on-failure", "--detach")
    assert (beside.returncode, b"can't be given with --detach" in beside.stderr) == (2, True)
    assert b"no such option" in terminal.sparki("ci", "--debug-on-failure").stderr.lower()
    assert not (terminal.home / "daemon.json").exists()
