"""The supervisor itself, with an engine and runners that do nothing but live, fork and die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.system import process
from sparki_daemon.system.lines import Lines, pack

PROGRAM = """
import json, os, subprocess, sys, time
from sparki_daemon.supervisor import main as supervisor
from sparki_daemon.system import process

def runner(name, home, death_fd):
    process.become_subreaper()
    job = subprocess.Popen(["sh", "-c", "(setsid sleep 600 &) ; (env -i setsid sleep 600 &) ; exec sleep 600"], start_new_session=True)
    with open(f"{home}/{name}.tree", "w") as file:
        file.write(str(os.getpid()))
    os.read(death_fd, 1)
    job.kill()

supervisor.main(sys.argv[1], sys.argv[2], "1.0", runner)
"""
# In place of the daemon's package: what the supervisor starts with `-m sparki_daemon engine` hands its ends to the test.
ENGINE = """
import array, os, signal, socket, sys
if sys.argv[1] == "supervisor":
    sys.argv[1:] = [sys.argv[3], sys.argv[5], sys.argv[7]]
    source = os.environ["PROGRAM"].replace('"1.0", runner)', '"2.0", runner, sys.argv[3])')
    exec(compile(source, "program", "exec"))
else:
    with socket.socket(socket.AF_UNIX) as test:
        test.connect(os.environ["ENGINE_SOCKET"])
        socket.send_fds(test, [str(os.getpid()).encode()], [4])
    os.close(4)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pause()
"""


@dataclass
class Hand:
    """The test's end: it plays the engine over the control socket that each engine process hands it."""

    home: Path
    process: subprocess.Popen[bytes]
    server: socket.socket
    engine: int = 0
    control: socket.socket | None = None
    lines: Lines = field(default_factory=Lines)
    heard: list[dict[str, Any]] = field(default_factory=list)

    def meet(self) -> dict[str, int]:
        """Take over from the next engine; the runners that it is told first, by name."""
        connection, _ = self.server.accept()
        with connection:
            data, (fd,), _, _ = socket.recv_fds(connection, 64, 1)
        if self.control:
            self.control.close()
        self.engine, self.lines, self.heard = int(data), Lines(), []
        self.control = socket.socket(fileno=fd)
        self.control.settimeout(15)
        runners: dict[str, int] = self.hear()["runners"]
        return runners

    def say(self, what: str) -> None:
        assert self.control
        self.control.sendall(pack({"do": what}))

    def hear(self) -> dict[str, Any]:
        assert self.control
        while not self.heard:
            self.heard += self.lines.feed(self.control.recv(65536))
        return self.heard.pop(0)

    def spawn(self) -> tuple[str, int]:
        """A runner with its tree; its name and pid."""
        self.say("spawn")
        born = self.hear()
        until(lambda: (self.home / f"{born['born']}.tree").exists() and len(tree_of(born["pid"])) == 3)
        return born["born"], born["pid"]


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (answer := what()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return answer


def tree_of(pid: int) -> list[int]:
    """What a runner's job consists of: the shells that began it have ended."""
    return [child for child in process.descendants(pid) if process.name_of(child) == "sleep" and not dead(child)]


def dead(pid: int) -> bool:
    return process.start_time(pid) is None


@pytest.fixture(params=[False, True], ids=["plain", "namespace"])
def hand(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hand]:
    if request.param and not process.pid_namespaces_work():
        pytest.skip("this system gives no PID namespaces")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "test.sock"))
    server.listen(8)
    server.settimeout(15)
    root = str(Path(process.__file__).parent.parent)
    shadow = tmp_path / "shadow" / "sparki_daemon"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text(f"__path__.append({root!r})\n")
    (shadow / "__main__.py").write_text(ENGINE)
    env = {**os.environ, "PYTHONPATH": str(shadow.parent), "ENGINE_SOCKET": str(tmp_path / "test.sock"), "PROGRAM": PROGRAM}
    env.pop("SPARKI_NO_PID_NAMESPACE", None)
    if not request.param:
        env["SPARKI_NO_PID_NAMESPACE"] = "1"
    running = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "d.sock")], env=env, cwd=shadow.parent)
    made = Hand(tmp_path, running, server)
    yield made
    known = [running.pid, *([made.engine] if made.engine else []), *process.descendants(running.pid)]
    if made.control:
        made.control.close()
    server.close()
    for pid in known:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.wait()


def test_an_engine_that_dies_is_started_again_and_told_who_lives(hand):
    assert hand.meet() == {}
    name, pid = hand.spawn()
    first = hand.engine
    os.kill(first, signal.SIGKILL)

    assert hand.meet() == {name: pid}
    assert hand.engine != first
    assert not dead(pid)


def test_a_dead_runner_is_told_once_nothing_of_its_tree_is_left(hand):
    hand.meet()
    name, pid = hand.spawn()
    tree = tree_of(pid)
    os.kill(pid, signal.SIGKILL)

    assert hand.hear() == {"died": name, "pid": pid, "status": 9}
    assert all(dead(child) for child in tree)


def test_a_runners_death_leaves_the_others_and_their_trees_alone(hand):
    hand.meet()
    (_, victim), (_, other) = hand.spawn(), hand.spawn()
    os.kill(victim, signal.SIGKILL)
    hand.hear()

    assert not dead(other)
    assert len(tree_of(other)) == 3


def test_a_runner_that_died_with_the_engine_is_not_among_the_living(hand):
    hand.meet()
    (_, victim), (name, other) = hand.spawn(), hand.spawn()
    for pid in (hand.engine, victim):
        os.kill(pid, signal.SIGKILL)
    told = hand.meet()

    assert told.get(name) == other
    if len(told) == 2:  # the engine's death was seen first
        assert hand.hear()["pid"] == victim


def test_no_runners_name_is_used_twice(hand):
    hand.meet()
    names = [hand.spawn()[0]]
    os.kill(hand.engine, signal.SIGKILL)
    hand.meet()
    names.append(hand.spawn()[0])
    hand.say("restart")
    hand.meet()
    names.append(hand.spawn()[0])

    assert len(set(names)) == 3


def test_a_restart_keeps_pid_socket_and_runners(hand):
    hand.meet()
    name, pid = hand.spawn()
    tree = tree_of(pid)
    before = json.loads((hand.home / "daemon.json").read_text())
    hand.say("restart")

    assert hand.meet() == {name: pid}
    after = json.loads((hand.home / "daemon.json").read_text())
    assert (after["pid"], after["start"], after["socket"]) == (before["pid"], before["start"], before["socket"])
    assert (before["version"], after["version"]) == ("1.0", "2.0")
    assert not any(dead(child) for child in [pid, *tree])


def test_a_runner_that_dies_while_the_program_changes_is_not_among_the_living(hand):
    hand.meet()
    _, pid = hand.spawn()
    os.kill(hand.process.pid, signal.SIGSTOP)
    hand.say("restart")
    os.kill(pid, signal.SIGKILL)
    os.kill(hand.process.pid, signal.SIGCONT)
    told = hand.meet()

    if told:
        assert hand.hear()["pid"] == pid
    until(lambda: dead(pid) and not process.is_zombie(pid))


def test_stop_leaves_nothing(hand):
    hand.meet()
    _, pid = hand.spawn()
    tree = tree_of(pid)
    hand.say("stop")

    assert hand.process.wait(20) == 0
    assert all(dead(child) for child in [hand.engine, pid, *tree])
    assert not (hand.home / "daemon.json").exists()
    assert not (hand.home / "d.sock").exists()


def test_a_runner_hears_the_supervisors_death(hand):
    hand.meet()
    _, pid = hand.spawn()
    tree = tree_of(pid)
    hand.process.kill()

    until(lambda: dead(pid))
    for child in tree:  # a namespace has ended them; without one nobody has
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_the_socket_is_its_owners_only(hand):
    hand.meet()

    assert (hand.home / "d.sock").stat().st_mode & 0o777 == 0o600
