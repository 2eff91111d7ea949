"""`sparki daemon …` against a stand-in; tests/e2e has the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_stories import GREEN, Program, serve_run
from stand_in import Reply, Request, StandIn, answers

from sparki_cli.connect import is_busy
from sparki_cli.daemon import picture_of
from sparki_cli.render import Output
from sparki_cli.view import milliseconds
from sparki_daemon.client.version import VERSION

Golden = Callable[[str, str], None]
NOON = "2026-11-23T12:00:00.000Z"


def status(*, version: str = VERSION, job: str | None = None, builds: int = 0, since: str = NOON) -> dict[str, Any]:
    processes = {
        "supervisor": {"pid": 10, "since": NOON, "pss": 7_500_000},
        "engine": {"pid": 11, "since": since, "pss": 25_000_000},
        "loco": None,
        "runners": [{"pid": 12, "job": job}],
    }
    return {"version": version, "socket": "/s", "state": "running", "processes": processes, "queues": {"builds": builds, "deployments": 0}}


def test_the_status_is_told_for_people_and_scripts(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    stand_in.on("GET", "/v1/daemon", answers(status()))
    assert json.loads(sparki("daemon", "status", "--json").stdout) == status()
    golden("daemon_status.txt", picture_of(Output(), status(job="j-1", builds=3), milliseconds("2026-11-23T12:01:05.000Z")))


def test_a_full_disk_is_told_with_what_is_left_of_each(golden: Golden) -> None:
    full = {**status(job="j-1"), "disk": {"home_free_bytes": 4096, "memory_free_bytes": 52_428_800, "full": True}}
    told = picture_of(Output(), full, milliseconds("2026-11-23T12:01:05.000Z"))
    golden("daemon_status_full.txt", told)
    roomy = {**full, "disk": {"home_free_bytes": 10**12, "memory_free_bytes": None, "full": False}}
    assert "disk" not in picture_of(Output(), roomy, 0)
    unknown = {**full, "disk": {"home_free_bytes": 0, "memory_free_bytes": None, "full": True}}
    assert "(home 0.0 MiB, memory ? free)" in picture_of(Output(), unknown, 0)


def test_the_status_of_no_daemon_starts_none(sparki: Program, home: Path) -> None:
    done = sparki("daemon", "status")
    assert (done.returncode, done.stdout) == (3, f"○ not running  {home}\n")
    told = json.loads(sparki("daemon", "status", "--json").stdout)
    assert told.keys() >= status().keys()
    assert told["state"] == "stopped"
    assert list(home.iterdir()) == []


def test_starting_a_running_daemon_is_its_status(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/daemon", answers(status()))
    assert json.loads(sparki("daemon", "start", "--json").stdout) == status()


@pytest.fixture
def sleeper(home: Path, stand_in: StandIn) -> Any:
    """A process that stands for the daemon's own, and ends when it is asked to stop."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    told = json.loads((home / "daemon.json").read_text())
    (home / "daemon.json").write_text(json.dumps({**told, "pid": process.pid}))
    yield process
    process.kill()
    process.wait()


def test_stopping_waits_until_the_process_is_gone(sparki: Program, stand_in: StandIn, sleeper: subprocess.Popen[bytes]) -> None:
    def stop(request: Request, reply: Reply) -> None:
        reply.json({}, 202)
        threading.Timer(0.3, sleeper.kill).start()

    stand_in.on("POST", "/v1/daemon/stop", stop)
    done = sparki("daemon", "stop")
    assert (done.returncode, done.stdout) == (0, "the daemon has stopped\n")
    assert sleeper.wait(0) == -signal.SIGKILL
    assert stand_in.requests[-1].body == {"force": False}


def test_a_daemon_that_is_gone_before_its_answer_has_stopped_too(
    sparki: Program, stand_in: StandIn, sleeper: subprocess.Popen[bytes]
) -> None:
    def stop(*_: object) -> None:
        stand_in.stop()
        sleeper.kill()

    stand_in.on("POST", "/v1/daemon/stop", stop)
    assert sparki("daemon", "stop", "--json").stdout == '{"state": "stopped"}\n'


def test_a_busy_daemon_refuses_to_stop_unless_forced(sparki: Program, stand_in: StandIn, sleeper: subprocess.Popen[bytes]) -> None:
    def stop(request: Request, reply: Reply) -> None:
        if request.body["force"]:
            sleeper.kill()
            reply.json({}, 202)
        else:
            reply.problem("runs_active", 409, 1, "2 runs are active", "sparki daemon stop --force")

    stand_in.on("POST", "/v1/daemon/stop", stop)
    done = sparki("daemon", "stop")
    assert (done.returncode, done.stderr) == (1, "error: 2 runs are active\nhint: sparki daemon stop --force\n")
    assert sleeper.poll() is None
    assert sparki("daemon", "stop", "--force").returncode == 0


@pytest.mark.parametrize(("status_code", "exit_code", "words"), [(500, 1, []), (503, 3, ["--force"])])
def test_a_daemon_whose_engine_can_not_answer_is_stopped_by_a_signal(
    sparki: Program, stand_in: StandIn, sleeper: subprocess.Popen[bytes], status_code: int, exit_code: int, words: list[str]
) -> None:
    stand_in.on("POST", "/v1/daemon/stop", lambda _, reply: reply.problem("state_corrupt", status_code, exit_code))
    assert sparki("daemon", "stop", *words).returncode == 0
    assert sleeper.wait(5) == -signal.SIGTERM


def test_a_daemon_that_does_not_answer_is_stopped_with_force_only(
    sparki: Program, stand_in: StandIn, sleeper: subprocess.Popen[bytes]
) -> None:
    stand_in.on("POST", "/v1/daemon/stop", lambda _, reply: reply.problem("daemon_unreachable", 503, 3))
    assert sparki("daemon", "stop").returncode == 3
    assert sleeper.poll() is None


def test_stopping_what_does_not_run_is_done_at_once(sparki: Program) -> None:
    assert sparki("daemon", "stop").stdout == "the daemon is not running\n"


def test_a_restart_waits_for_the_next_engine(sparki: Program, stand_in: StandIn) -> None:
    asked: list[float] = []

    def now(_: Request, reply: Reply) -> None:
        again = bool(asked) and time.monotonic() - asked[0] > 0.2
        reply.json(status(since="2026-11-23T12:30:00.000Z" if again else NOON))

    def restart(_: Request, reply: Reply) -> None:
        asked.append(time.monotonic())
        reply.json({}, 202)

    stand_in.on("GET", "/v1/daemon", now)
    stand_in.on("POST", "/v1/daemon/restart", restart)
    told = json.loads(sparki("daemon", "restart", "--json").stdout)
    assert told["processes"]["engine"]["since"] == "2026-11-23T12:30:00.000Z"


def test_the_daemons_log_is_its_last_lines(sparki: Program, home: Path) -> None:
    assert sparki("daemon", "logs").stdout == ""
    (home / "daemon.log").write_bytes(b"".join(b"line %d\n" % number for number in range(300)) + b"\xff")
    assert sparki("daemon", "logs", "-n", "2").stdout == "line 299\n\ufffd\n"
    assert len(sparki("daemon", "logs").stdout.splitlines()) == 100
    assert json.loads(sparki("daemon", "logs", "-n", "1", "--json").stdout) == {"text": "\ufffd"}


def test_the_daemons_log_is_followed_even_when_it_is_replaced(sparki: Program, home: Path) -> None:
    log = home / "daemon.log"
    log.write_text("old\n")
    process = sparki.start("daemon", "logs", "-f")
    assert process.stdout is not None
    assert process.stdout.readline() == b"old\n"
    time.sleep(0.3)
    with log.open("a") as file:
        file.write("new\nhal")
        file.flush()
        assert process.stdout.readline() == b"new\n"
        file.write("f\n")
    assert process.stdout.readline() == b"half\n"
    (home / "other").write_text("a\n")
    os.replace(home / "other", log)
    assert process.stdout.readline() == b"a\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


# -- versions -------------------------------------------------------------------------------------------------------------------


def aged(stand_in: StandIn, version: str, **busy: Any) -> list[str]:
    """A daemon of another version, which a restart renews; returns what was asked of it."""
    asked: list[str] = []
    stand_in.tell(version)
    serve_run(stand_in, GREEN)
    stand_in.on("GET", "/v1/daemon", answers(status(version=version, **busy)))

    def restart(_: Request, reply: Reply) -> None:
        asked.append("restart")
        reply.json({}, 202)
        threading.Timer(0.1, stand_in.tell, [VERSION]).start()

    stand_in.on("POST", "/v1/daemon/restart", restart)
    return asked


def test_a_newer_program_restarts_an_idle_daemon(sparki: Program, stand_in: StandIn) -> None:
    asked = aged(stand_in, "0.0.9")
    done = sparki("run")
    assert (done.returncode, done.stderr, asked) == (0, "", ["restart"])


@pytest.mark.parametrize("busy", [{"job": "j-1"}, {"builds": 2}])
def test_a_newer_program_leaves_a_busy_daemon_alone_and_says_so(sparki: Program, stand_in: StandIn, busy: dict[str, Any]) -> None:
    asked = aged(stand_in, "0.0.9", **busy)
    done = sparki("run")
    assert (done.returncode, asked) == (0, [])
    assert done.stderr == "note: the daemon is still version 0.0.9: it is busy; `sparki daemon restart` when it suits you\n"


def test_an_older_program_goes_on(sparki: Program, stand_in: StandIn) -> None:
    asked = aged(stand_in, "99.0.0")
    done = sparki("run")
    assert (done.returncode, done.stderr, asked) == (0, "", [])


@pytest.mark.parametrize(
    ("told", "busy"),
    [
        ({}, False),
        (status(), False),
        (status(job="j"), True),
        (status(builds=1), True),
        ({"queues": {"builds": 0, "deployments": 3}}, False),
    ],
)
def test_busy_is_a_job_that_runs_or_waits(told: dict[str, Any], busy: bool) -> None:
    assert is_busy(told) is busy
