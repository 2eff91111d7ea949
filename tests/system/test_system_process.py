"""Who a process is, whose children it has, and how a tree of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from sparki_daemon.system import process
from sparki_daemon.system.clock import now_ms, rfc3339
from sparki_daemon.system.tree import end_children, has_children, kill_tree, reap


def apart(work: Callable[[], None]) -> int:
    """Do `work` in a process of its own that is a subreaper; its exit code, 1 for an exception."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            process.become_subreaper()
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sh(script: str) -> int:
    return os.posix_spawn("/bin/sh", ["sh", "-c", script], os.environ, setsid=True)


def until_asleep(*seconds: str) -> None:
    """Wait until below us each of these sleeps, on a busy machine too."""
    deadline = time.monotonic() + 20
    while not {*seconds} <= {line[-1] for pid in process.descendants() if (line := process.command_line(pid))}:
        assert time.monotonic() < deadline


def test_a_process_is_itself_and_no_other() -> None:
    me = process.identity(os.getpid())

    assert process.alive(me)
    assert not process.alive(replace(me, start=me.start - 1))
    assert not process.alive(replace(me, boot="another"))
    assert not process.alive(replace(me, boot=""))


def test_nobody_has_no_identity() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with pytest.raises(ProcessLookupError):
        process.identity(ended.pid)
    assert process.name_of(ended.pid) == ""
    assert process.command_line(ended.pid) == []
    assert process.pss_bytes(ended.pid) is None


def test_one_that_waits_to_be_reaped_is_dead() -> None:
    pid = sh("exit 0")
    deadline = time.monotonic() + 10
    while not process.is_zombie(pid):
        assert time.monotonic() < deadline
    try:
        assert process.start_time(pid) is None
    finally:
        os.waitpid(pid, 0)


def test_a_name_with_brackets_and_blanks_does_not_confuse(tmp_path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as sleeper:
        try:
            deadline = time.monotonic() + 10
            while process.name_of(sleeper.pid) != "a) S 1 (b":
                assert time.monotonic() < deadline
            assert process.start_time(sleeper.pid)
            assert sleeper.pid in process.children()
            assert sleeper.pid in process._children_by_scan(os.getpid())
        finally:
            sleeper.kill()


def test_the_memory_of_a_process_is_told() -> None:
    size = process.pss_bytes()

    assert size
    assert size > 1024 * 1024


def test_descendants_are_all_below() -> None:
    def work() -> None:
        sh("sh -c 'sleep 60 & wait' & wait")
        deadline = time.monotonic() + 10
        while len(process.descendants()) < 3:
            assert time.monotonic() < deadline
        end_children(term_s=0)

    assert apart(work) == 0


def test_all_children_end_however_they_escaped_and_are_named() -> None:
    def work() -> None:
        sh("(setsid sleep 61 &) ; setsid sh -c 'trap \"\" TERM; sleep 62; sleep 63' & env -i sleep 64 & sleep 0.1")
        until_asleep("61", "62", "64")
        names = end_children(term_s=0.05)
        assert set(names) == {"sleep", "sh"}, names
        assert not has_children()
        assert end_children() == []

    assert apart(work) == 0


def test_children_to_keep_are_kept_with_what_is_below_them() -> None:
    def work() -> None:
        kept = sh("sleep 65 & wait")
        sh("exec sleep 66")
        until_asleep("65", "66")
        below = process.children(kept)
        assert end_children({kept}, term_s=0.05) == ["sleep"]
        assert process.children() == [kept]
        assert below
        assert process.start_time(below[0])
        end_children(term_s=0)

    assert apart(work) == 0


def test_a_tree_is_killed_and_its_parent_is_told_by_what() -> None:
    def work() -> None:
        pid = sh("trap '' TERM INT; setsid sleep 67 & sleep 68 & wait")
        until_asleep("67", "68")
        kill_tree(pid)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        deadline = time.monotonic() + 10
        while has_children():
            reap()
            assert time.monotonic() < deadline

    assert apart(work) == 0


def test_reaping_takes_what_has_ended_and_does_not_wait() -> None:
    def work() -> None:
        kept, other, alive = sh("exit 3"), sh("exit 4"), sh("exec sleep 69")
        deadline = time.monotonic() + 10
        while not (process.is_zombie(kept) and process.is_zombie(other)):
            assert time.monotonic() < deadline
        assert {pid: os.waitstatus_to_exitcode(status) for pid, status in reap({kept}).items()} == {other: 4}
        assert {pid: os.waitstatus_to_exitcode(status) for pid, status in reap().items()} == {kept: 3}
        assert process.children() == [alive]
        end_children(term_s=0)
        assert reap() == {}

    assert apart(work) == 0


@pytest.mark.skipif(not process.pid_namespaces_work(), reason="PID namespaces need root, and a system that gives them")
def test_a_child_in_a_namespace_is_its_first_process_and_knows_its_name_outside() -> None:
    read_fd, write_fd = os.pipe()

    def tell() -> None:
        os.write(write_fd, f"{os.getpid()} {process.outer_pid()} {os.listdir('/proc').count('1')}".encode())

    pid = process.fork_in_pid_namespace(tell)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert os.read(read_fd, 100).decode() == f"1 {pid} 1"
    finally:
        os.close(read_fd)
        os.close(write_fd)


@pytest.mark.skipif(not process.pid_namespaces_work(), reason="PID namespaces need root, and a system that gives them")
def test_after_a_namespace_was_made_children_are_ordinary_again_and_proc_is_the_old_one() -> None:
    os.waitpid(process.fork_in_pid_namespace(lambda: None), 0)
    with subprocess.Popen([sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert int(child.stdout.read()) == child.pid
    assert int(os.readlink("/proc/self")) == os.getpid() == process.outer_pid()


@pytest.mark.skipif(not process.pid_namespaces_work(), reason="PID namespaces need root, and a system that gives them")
def test_a_child_in_a_namespace_that_raises_exits_with_70(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    pid = process.fork_in_pid_namespace(fail)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 70


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_007, "2023-11-14T22:13:20.007Z"), (951_782_400_999, "2000-02-29T00:00:00.999Z")],
)
def test_a_time_for_people(ms: int, text: str) -> None:
    assert rfc3339(ms) == text


def test_now_is_between_before_and_after() -> None:
    assert time.time() * 1000 - 1 <= now_ms() <= time.time() * 1000 + 1
