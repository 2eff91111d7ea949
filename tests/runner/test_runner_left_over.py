"""What steps leave running: it lives to the end of its job and not a moment longer, however it tried to escape."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from driver import QUICK, Driver, step

from sparki_daemon.system import files, nonce, process
from sparki_daemon.system.namespace import pid_namespaces_work

ESCAPES = {
    "in the background": "sleep 4321 &",
    "in a session of its own": "setsid sleep 4321 > /dev/null 2>&1 < /dev/null &",
    "forked twice": "(setsid sh -c 'sleep 4321 & sleep 0.01' &)",
    "without a variable of ours": "env -i setsid sleep 4321 &",
    "deaf to SIGTERM": "(trap '' TERM HUP INT; exec setsid sleep 4321) &",
    "stopped": "sleep 4321 & sleep 0.05; kill -STOP $!",
}


def alive(text: str) -> list[int]:
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip().decode()
        except OSError:
            continue
        if line == text and not process.is_zombie(pid):
            found.append(pid)
    return found


@pytest.fixture(params=["subreaper", "namespace"])
def any_runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """A runner of each kind: a subreaper, and pid 1 of a namespace of its own."""
    if request.param == "namespace" and not pid_namespaces_work():
        pytest.skip("PID namespaces need root, and a system that gives them")
    driver = Driver(tmp_path / "home", namespace=request.param == "namespace").start()
    yield driver
    driver.stop()
    assert not (tmp_path / "home" / "stderr").read_text()


@pytest.mark.parametrize("how", ESCAPES)
def test_nothing_outlives_its_job(any_runner: Driver, how: str) -> None:
    done = any_runner.do(f"{ESCAPES[how]}\nsleep 0.1")

    assert alive("sleep 4321") == []
    assert done.end["result"] == "success"
    assert "sleep" in done.steps[0]["left"]
    assert "Ended what the steps had left running: " in done.log


def test_a_step_ends_with_its_shell_though_a_child_holds_its_output(any_runner: Driver) -> None:
    begun = time.monotonic()
    done = any_runner.do("sleep 4322 & echo there", "true")

    assert done.conclusions == ["success", "success"]
    assert time.monotonic() - begun < 20  # not 4322


def test_a_server_that_a_step_left_serves_the_next_one_and_its_words_are_kept(runner: Driver) -> None:
    done = runner.do(
        "mkfifo in; (read line < in; echo served $line; echo done > out) & mkfifo out",
        "echo me > in; read line < out",
        "true",
    )

    assert "served me\n" in done.text(1)
    assert done.steps[0]["to"] == done.steps[1]["from"]
    assert done.steps[2]["left"] == []


def test_a_child_that_has_ended_by_itself_is_not_named(runner: Driver) -> None:
    done = runner.do("true & sleep 0.1")

    assert done.steps[0]["left"] == []
    assert done.end["log"] == 0


def test_what_is_asked_to_end_may_do_so_in_peace(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "home", replace(QUICK, left_over_s=10)).start()
    try:
        done = driver.do(
            "(trap 'echo goodbye; exit' TERM; touch ready; while :; do sleep 0.02; done) & until test -f ready; do sleep 0.01; done"
        )
    finally:
        driver.stop()

    assert "goodbye\n" in done.log


def test_a_fork_bomb_with_a_bound_is_ended_with_its_job(runner: Driver) -> None:
    script = "bomb() { test $1 -gt 0 || exec sleep 4323; bomb $(($1 - 1)) & bomb $(($1 - 1)) & wait; }; (bomb 6 &) ; sleep 0.05"
    done = runner.do(script)

    assert alive("sleep 4323") == []
    assert done.end["result"] == "success"


def test_orphans_that_end_while_a_step_runs_are_taken(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "home").start()
    try:
        driver.assign("for i in 1 2 3 4 5; do (setsid true &); done; echo ready; sleep 2.5")
        deadline = time.monotonic() + 10
        while [pid for pid in process.children(driver.pid) if process.is_zombie(pid)] or len(process.children(driver.pid)) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        driver.stop()


def test_the_death_of_a_runner_in_a_namespace_is_the_end_of_all_that_it_started(tmp_path: Path) -> None:
    if not pid_namespaces_work():
        pytest.skip("PID namespaces need root, and a system that gives them")
    driver = Driver(tmp_path / "home", namespace=True).start()
    driver.assign("env -i setsid sleep 4324 & sleep 60")
    deadline = time.monotonic() + 10
    while not alive("sleep 4324"):
        assert time.monotonic() < deadline
        driver.receive(0.01)
    driver.stop()

    while alive("sleep 4324"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_process_of_a_job_bears_its_mark(runner: Driver) -> None:
    job = runner.assign("echo mark=$SPARKI_JOB")
    mark = runner.result(job).log.split("mark=")[-1].strip()

    assert nonce.runner_of(mark, str(runner.home)) == runner.name
    assert mark == nonce.nonce(str(runner.home), runner.name, job, 1)


def test_the_supervisors_death_lets_the_step_end_and_no_other_begin(runner: Driver) -> None:
    job = runner.assign("sleep 4325 & echo ready; sleep 0.3; echo to the end", "echo never")
    while "ready\n" not in runner.log(job):
        time.sleep(0.01)
    os.close(runner.death_fd)
    runner.death_fd = -1
    done = runner.result(job)

    assert "to the end\n" in done.log
    assert done.conclusions == ["success"]
    assert (done.end["result"], done.end["reason"]) == ("lost", "the supervisor died")
    assert runner.wait_end() == 0
    assert alive("sleep 4325") == []


def test_a_job_whose_last_step_ends_is_not_lost_with_the_supervisor(runner: Driver) -> None:
    job = runner.assign("echo ready; sleep 0.3")
    while "ready\n" not in runner.log(job):
        time.sleep(0.01)
    os.close(runner.death_fd)
    runner.death_fd = -1

    assert runner.result(job).end["result"] == "success"
    assert runner.wait_end() == 0


def test_an_idle_runner_leaves_with_the_supervisor(runner: Driver) -> None:
    os.close(runner.death_fd)
    runner.death_fd = -1

    assert runner.wait_end() == 0
    assert not (runner.home / "work").exists() or os.listdir(runner.home / "work") == []


def test_an_action_holds_nothing_of_its_runner_and_dies_with_it(runner: Driver) -> None:
    """A native action is a copy of the runner: it must not hold what says that the runner lives."""
    job = runner.assign("mkfifo fifo", step(uses="actions/setup-python@v5", inputs={"python-version-file": "fifo"}))
    runner.wait_for("step.started", job, step=1)
    deadline = time.monotonic() + 10
    while not (children := process.children(runner.pid)) or len(os.listdir(f"/proc/{children[0]}/fd")) > 4:
        assert time.monotonic() < deadline  # it waits for somebody to write to its file
    lock = str(runner.home / "runners" / f"{runner.name}.lock")
    assert lock not in [os.path.realpath(f"/proc/{children[0]}/fd/{fd}") for fd in (0, 1, 2)]
    os.kill(runner.pid, signal.SIGKILL)
    os.waitpid(runner.pid, 0)
    runner.pid = 0

    assert not files.is_locked(lock)
    while process.start_time(children[0]):
        assert time.monotonic() < deadline
