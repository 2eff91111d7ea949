"""One daemon a state folder: started once, restarted in mid-run, stopped when asked; nothing stale is believed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from death_bench import Bench, supervisors

from sparki_daemon.system import nonce, process


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with it, and must live on."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    assert process.poll() is None
    process.kill()
    process.wait()


def test_two_runs_at_once_on_a_cold_folder_start_one_daemon(bench: Bench) -> None:
    followers = [bench.follower(), bench.follower(), bench.follower()]

    assert [follower.ends() for follower in followers] == [0, 0, 0]
    assert len(supervisors(bench.home)) == 1
    assert len({follower.run() for follower in followers}) == 3


def test_a_daemon_file_of_a_dead_daemon_with_a_pid_used_again_is_not_believed(bench: Bench, innocent: subprocess.Popen[bytes]) -> None:
    bench.home.mkdir(mode=0o700)
    path = bench.home / "daemon.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    told = {"socket": str(path), "pid": innocent.pid, "start": 1, "boot": "another", "version": "0.0.1"}
    (bench.home / "daemon.json").write_text(json.dumps(told))

    assert bench.sparki("run").returncode == 0
    assert json.loads((bench.home / "daemon.json").read_text())["pid"] == bench.supervisor() != innocent.pid


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"null", b'{"socket": 7}', b"\xff\xfe"])
def test_a_daemon_file_that_says_nothing_is_no_daemon(bench: Bench, garbage: bytes) -> None:
    bench.home.mkdir(mode=0o700)
    (bench.home / "daemon.json").write_bytes(garbage)

    assert bench.sparki("daemon", "start").returncode == 0


def test_locks_and_spools_of_an_earlier_boot_are_taken_for_dead(bench: Bench, innocent: subprocess.Popen[bytes]) -> None:
    for folder in ("runners", "spool", "work/r-0badcafe/j-0badcafe-0.1", "work/.spare-old-1"):
        (bench.home / folder).mkdir(mode=0o700, parents=True)
    lock = {"pid": innocent.pid, "start": process.start_time(innocent.pid), "boot": "an-earlier-boot", "proto": 1}
    record = {"kind": "job.started", "job": "j-0badcafe-0", "epoch": 1, "t": 1}
    (bench.home / "runners/old-1.lock").write_text(json.dumps(lock))
    (bench.home / "runners/old-1.sock").touch()
    (bench.home / "runners/empty.lock").touch()
    (bench.home / "spool/old-1").write_text(json.dumps(record) + '\n{"kind": "job.fini')
    (bench.home / "spool/garbage").write_bytes(b"\0\xff\n[1]\n7\n{}\n")

    follower = bench.follower()
    assert follower.ends() == 0
    bench.check(follower.run())
    bench.until(lambda: not (bench.home / "spool/old-1").exists(), "the end of the old spool")
    bench.until(lambda: not (bench.home / "spool/garbage").exists(), "the end of the spool of garbage")
    assert not [path for path in (bench.home / "runners").iterdir() if path.stem in ("old-1", "empty")]


@pytest.mark.parametrize("traces", ["left", "gone"])
def test_after_a_reboot_what_had_begun_is_lost_and_the_rest_goes_on(bench: Bench, innocent: subprocess.Popen[bytes], traces: str) -> None:
    run = json.loads(bench.sparki("run", "--detach", "--json").stdout)["run"]
    bench.until(bench.wrote, "a line")
    bench.kill("all")
    bench.until(lambda: not bench.runners(), "the end of the runners")
    for path in (bench.home / "runners").glob("*.lock"):
        lock = json.loads(path.read_text())
        path.write_text(json.dumps({**lock, "pid": innocent.pid, "boot": "an-earlier-boot"}))
    if traces == "gone":
        shutil.rmtree(bench.home / "runners")
        shutil.rmtree(bench.home / "spool")

    shown = bench.check(run)
    assert shown["status"] == "lost"
    assert {job["status"] for job in shown["jobs"]} <= {"lost", "success", "skipped"}
    assert bench.sparki("retry", run, "--failed").returncode == 0


def test_jobs_go_on_while_the_daemon_restarts(bench: Bench) -> None:
    follower = bench.follower()
    bench.until(bench.wrote, "a line")
    supervisor, before = bench.supervisor(), bench.engine()
    bench.sparki("daemon", "restart")

    assert follower.ends() == 0
    assert bench.check(follower.run())["status"] == "success"
    assert bench.supervisor() == supervisor
    assert bench.engine() != before


def test_a_busy_daemon_does_not_stop_unless_forced_and_then_cancels(bench: Bench) -> None:
    bench.write_workflow("on: push\njobs:\n  long:\n    runs-on: ubuntu-latest\n    steps:\n      - run: touch $HOME/x; sleep 600\n")
    follower = bench.follower()
    run = follower.run()
    bench.until(lambda: bench.show(run)["status"] == "running", "the run's beginning")

    refused = bench.sparki("daemon", "stop", ok=False)
    assert refused.returncode == 1
    assert run in refused.stderr
    assert bench.engine()

    bench.sparki("daemon", "stop", "--force")
    assert not supervisors(bench.home)
    assert not bench.runners()
    assert not (bench.home / "daemon.json").exists()
    assert follower.ends() == 1
    assert bench.check(run)["status"] == "cancelled"


def test_a_stopped_daemon_leaves_no_process_and_no_folder_of_a_job(bench: Bench) -> None:
    bench.sparki("run")
    bench.sparki("daemon", "stop")

    assert not supervisors(bench.home)
    assert not bench.runners()
    assert not bench.left_folders()
    assert not bench.strays()
    assert not Path(nonce.memory_folder(str(bench.home))).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    shared = Path(tempfile.mkdtemp(dir="/tmp"))
    bench.home = shared / "home"
    bench.env["SPARKI_HOME"] = str(bench.home)
    try:
        bench.sparki("daemon", "start")
        for path, mode in ((shared, 0o755), (bench.home, 0o755), (bench.home / "daemon.sock", 0o666)):
            path.chmod(mode)  # as if somebody had opened all the doors
        ask = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "s.sendall(b'GET /v1/daemon HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'); print(s.recv(65536).decode())"
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ask, str(bench.home / "daemon.sock")], user=65534, capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("HTTP/1.1 403"), done
        assert "not_same_user" in done.stdout
    finally:
        bench.end()
        shutil.rmtree(shared)


def test_the_engine_comes_back_after_each_of_many_deaths(bench: Bench) -> None:
    bench.sparki("daemon", "start")
    seen = set()
    for _ in range(4):
        engine = bench.until(bench.engine, "an engine")
        seen.add(engine)
        os.kill(engine, signal.SIGKILL)
        assert bench.json("daemon", "status")["processes"]["engine"]["pid"] not in seen
    assert bench.sparki("run").returncode == 0


def test_a_stopped_runner_that_goes_on_changes_nothing_twice(bench: Bench) -> None:
    follower = bench.follower()
    bench.until(bench.wrote, "a line")
    runner = bench.busy_runner()
    os.kill(runner, signal.SIGSTOP)
    bench.kill("engine")
    bench.until(lambda: bench.json("daemon", "status")["state"] == "running", "the next engine")
    os.kill(runner, signal.SIGCONT)

    assert follower.ends() == 0
    assert bench.check(follower.run())["status"] == "success"
