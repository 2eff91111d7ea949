"""No daemon, no process, no folder: however `sparki ci` ends."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ci_repository import Repository

from sparki_daemon.ci.begin import begin
from sparki_daemon.system import process
from sparki_daemon.system.nonce import home_digest

HANGS = """\
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          sleep 4711 & (setsid sleep 4711 &)
          echo begun
          exec sleep 4711
      - if: always()
        run: echo cleanup > "$WITNESS"
        env: {WITNESS: PLACE}
"""


def memory_folders() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith("sparki-")} if os.path.isdir("/dev/shm") else set()


def until(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def hanging(repository: Repository, tmp_path: Path, *, stubborn: bool = False) -> str:
    """A workflow that hangs, in a repository; its mark in command lines. `stubborn`: SIGINT does not end it."""
    mark = f"{time.monotonic_ns() % 10**9 + 10**9}"
    text = HANGS.replace("echo begun", "trap '' INT") if stubborn else HANGS
    repository.workflow("ci", text.replace("4711", mark).replace("PLACE", str(tmp_path / "witness")))
    repository.commit()
    return mark


def test_one_that_the_system_refuses_at_its_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EPERM, "no subreaper")

    monkeypatch.setattr(process, "become_subreaper", refuse)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(OSError, match="no subreaper"):
        begin(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_green_run_leaves_nothing(repository: Repository) -> None:
    repository.workflow("ci", "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{uses: actions/checkout@v4}, {run: ls -la}]}}\n")
    repository.commit()
    git = sorted(str(path) for path in (repository.root / ".git").rglob("*"))
    done = repository.sparki("ci")
    assert done.returncode == 0, done.stderr
    assert list(repository.temp.iterdir()) == []
    assert not repository.home.exists()
    assert sorted(str(path) for path in (repository.root / ".git").rglob("*")) == git


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("namespace", ["", "1"])
def test_a_signal_cancels_runs_what_is_to_run_always_and_leaves_nothing(
    repository: Repository, tmp_path: Path, number: signal.Signals, namespace: str
) -> None:
    mark = hanging(repository, tmp_path)
    started = repository.start("ci", **({"SPARKI_NO_PID_NAMESPACE": namespace} if namespace else {}))
    until(lambda: len(repository.processes(mark)) >= 3)
    started.send_signal(number)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "cancelling" in err
    assert (tmp_path / "witness").read_text() == "cleanup\n"
    assert repository.processes(mark) == []
    assert list(repository.temp.iterdir()) == []


def test_a_second_signal_ends_everything_at_once(repository: Repository, tmp_path: Path) -> None:
    mark = hanging(repository, tmp_path, stubborn=True)
    started = repository.start("ci")
    until(lambda: len(repository.processes(mark)) >= 3)
    started.send_signal(signal.SIGINT)
    time.sleep(0.2)
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=30)
    assert started.returncode == 130
    assert not (tmp_path / "witness").exists()
    assert (repository.processes(mark), list(repository.temp.iterdir())) == ([], [])


@pytest.mark.parametrize("namespace", ["", "1"])
def test_after_a_kill_no_process_lives_and_the_next_run_sweeps_the_folders(repository: Repository, tmp_path: Path, namespace: str) -> None:
    mark = hanging(repository, tmp_path)
    before = memory_folders()
    started = repository.start("ci", **({"SPARKI_NO_PID_NAMESPACE": namespace} if namespace else {}))
    until(lambda: len(repository.processes(mark)) >= 3)
    [folder] = list(repository.temp.iterdir())
    mine = memory_folders() - before
    started.kill()
    started.communicate()
    until(lambda: repository.processes(mark) == [])
    assert not (tmp_path / "witness").exists()
    repository.workflow("quick", "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n")
    assert repository.sparki("ci", "quick").returncode == 0
    assert not folder.exists()
    assert [name for name in mine if name in memory_folders() and name.endswith(home_digest(str(folder)))] == []


def test_a_run_beside_another_is_not_swept(repository: Repository, tmp_path: Path) -> None:
    mark = hanging(repository, tmp_path)
    started = repository.start("ci")
    until(lambda: len(repository.processes(mark)) >= 3)
    repository.workflow("quick", "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n")
    assert repository.sparki("ci", "quick").returncode == 0
    assert len(list(repository.temp.iterdir())) == 1
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=30)
    assert (tmp_path / "witness").exists()


def test_a_killed_runner_makes_the_job_lost_and_the_run_red(repository: Repository, tmp_path: Path) -> None:
    mark = hanging(repository, tmp_path)
    started = repository.start("ci", SPARKI_NO_PID_NAMESPACE="1")
    until(lambda: len(repository.processes(mark)) >= 3)
    [runner] = [int(pid) for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()]
    os.kill(runner, signal.SIGKILL)
    out, _ = started.communicate(timeout=30)
    assert started.returncode == 1
    assert "lost (its runner was killed by signal 9)" in out
    assert (repository.processes(mark), list(repository.temp.iterdir())) == ([], [])


@pytest.mark.parametrize("text", ["on: push\njobs: [", None])
def test_what_can_not_be_planned_leaves_nothing_of_what_had_begun(repository: Repository, text: str | None) -> None:
    if text is not None:
        repository.workflow("ci", text)
    else:
        shutil.rmtree(repository.root / ".git")
    done = repository.sparki("ci")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert list(repository.temp.iterdir()) == []
