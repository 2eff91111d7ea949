"""A keeper with real fronts and services: what runs goes on, whoever dies."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from loco_services import LIMIT_S, until

from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.system import held, process

SERVICE = """
import http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.3 if self.path == "/slow" else 0)
        body = os.environ.get({name!r}, "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 200
print("up", flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SECRET = "correct-horse-battery"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Place:
    """One environment, with a client whose fencing token can be changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = str(root / "environment")
        self.listen = free_address()
        self.keeper = Keeper(self.folder, deployment="d-1", epoch=1)

    def serve(self, release: str, *, secrets: dict[str, str] | None = None, live: bool = True) -> None:
        """Start a service that answers with its release, wait until it listens, and have it live."""
        (self.root / "service.py").write_text(SERVICE.replace("{name!r}", repr("SECRET" if secrets else "SPARKI_RELEASE")))
        command = f"exec {sys.executable} service.py"
        self.keeper.start_service(release, command, str(self.root), variables={}, secrets=secrets or {})
        until(lambda: self.service(release).listening, f"{release} listens")
        if live:
            self.keeper.ensure_front(self.listen)
            self.keeper.set_upstream(release)

    def run(self, release: str, command: str, **more) -> None:
        self.keeper.start_service(release, command, str(self.root), variables={}, secrets={}, **more)

    def service(self, release: str):
        return self.keeper.status().services[release]

    def log(self, release: str) -> str:
        path = Path(self.folder, "logs", f"{release}.log")
        return path.read_text() if path.exists() else ""

    def get(self, path: str = "/") -> str:
        connection = self.connect()
        try:
            return ask(connection, path)
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        host, _, port = self.listen.partition(":")
        return http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)

    def pids(self) -> list[int]:
        """The living processes whose working directory or command line is of this environment."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words, cwd = Path(f"/proc/{entry}/cmdline").read_bytes(), os.readlink(f"/proc/{entry}/cwd")
                if int(entry) != os.getpid() and (str(self.root).encode() in words or cwd.startswith(str(self.root))):
                    found.append(int(entry))
        return found


def ask(connection: http.client.HTTPConnection, path: str = "/") -> str:
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    return text if answer.status == 200 else f"{answer.status} {text}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.keeper.close()
    found.keeper = Keeper(found.folder, deployment="end", epoch=10**9)
    found.keeper.down(grace_s=2)
    until(lambda: not found.pids(), "nothing is left")


def code(problem: pytest.ExceptionInfo[SparkiError]) -> str:
    return problem.value.problems[0].code


def kill(pid: int | None) -> None:
    assert pid
    who = process.identity(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not process.alive(who), f"{pid} is dead")


def tree_of(pid: int) -> list[process.Identity]:
    """What lives below a process; something may end while it is looked at."""
    found = []
    for child in process.descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            found.append(process.identity(child))
    return found


# -- services -----------------------------------------------------------------------------------------------------------------


def test_a_service_gets_its_port_its_release_and_its_variables_and_little_else(place, monkeypatch):
    monkeypatch.setenv("SPARKI_JOB", "mark")
    monkeypatch.setenv("OTHER", "private")
    place.keeper.start_service("r-1", "env; sleep 600", str(place.root), variables={"LOG_LEVEL": "info"}, secrets={"KEY": SECRET})
    until(lambda: "LOG_LEVEL" in place.log("r-1"))
    seen = dict(line.partition("=")[::2] for line in place.log("r-1").splitlines())

    assert seen["PORT"] == str(place.service("r-1").port)
    assert (seen["SPARKI_RELEASE"], seen["LOG_LEVEL"], seen["KEY"]) == ("r-1", "info", SECRET)
    assert "OTHER" not in seen
    assert "SPARKI_JOB" not in seen
    keeper = place.keeper.status().pid
    assert b"SPARKI_JOB" not in Path(f"/proc/{keeper}/environ").read_bytes()


def test_the_same_start_twice_is_one_process(place):
    place.run("r-1", "sleep 600")
    until(lambda: place.service("r-1").pid)
    first = place.service("r-1").pid
    place.run("r-1", "sleep 600")

    assert place.service("r-1").pid == first
    with pytest.raises(SparkiError) as problem:
        place.run("r-1", "sleep 601")
    assert code(problem) == "release_differs"


def test_a_service_that_dies_comes_back_and_one_that_never_lives_is_told(place):
    place.run("r-1", "sleep 600")
    until(lambda: place.service("r-1").pid)
    kill(place.service("r-1").pid)
    until(lambda: place.service("r-1").pid and place.service("r-1").restarts == 1)
    assert place.service("r-1").exit_status == -signal.SIGKILL

    place.run("r-2", "echo no; exit 3")
    until(lambda: place.service("r-2").condition == "crash_looping")
    looping = place.service("r-2")
    assert looping.exit_status == 3
    assert looping.restarts >= 5
    assert Path(looping.log).read_text().startswith("no\n")
    assert place.service("r-1").condition == "running"


def test_a_stop_ends_the_whole_tree_whatever_it_does_to_escape(place):
    script = "trap '' TERM; (setsid sleep 600 &) ; (env -i /usr/bin/setsid /bin/sh -c 'sleep 601 & sleep 602' &) ; sleep 603"
    place.run("r-1", script)
    place.run("r-2", "sleep 604")
    minder = place.keeper._ask({"do": "status"})["services"][0]["minder"]
    until(lambda: len(process.descendants(minder)) >= 6, "the tree has grown")
    tree = tree_of(minder)

    place.keeper.stop_service("r-1", grace_s=0.3)

    assert not any(process.alive(who) for who in tree)
    assert set(place.keeper.status().services) == {"r-2"}
    assert place.service("r-2").condition == "running"
    place.keeper.stop_service("r-1", grace_s=0.3)


def test_a_polite_service_has_its_grace(place):
    place.run("r-1", "trap 'sleep 0.3; echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    until(lambda: "up" in place.log("r-1"))
    place.keeper.stop_service("r-1", grace_s=20)

    assert place.log("r-1").endswith("bye\n")


def test_what_a_killed_minder_leaves_is_ended_and_the_service_started_again(place):
    place.run("r-1", "(env -i setsid sleep 600 &) ; sleep 601")
    minder = place.keeper._ask({"do": "status"})["services"][0]["minder"]
    until(lambda: len(process.descendants(minder)) >= 3)
    tree = tree_of(minder)
    kill(minder)

    until(lambda: not any(process.alive(who) for who in tree), "the old tree is gone")
    until(lambda: place.service("r-1").restarts == 1 and place.service("r-1").pid)


def test_limits_reach_the_service_and_unknown_ones_are_refused(place):
    place.run("r-1", "ulimit -n; sleep 600", limits={"files": 77})
    until(lambda: place.log("r-1") == "77\n")
    with pytest.raises(SparkiError) as problem:
        place.run("r-2", "true", limits={"horses": 1})
    assert code(problem) == "bad_limit"


@pytest.mark.parametrize(("release", "cwd", "expected"), [("../up", "/", "bad_release"), ("r-1", "/no/such/folder", "no_folder")])
def test_what_cannot_be_started_is_refused(place, release, cwd, expected):
    with pytest.raises(SparkiError) as problem:
        place.keeper.start_service(release, "true", cwd, variables={}, secrets={})
    assert code(problem) == expected


# -- fencing ------------------------------------------------------------------------------------------------------------------


def test_an_older_epoch_is_refused_whatever_it_asks(place):
    place.run("r-1", "sleep 600")
    with Keeper(place.folder, deployment="d-2", epoch=2) as newer:
        newer.start_service("r-1", "sleep 600", str(place.root), variables={}, secrets={})
        assert newer.status().services["r-1"].deployment == "d-2"
    for act in (
        lambda: place.keeper.stop_service("r-1", grace_s=1),
        lambda: place.keeper.set_upstream("r-1"),
        lambda: place.keeper.ensure_front(place.listen),
        lambda: place.keeper.down(grace_s=1),
        lambda: place.run("r-2", "true"),
    ):
        with pytest.raises(SparkiError) as problem:
            act()
        assert code(problem) == "fenced"
    with Keeper(place.folder, deployment="d-3", epoch=2) as same_epoch, pytest.raises(SparkiError):
        same_epoch.set_upstream(None)
    assert set(place.keeper.status().services) == {"r-1"}


def test_the_fence_holds_after_the_keepers_death(place):
    with Keeper(place.folder, deployment="d-2", epoch=7) as newer:
        newer.set_upstream(None)
        kill(newer.status().pid)
    with pytest.raises(SparkiError) as problem:
        place.run("r-1", "true")
    assert code(problem) == "fenced"


# -- the front ----------------------------------------------------------------------------------------------------------------


def test_a_taken_address_names_who_has_it(place):
    with socket.create_server(tuple_of(place.listen)):
        with pytest.raises(SparkiError) as problem:
            place.keeper.ensure_front(place.listen)
        assert code(problem) == "address_taken"
        assert f"(pid {os.getpid()})" in problem.value.problems[0].message
    place.keeper.ensure_front(place.listen)


def tuple_of(listen: str) -> tuple[str, int]:
    host, _, port = listen.partition(":")
    return host, int(port)


def test_only_a_service_that_is_there_can_be_live(place):
    with pytest.raises(SparkiError) as problem:
        place.keeper.set_upstream("r-9")
    assert code(problem) == "no_such_service"


def test_a_stranger_at_a_services_port_is_not_taken_for_it(place):
    place.run("r-1", "sleep 600")
    with socket.create_server(("127.0.0.1", place.service("r-1").port)):
        assert not place.service("r-1").listening


def test_maintenance_and_its_end(place):
    place.serve("r-1")
    place.keeper.set_maintenance("soon", retry_after_s=5)
    assert place.get() == "503 soon\n"
    place.keeper.set_maintenance(None)
    assert place.get() == "r-1"


class Load:
    """Clients of three kinds that never pause: kept connections, new ones, slow ones. Every failure is remembered."""

    def __init__(self, place: Place) -> None:
        self.place, self.stop = place, threading.Event()
        self.failures: list[str] = []
        self.answers = 0
        kinds = [self._kept] * 4 + [self._new] * 4 + [self._slow] * 2
        self.threads = [threading.Thread(target=kind, daemon=True) for kind in kinds]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        until(lambda: self.answers > 20, "load")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(LIMIT_S)

    def _kept(self) -> None:
        connection = self.place.connect()
        while not self.stop.is_set():
            if not self._try(lambda connection=connection: ask(connection)):
                connection.close()
                connection = self.place.connect()
            time.sleep(0.01)
        connection.close()

    def _new(self) -> None:
        while not self.stop.is_set():
            self._try(self.place.get)
            time.sleep(0.01)

    def _slow(self) -> None:
        while not self.stop.is_set():
            self._try(lambda: self.place.get("/slow"))

    def _try(self, act) -> bool:
        try:
            text = act()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(type(error).__name__)
            return False
        self.answers += 1
        if not text.startswith("r-"):
            self.failures.append(text)
        return True


def test_cuts_under_load_drop_nothing(place):
    place.serve("r-0")
    idle = place.connect()
    assert ask(idle) == "r-0"
    with Load(place) as load:
        for number in range(1, 4):
            old, new = f"r-{number - 1}", f"r-{number}"
            place.serve(new)
            until(lambda old=old: place.keeper.status().counted(old).in_flight == 0, "the old one is empty")
            place.keeper.stop_service(old, grace_s=5)
            assert ask(idle) == new
    assert load.failures == []
    counted = [place.keeper.status().counted(f"r-{number}") for number in range(4)]
    assert sum(one.dropped for one in counted) == 0
    assert sum(one.requests for one in counted) == load.answers + 4
    idle.close()


def test_a_killed_front_refuses_nobody_and_what_it_counted_is_known(place):
    place.serve("r-1")
    with Load(place) as load:
        for _ in range(2):
            before = place.keeper.status().front_pid
            answers = load.answers
            kill(before)
            until(lambda answers=answers: load.answers > answers + 20, "load goes on")
            until(lambda before=before: place.keeper.status().front_pid not in (None, before))
    assert "ConnectionRefusedError" not in load.failures
    status = place.keeper.status()
    counted = status.counted("r-1")
    assert counted.in_flight == 0
    assert status.front_restarts == 2
    assert len(load.failures) <= 20  # at most those in flight at each kill
    assert counted.requests >= load.answers
    assert counted.cuts <= len(load.failures)


def test_a_new_front_takes_over_and_the_old_one_drains(place):
    place.serve("r-1")
    old = place.keeper.status().front_pid
    with Load(place) as load:
        place.keeper.renew_front()
        until(lambda: place.keeper.status().draining == 0, "the old front is gone")
    status = place.keeper.status()
    assert status.front_pid != old
    assert status.front_restarts == 0
    assert not set(load.failures) - {"RemoteDisconnected", "ConnectionResetError"}, load.failures
    assert status.counted("r-1").dropped == 0


# -- the keeper's death -------------------------------------------------------------------------------------------------------


def test_a_killed_keeper_cuts_nothing_and_its_successor_adopts_all(place):
    place.serve("r-1", secrets={"SECRET": "r-secret"})
    before = place.keeper.status()
    with Load(place) as load:
        kill(before.pid)
        until(lambda: held.holder(place.folder + "/keeper.lock"), "the front has a new keeper started")
        after = place.keeper.status()
        time.sleep(0.2)
    assert load.failures == []
    assert after.pid != before.pid
    assert (after.front_pid, after.services["r-1"].pid) == (before.front_pid, before.services["r-1"].pid)
    assert (after.live, after.epoch, after.listen) == (before.live, before.epoch, before.listen)
    kill(after.services["r-1"].pid)
    until(lambda: place.service("r-1").listening, "restarted with the values that the front held")
    assert place.get() == "r-secret"


def test_front_and_keeper_killed_together_leave_the_service_and_it_is_adopted(place):
    place.serve("r-1", secrets={"SECRET": "r-secret"})
    before = place.keeper.status()
    os.kill(before.pid, signal.SIGSTOP)
    kill(before.front_pid)
    kill(before.pid)
    after = place.keeper.status()  # starts a keeper
    until(lambda: place.keeper.status().front_ready)

    assert after.services["r-1"].pid == before.services["r-1"].pid
    assert place.get() == "r-secret"
    kill(after.services["r-1"].pid)
    until(lambda: place.service("r-1").condition == "needs_values")
    place.serve("r-1", secrets={"SECRET": "r-secret"}, live=False)
    until(lambda: place.get() == "r-secret")


def test_after_a_reboot_all_comes_back_but_what_needs_values(place):
    place.serve("r-1")
    place.keeper.start_service("r-2", "sleep 600", str(place.root), variables={}, secrets={"KEY": SECRET})
    status = place.keeper.status()
    os.kill(status.pid, signal.SIGSTOP)
    for pid in place.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not place.pids())
    until(lambda: place.service("r-1").listening and place.keeper.status().front_ready)

    assert place.get() == "r-1"
    assert place.service("r-2").condition == "needs_values"
    place.keeper.start_service("r-2", "sleep 600", str(place.root), variables={}, secrets={"KEY": SECRET})
    until(lambda: place.service("r-2").condition == "running")


def test_a_terminated_keeper_ends_all_and_the_next_one_brings_it_back(place):
    place.serve("r-1")
    pid = place.keeper.status().pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: not place.pids(), "all ended")

    until(lambda: place.service("r-1").listening)
    until(lambda: place.keeper.status().front_ready)
    assert place.get() == "r-1"


def test_down_leaves_no_process_and_no_address(place):
    place.serve("r-1")
    place.keeper.down(grace_s=5)
    until(lambda: not place.pids())
    with socket.create_server(tuple_of(place.listen)):
        assert not place.keeper.runs()
    assert place.keeper.status().services == {}


def test_no_secret_is_in_any_file_or_command_line(place):
    place.keeper.start_service("r-1", "sleep 600", str(place.root), variables={}, secrets={"KEY": SECRET})
    place.keeper.ensure_front(place.listen)
    for folder, _, names in os.walk(place.root):
        for name in names:
            path = os.path.join(folder, name)
            if not path.endswith(".sock"):
                assert SECRET.encode() not in Path(path).read_bytes(), path
    for pid in place.pids():
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert stat_mode(place.folder) == 0o700


def stat_mode(path: str) -> int:
    return os.stat(path).st_mode & 0o777


def test_two_starts_at_once_are_one_keeper(tmp_path, place):
    command = [sys.executable, "-m", "sparki_daemon", "keeper", "--folder", place.folder]
    starts = [subprocess.Popen(command) for _ in range(4)]

    assert [start.wait(LIMIT_S) for start in starts] == [0] * 4
    holder = held.holder(place.folder + "/keeper.lock")
    assert holder
    assert holder.pid == place.keeper.status().pid


def test_a_state_of_another_version_is_refused_with_a_word(tmp_path):
    folder = tmp_path / "environment"
    folder.mkdir(mode=0o700)
    (folder / "keeper.json").write_text(json.dumps({"format": 99}))
    with Keeper(str(folder)) as keeper, pytest.raises(SparkiError) as problem:
        keeper.status()
    assert code(problem) == "keeper_unstartable"
    assert "another version" in problem.value.problems[0].message


def test_a_folder_whose_path_is_too_long_for_a_socket_works(tmp_path):
    place = Place(tmp_path / ("long" * 30))
    place.root.mkdir()
    try:
        place.serve("r-1")
        assert place.get() == "r-1"
    finally:
        place.keeper.down(grace_s=2)
        place.keeper.close()
