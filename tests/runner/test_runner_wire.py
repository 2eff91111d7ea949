"""The runner and its builder: nothing is lost and nothing comes twice, whoever comes, goes, or stands still."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import resource
import signal
import stat
import time
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.model.wire import PROTOCOL, Frame
from sparki_daemon.system import files, process


def spooled(runner: Driver) -> list[dict]:
    data = (runner.home / "spool" / runner.name).read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]  # a long record may be seen half written


def wait_until(true, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_runner_says_who_it_is(runner: Driver) -> None:
    who = process.identity(runner.pid)

    assert runner.hello == {
        "protocol": PROTOCOL, "runner": "r1", "pid": who.pid, "start": who.start, "boot": who.boot, "job": None, "epoch": None, "spool": 0,
    }  # fmt: skip


def test_its_lock_file_says_it_too_and_is_held(runner: Driver) -> None:
    path = runner.home / "runners" / "r1.lock"
    who = process.identity(runner.pid)

    assert json.loads(path.read_text()) == {"pid": who.pid, "start": who.start, "boot": who.boot, "proto": PROTOCOL}
    assert files.is_locked(str(path))


def test_its_socket_is_for_its_owner_only(runner: Driver) -> None:
    assert stat.S_IMODE(os.stat(runner.home / "runners" / "r1.sock").st_mode) == 0o600


def test_a_runner_in_a_namespace_gives_the_pid_that_others_see(tmp_path: Path) -> None:
    if not process.pid_namespaces_work():
        pytest.skip("PID namespaces need root, and a system that gives them")
    driver = Driver(tmp_path / "home", namespace=True).start()
    try:
        assert driver.hello["pid"] == driver.pid
        assert driver.hello["start"] == process.start_time(driver.pid)
        assert "\nself=2\n" in driver.do("echo self=$$; test -d /proc/1").log
    finally:
        driver.stop()


def test_a_job_that_is_held_is_named_to_the_next_builder(runner: Driver) -> None:
    job = runner.assign("sleep 0.5", epoch=3)
    runner.wait_for("job.started", job)
    runner.disconnect()
    runner.connect()

    assert (runner.hello["job"], runner.hello["epoch"]) == (job, 3)
    assert runner.hello["spool"] == runner.offset
    assert runner.result(job).end["result"] == "success"


def test_a_step_is_in_the_spool_before_it_runs(runner: Driver) -> None:
    spool = runner.home / "spool" / "r1"
    done = runner.do(f"tail -n 1 {spool}", f"tail -n 2 {spool}")

    first = json.loads(done.text(0).splitlines()[1])
    before, second = map(json.loads, done.text(1).splitlines()[1:3])
    assert (first["kind"], first["step"]) == ("step.started", 0)
    assert (before["kind"], before["step"]) == ("step.finished", 0)
    assert (second["kind"], second["step"]) == ("step.started", 1)


def test_no_record_comes_before_it_is_asked_for(runner: Driver) -> None:
    runner.disconnect()
    runner.connect(resume=None)
    job = runner.assign("true")
    wait_until(lambda: spooled(runner) and spooled(runner)[-1]["kind"] == "job.finished")

    assert not runner.receive(0.1)
    runner.send(Frame.RESUME, {"from": 0})
    assert runner.result(job).end["result"] == "success"


def test_a_job_goes_on_without_a_builder_and_nothing_is_lost(runner: Driver) -> None:
    job = runner.assign("true", "true", "sleep 0.2", "true")
    runner.wait_for("step.started", job, step=1)
    runner.disconnect()
    wait_until(lambda: spooled(runner)[-1]["kind"] == "job.finished")
    runner.connect()
    runner.result(job)

    assert runner.records == spooled(runner)


def test_records_come_once_from_whichever_place_they_are_asked(runner: Driver) -> None:
    runner.do("true", "echo x", "exit 1")
    whole = (runner.home / "spool" / "r1").read_bytes()
    borders = [0, *[index + 1 for index, byte in enumerate(whole) if byte == 10]]
    for border in borders[:-1]:
        runner.disconnect()
        runner.records, runner.frames = [], []
        runner.connect(resume=border)
        while runner.offset < len(whole):
            assert runner.receive()
        assert runner.records == [json.loads(line) for line in whole[border:].splitlines()]
    runner.disconnect()
    runner.connect(resume=len(whole))
    assert not runner.receive(0.05)


def test_a_builder_that_dies_again_and_again_gets_each_record_once(runner: Driver) -> None:
    job = runner.assign(*["true"] * 60)
    dice = random.Random(7)
    while not (runner.records and runner.records[-1]["kind"] == "job.finished"):
        runner.receive(dice.random() * 0.01)
        if dice.random() < 0.5:
            runner.disconnect()
            runner.connect()

    assert runner.records == spooled(runner)
    assert [record["step"] for record in runner.result(job).steps] == list(range(60))


def test_a_stopped_builder_does_not_stop_a_job(runner: Driver) -> None:
    """It takes nothing: its socket is full after some 200 KiB of records."""
    job = runner.assign(*[step("true", name="x" * 4000) for _ in range(120)])
    wait_until(lambda: bool(spooled(runner)) and spooled(runner)[-1]["kind"] == "job.finished", 30)

    assert runner.result(job).end["result"] == "success"
    assert runner.records == spooled(runner)


def test_a_new_builder_takes_the_place_of_the_old_one(runner: Driver) -> None:
    old = runner.connection
    runner.connect()
    assert old
    old.settimeout(5)

    with contextlib.suppress(ConnectionResetError):  # what it had sent was not read
        assert old.recv(10) == b""
    old.close()
    assert runner.do("true").end["result"] == "success"


def test_what_was_given_ahead_is_forgotten_with_its_builder(runner: Driver) -> None:
    first = runner.assign("sleep 0.3")
    ahead = runner.spec("true")
    runner.send(Frame.ASSIGN, ahead)
    runner.wait_for("job.started", first)
    runner.disconnect()
    runner.connect()
    runner.result(first)
    assert not [record for record in spooled(runner) if record["job"] == ahead["job"]]

    ahead["epoch"] = 2
    runner.send(Frame.ASSIGN, ahead)
    assert {record["epoch"] for record in runner.result(ahead["job"]).records} == {2}


def test_an_assignment_that_comes_twice_is_done_once(runner: Driver) -> None:
    spec = runner.spec("sleep 0.2")
    for _ in range(3):
        runner.send(Frame.ASSIGN, spec)
    runner.result(spec["job"])
    runner.do("true")

    assert [record["job"] for record in runner.records if record["kind"] == "job.started"].count(spec["job"]) == 1


def test_a_runner_told_to_quit_ends_its_job_and_leaves_no_socket_open(runner: Driver) -> None:
    job = runner.assign("sleep 0.2")
    runner.send(Frame.QUIT, {})

    assert runner.result(job).end["result"] == "success"
    assert runner.wait_end() == 0
    assert not files.is_locked(str(runner.home / "runners" / "r1.lock"))
    assert not list((runner.home / "work").glob(".spare*"))
    assert not list((runner.home / "temp").iterdir())


def test_the_growth_of_a_log_is_told_while_somebody_watches(runner: Driver) -> None:
    spec = runner.spec("sleep 0.1; echo one; sleep 0.1; echo two; sleep 0.2")
    runner.send(Frame.WATCH, {"job": spec["job"], "on": True})
    runner.send(Frame.ASSIGN, spec)
    runner.result(spec["job"])
    told = [json.loads(body) for kind, _, body in runner.frames if kind is Frame.GREW]

    assert len(told) >= 2
    assert {one["job"] for one in told} == {spec["job"]}
    assert sorted(one["log"] for one in told) == [one["log"] for one in told]

    runner.send(Frame.WATCH, {"job": spec["job"], "on": False})
    runner.frames.clear()
    runner.do("echo three")
    assert Frame.GREW not in [kind for kind, _, _ in runner.frames]


def test_nonsense_on_the_socket_is_answered_with_its_end(runner: Driver) -> None:
    assert runner.connection
    runner.connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100)
    while runner.receive(5):
        pass
    runner.disconnect()
    runner.connect()

    assert runner.do("true").end["result"] == "success"


def test_a_builder_killed_with_unread_bytes_is_just_gone(runner: Driver) -> None:
    job = runner.assign("true", "sleep 0.1", "true")
    time.sleep(0.05)  # there are bytes in the socket that nobody reads: its end is a reset
    runner.disconnect()
    runner.connect()

    assert runner.result(job).end["result"] == "success"


def test_a_job_with_a_run_file_that_is_none_fails_and_the_runner_goes_on(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "home").start()
    try:
        spec = driver.spec("true")
        Path(spec["run_file"]).write_text("nonsense")
        driver.send(Frame.ASSIGN, spec)
        done = driver.result(spec["job"])
        assert done.end["result"] == "failure"
        assert done.end["reason"].startswith("runner_error: JSONDecodeError")
        assert driver.do("true").end["result"] == "success"
        assert "JSONDecodeError" in (driver.home / "stderr").read_text()  # for operators
    finally:
        driver.stop()


def test_two_runners_of_one_name_are_refused(runner: Driver) -> None:
    other = Driver(runner.home)
    other.pid = os.fork()
    if other.pid == 0:
        other._serve(os.open("/dev/null", os.O_RDONLY))
    assert os.waitstatus_to_exitcode(other.wait_end()) == 1
    error = (runner.home / "stderr").read_text()
    (runner.home / "stderr").write_text("")

    assert "there is another runner of that name" in error
    assert runner.do("true").end["result"] == "success"


def test_a_stopped_runner_is_alive_and_goes_on_when_continued(runner: Driver) -> None:
    job = runner.assign("sleep 0.1", "true")
    runner.wait_for("step.started", job)
    os.kill(runner.pid, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(runner.pid, signal.SIGCONT)

    assert runner.result(job).conclusions == ["success", "success"]


def test_the_lock_ends_with_the_runner(runner: Driver) -> None:
    os.kill(runner.pid, signal.SIGKILL)
    os.waitpid(runner.pid, 0)
    runner.pid = 0
    fd = os.open(runner.home / "runners" / "r1.lock", os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(fd)


def test_jobs_leave_no_descriptor_and_no_memory_behind(runner: Driver) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{runner.pid}/fd"))

    before = descriptors()
    for _ in range(5):
        runner.do("echo x; sleep 100 &", step("exit 1"))
    memory = process.pss_bytes(runner.pid) or 0
    for _ in range(40):
        runner.do("echo x; sleep 100 &", step("exit 1"))

    wait_until(lambda: descriptors() == before)  # the end of a job is told before its pipe is closed
    assert (process.pss_bytes(runner.pid) or 0) < memory + 2 * 1024 * 1024


def test_without_descriptors_a_job_fails_and_the_runner_goes_on(runner: Driver) -> None:
    few = len(os.listdir(f"/proc/{runner.pid}/fd"))
    limits = resource.prlimit(runner.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(runner.pid, resource.RLIMIT_NOFILE, (few, limits[1]))
    done = runner.do("true")
    resource.prlimit(runner.pid, resource.RLIMIT_NOFILE, limits)

    assert done.end["result"] == "failure"
    assert done.end["reason"] == "runner_error: Too many open files"
    assert runner.do("true").end["result"] == "success"


# -- links of a chain ----------------------------------------------------------------------------------------------------


def link_after(spec: dict, base: str = "one") -> dict:
    return {"job": spec["job"], "epoch": spec["epoch"], "base": base}


def test_a_link_follows_its_need_without_a_word_and_gets_its_outputs(runner: Driver) -> None:
    first = runner.spec({**step("echo word=hello >> $GITHUB_OUTPUT"), "id": "a"}, outputs={"word": "${{ steps.a.outputs.word }}"})
    second = {**runner.spec("echo ${{ needs.one.result }} ${{ needs.one.outputs.word }}"), "after": link_after(first)}
    third = {**runner.spec("echo third"), "after": link_after(second, "two")}
    for spec in (first, second, third):
        runner.send(Frame.ASSIGN, spec)

    assert runner.result(third["job"]).end["result"] == "success"
    assert "success hello" in runner.log(second["job"])
    assert [record["job"] for record in runner.records if record["kind"] == "job.started"] == [first["job"], second["job"], third["job"]]


@pytest.mark.parametrize("ending", ["exit 1", "kill -9 $$", "cancel"])
def test_links_are_given_back_where_their_need_did_not_succeed(runner: Driver, ending: str) -> None:
    first = runner.spec("sleep 5" if ending == "cancel" else ending)
    second = {**runner.spec("echo never"), "after": link_after(first)}
    third = {**runner.spec("echo never"), "after": link_after(second, "two")}
    for spec in (first, second, third):
        runner.send(Frame.ASSIGN, spec)
    if ending == "cancel":
        runner.wait_for("step.started", first["job"])
        runner.cancel(first["job"])
    runner.wait_for("job.returned", third["job"])

    assert [record["kind"] for record in runner.records if record["job"] in (second["job"], third["job"])] == ["job.returned"] * 2
    assert runner.do("echo free").end["result"] == "success"


def test_a_link_of_another_epoch_of_its_need_is_given_back(runner: Driver) -> None:
    first = runner.spec("true")
    second = {**runner.spec("echo never"), "after": {**link_after(first), "epoch": 2}}
    for spec in (first, second):
        runner.send(Frame.ASSIGN, spec)

    assert runner.wait_for("job.returned", second["job"])["epoch"] == 1
