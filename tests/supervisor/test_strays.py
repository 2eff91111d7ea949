"""Processes that a dead runner left: ended by their mark, and no others."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.supervisor.strays import end_strays
from sparki_daemon.system import files, nonce


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process that bears the mark of `runner` of the state folder `home`."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(runner: str, home: Path = tmp_path, **more: Any) -> subprocess.Popen[bytes]:
        env = {**os.environ, nonce.VARIABLE: nonce.nonce(str(home), runner, "j-1-0", 1)}
        started.append(subprocess.Popen(["sleep", "600"], env=env, **more))
        return started[-1]

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    """The lock of the runner `alive`."""
    (tmp_path / "runners").mkdir()
    fd = files.try_lock(str(tmp_path / "runners" / "alive.lock"))
    assert fd is not None
    yield fd
    os.close(fd)


def test_a_stray_of_a_dead_runner_is_ended(tmp_path, start):
    process = start("dead", start_new_session=True)

    assert end_strays(str(tmp_path)) >= 1
    assert process.wait(5) == -9


def test_a_lock_file_that_nobody_holds_is_a_dead_runners(tmp_path, start):
    (tmp_path / "runners").mkdir()
    (tmp_path / "runners" / "dead.lock").write_text('{"pid": 1}')
    process = start("dead")
    end_strays(str(tmp_path))

    assert process.wait(5) == -9


def test_the_job_of_a_living_runner_goes_on(tmp_path, start, lock):
    working, stray = start("alive"), start("dead")

    assert end_strays(str(tmp_path)) >= 1
    assert stray.wait(5) == -9
    assert working.poll() is None


def test_another_state_folders_processes_are_let_be(tmp_path, start):
    other = start("dead", home=tmp_path / "other")

    assert end_strays(str(tmp_path)) == 0
    assert other.poll() is None


def test_a_mark_that_is_none_of_ours_is_let_be(tmp_path):
    with subprocess.Popen(["sleep", "600"], env={**os.environ, nonce.VARIABLE: "my own value"}) as process:
        assert end_strays(str(tmp_path)) == 0
        assert process.poll() is None
        process.kill()
