from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stand_in import StandIn

from sparki_daemon.client import launch
from sparki_daemon.client.http import exchange
from sparki_daemon.client.paths import Paths
from sparki_daemon.model.problem import ExitCode, SparkiError

# The least that counts as a daemon: it listens, says so in daemon.json, and answers every request.
DAEMON = """
import json, os, socket, sys, time
home, births = sys.argv[1], sys.argv[2]
descriptors = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]  # the last is the listing's own
with open(births, "a") as file:
    file.write(f"{os.getpid()} {os.getsid(0)} {os.getcwd()} {descriptors}\\n")
print("the daemon speaks", flush=True)
time.sleep(float(os.environ.get("SLOW", "0")))
server = socket.socket(socket.AF_UNIX)
path = home + "/d.sock"
if os.path.exists(path):
    os.unlink(path)
server.bind(path)
server.listen(16)
with open(home + "/new", "w") as file:
    json.dump({"socket": path, "pid": os.getpid(), "start": 1, "boot": "b", "version": "9"}, file)
os.rename(home + "/new", home + "/daemon.json")
while True:
    peer, _ = server.accept()
    if peer.recv(65536):
        peer.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
    peer.close()
"""


@pytest.fixture
def births(home: Path) -> Callable[[], list[str]]:
    """A line for each daemon that was started: pid, session, folder, descriptors."""
    return lambda: (home / "births").read_text().splitlines() if (home / "births").exists() else []


@pytest.fixture
def command(home: Path, births: Callable[[], list[str]]) -> Iterator[list[str]]:
    yield [sys.executable, "-c", DAEMON, str(home), str(home / "births")]
    for line in births():
        try:
            os.kill(int(line.split()[0]), signal.SIGKILL)
        except ProcessLookupError:
            continue


def reached(paths: Paths, command: list[str]) -> bytes:
    sock, _ = launch.ensure(paths, command)
    return exchange(sock, "GET", "/v1/daemon").read()


def test_a_daemon_is_started_where_there_is_none(paths: Paths, command: list[str], births: Callable[[], list[str]]) -> None:
    assert reached(paths, command) == b"{}"
    pid, session, folder, descriptors = births()[0].split(" ", 3)
    assert pid == session, "it leads a session of its own: a terminal's end does not end it"
    assert folder == "/"
    assert json.loads(descriptors) == [0, 1, 2]
    assert Path(paths.daemon_log).read_text() == "the daemon speaks\n"
    assert Path(paths.daemon_log).stat().st_mode & 0o077 == 0


def test_a_running_daemon_is_used(paths: Paths, command: list[str], births: Callable[[], list[str]]) -> None:
    reached(paths, command)
    reached(paths, command)
    assert len(births()) == 1


def test_many_starters_at_once_start_one_daemon(paths: Paths, command: list[str], births: Callable[[], list[str]]) -> None:
    script = f"from sparki_daemon.client import launch, paths; launch.ensure(paths.Paths({paths.state!r}, '', ''), {command!r})"
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(6)]
    assert [process.wait(30) for process in started] == [0] * 6
    assert len(births()) == 1


def test_a_starter_killed_meanwhile_leaves_no_room_for_a_second_daemon(
    paths: Paths, command: list[str], births: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW", "0.7")
    script = f"from sparki_daemon.client import launch, paths; launch.ensure(paths.Paths({paths.state!r}, '', ''), {command!r})"
    first = subprocess.Popen([sys.executable, "-c", script])
    while not births():
        time.sleep(0.005)
    first.kill()
    first.wait()
    assert reached(paths, command) == b"{}"
    assert len(births()) == 1


@pytest.mark.parametrize("told", ["", "{", "[]", '{"socket": "/nowhere/d.sock"}', '{"pid": 1}', '{"socket": "/dev/null"}'])
def test_a_stale_or_broken_daemon_file_is_not_believed(paths: Paths, command: list[str], told: str) -> None:
    Path(paths.daemon_file).write_text(told)
    assert reached(paths, command) == b"{}"


def test_a_stale_socket_with_a_living_pid_is_not_believed(paths: Paths, command: list[str], home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home / "d.sock"))
    Path(paths.daemon_file).write_text(json.dumps({"socket": str(home / "d.sock"), "pid": os.getpid(), "start": 1}))
    assert reached(paths, command) == b"{}"


def test_a_daemon_that_dies_at_once_is_told_with_the_end_of_its_log(paths: Paths) -> None:
    lines = "; ".join(f"print('line {number}')" for number in range(30))
    with pytest.raises(SparkiError) as caught:
        launch.ensure(paths, [sys.executable, "-c", f"{lines}; raise SystemExit(1)"])
    problem = caught.value.problems[0]
    assert (problem.code, caught.value.exit_code) == ("daemon_unreachable", ExitCode.UNREACHABLE)
    assert "  | line 29" in problem.message
    assert "line 19\n" not in problem.message
    assert paths.daemon_log in problem.hint


def test_a_daemon_that_never_comes_up_is_given_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "START_LIMIT_S", 0.2)
    with pytest.raises(SparkiError, match="did not start"):
        launch.ensure(paths, [sys.executable, "-c", "import time; time.sleep(3)"])


def test_a_start_that_somebody_else_holds_for_ever_is_given_up(paths: Paths, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr(launch, "START_LIMIT_S", 0.1)
    with open(paths.start_lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SparkiError, match="for too long"):
            launch.ensure(paths, command)


def test_the_state_folder_is_made_for_its_owner_alone(home: Path, command: list[str]) -> None:
    paths = Paths(str(home / "new" / "state"), "", "")
    (home / "new").mkdir()
    with pytest.raises(SparkiError):
        launch.ensure(paths, ["/bin/false"])
    assert (home / "new" / "state").stat().st_mode & 0o777 == 0o700


def test_an_unusable_state_folder_is_told(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(SparkiError) as caught:
        launch.ensure(Paths(str(home / "file" / "state"), "", ""), ["/bin/false"])
    assert caught.value.problems[0].code == "state_unwritable"
    assert "SPARKI_HOME" in caught.value.problems[0].hint


def test_a_daemon_that_takes_no_connection_is_not_replaced(
    paths: Paths, home: Path, command: list[str], births: Callable[[], list[str]]
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "full.sock"))
        listener.listen(0)
        Path(paths.daemon_file).write_text(json.dumps({"socket": str(home / "full.sock")}))
        first = launch.connect(paths, 1.0)
        assert first is not None
        with pytest.raises(SparkiError) as caught:
            launch.connect(paths, 0.05)
        first[0].close()
    assert caught.value.problems[0].code == "daemon_unreachable"
    assert births() == []


def test_somebody_elses_daemon_is_refused(paths: Paths, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(SparkiError) as caught:
        launch.connect(paths)
    assert (caught.value.problems[0].code, caught.value.exit_code) == ("foreign_daemon", ExitCode.NOT_ALLOWED)


def test_a_private_folder_is_made_and_kept(home: Path) -> None:
    launch.private_folder(str(home / "short"))
    launch.private_folder(str(home / "short"))
    assert (home / "short").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_folder_that_others_may_enter_or_planted_is_refused(home: Path, kind: str) -> None:
    target = home / "short"
    if kind == "open":
        target.mkdir(mode=0o755)
    elif kind == "link":
        (home / "theirs").mkdir(mode=0o700)
        target.symlink_to(home / "theirs")
    else:
        target.write_text("")
    with pytest.raises(SparkiError) as caught:
        launch.private_folder(str(target))
    assert caught.value.problems[0].code == "unsafe_folder"


def test_last_lines_of_a_long_log_are_read_from_its_end(home: Path) -> None:
    (home / "log").write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert launch.last_lines(str(home / "log"), 2) == ["line 49998", "line 49999"]
    assert launch.last_lines(str(home / "absent"), 2) == []


def test_a_connection_waits_while_the_engine_is_away(paths: Paths, home: Path) -> None:
    """The supervisor holds the socket: a client in the backlog is served by the next engine."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "d.sock"))
        listener.listen(8)
        Path(paths.daemon_file).write_text(json.dumps({"socket": str(home / "d.sock"), "version": "1"}))

        def engine_comes_back() -> None:
            time.sleep(0.2)
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

        thread = threading.Thread(target=engine_comes_back)
        thread.start()
        found = launch.connect(paths)
        assert found is not None
        assert exchange(found[0], "GET", "/").read() == b"{}"
        thread.join()
