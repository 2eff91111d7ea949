"""One service's parent: starts it, keeps its output, and ends all of its tree when it has ended or shall end.

A process of its own, forked by the keeper, for three reasons: as a subreaper it gets every child that the service lets go (two services
under one parent could not be told apart), the service's output has a reader that does not die with the keeper, and a new keeper finds it by
its lock.
SIGTERM: end the tree politely. SIGUSR1: end it now.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import time
from dataclasses import dataclass
from typing import NoReturn

from sparki_daemon.loco.keeper import leftovers
from sparki_daemon.loco.keeper.service_log import ServiceLog
from sparki_daemon.runner.mask import Masker
from sparki_daemon.system import files, held, process

ALREADY = 75  # exit status of a minder that finds another one for the same release
LEFT_GRACE_S = 2.0  # for what a service leaves behind when it ends by itself
LIMITS = {
    "memory_bytes": resource.RLIMIT_AS,
    "files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "cpu_s": resource.RLIMIT_CPU,
    "core_bytes": resource.RLIMIT_CORE,
    "file_bytes": resource.RLIMIT_FSIZE,
}


@dataclass(frozen=True)
class Start:
    """What a minder is to start. `folder` is the service's own, relative to the environment's."""

    folder: str
    log: str
    command: str
    cwd: str
    environment: dict[str, str]
    limits: dict[str, int]
    hidden: tuple[str, ...] = ()  # values that its log is not to show


def lock_path(folder: str) -> str:
    """The file whose lock a minder holds for its life; it says who that is."""
    return os.path.join(folder, "minder.lock")


def exit_path(folder: str) -> str:
    """The record of how a service ended."""
    return os.path.join(folder, "exit.json")


def mind(start: Start) -> NoReturn:
    """Be the minder, in a process that the keeper has just forked; no descriptor of it above 2 is kept."""
    status = 1
    try:
        status = Minder(start).run()
    finally:
        os._exit(status)


class Minder:
    """The process's whole work."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.main = 0
        self.main_status: int | None = None
        self.asked_to_end = False
        self.kill_at: float | None = None  # monotonic: when politeness ends
        os.setsid()
        process.become_subreaper()
        signal.set_wakeup_fd(-1)
        os.closerange(3, 4096)
        self.wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._polite)
        signal.signal(signal.SIGUSR1, self._now)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _polite(self, *_: object) -> None:
        self.asked_to_end = True
        self._signal_all(signal.SIGTERM)

    def _now(self, *_: object) -> None:
        self.asked_to_end = True
        self.kill_at = 0.0

    def run(self) -> int:
        if held.take(lock_path(self.start.folder)) is None:
            return ALREADY
        with contextlib.suppress(FileNotFoundError):
            os.unlink(exit_path(self.start.folder))
        log = ServiceLog(self.start.log)
        output = -1
        if not self.asked_to_end:
            output = self._spawn()
        self._follow(output, log)
        record = {"status": self.main_status, "asked": self.asked_to_end, "log_bytes_dropped": log.dropped_bytes}
        files.write_atomic(exit_path(self.start.folder), json.dumps(record).encode(), durable=False)
        return 0

    def _spawn(self) -> int:
        """Start the service; the descriptor that its output comes from."""
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        self.main = os.fork()
        if self.main == 0:
            self._become_service(write_fd)
        os.close(write_fd)
        os.set_blocking(read_fd, False)
        if self.asked_to_end:  # a signal between the question and the fork
            self._signal_all(signal.SIGTERM)
        return read_fd

    def _become_service(self, output: int) -> NoReturn:
        step = "start a session"
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            with contextlib.suppress(OSError):  # a full disk keeps no service from running
                leftovers.note(self.start.folder)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            for name, value in self.start.limits.items():
                step = f"set the limit {name}"
                resource.setrlimit(LIMITS[name], (value, value))
            step = f"enter {self.start.cwd}"
            os.chdir(self.start.cwd)
            step = "start /bin/sh"
            os.execve("/bin/sh", ["/bin/sh", "-c", self.start.command], self.start.environment)
        except (OSError, ValueError) as error:
            os.write(2, f"sparki: can't {step}: {error}\n".encode())
        finally:
            os._exit(127)

    def _follow(self, output: int, log: ServiceLog) -> None:
        """Copy the output and reap until nobody is left."""
        masker = Masker(self.start.hidden)
        poller = select.poll()
        poller.register(self.wake_read, select.POLLIN)
        if output >= 0:
            poller.register(output, select.POLLIN)
        while self._reap():
            for fd, _ in poller.poll(self._wait_ms()):
                if fd == self.wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 4096)
                elif _copy(fd, log, masker) == 0:
                    poller.unregister(fd)
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self._signal_all(signal.SIGKILL)
        while output >= 0 and _copy(output, log, masker) > 0:
            pass
        log.write(masker.flush())

    def _wait_ms(self) -> float | None:
        if self.kill_at is None:
            return None
        return max(20.0, (self.kill_at - time.monotonic()) * 1000)  # what forks while it is killed is killed in the next turn

    def _reap(self) -> bool:
        """Take what ended; False when nothing is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.main_status = os.waitstatus_to_exitcode(status)
                self._signal_all(signal.SIGTERM)
                if self.kill_at is None and not self.asked_to_end:
                    self.kill_at = time.monotonic() + LEFT_GRACE_S

    def _signal_all(self, number: int) -> None:
        for pid in process.descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _copy(fd: int, log: ServiceLog, masker: Masker) -> int:
    """Move what is there; how much that was: 0 at the end, -1 when nothing is there now."""
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return -1
    except OSError:
        return 0
    if data:
        log.write(masker.feed(data))
    return len(data)
