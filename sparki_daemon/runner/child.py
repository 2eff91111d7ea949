"""The process of a step: started, waited for without blocking, asked to stop and made to."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.runner.loop import READ, Loop
from sparki_daemon.system.process import die_with
from sparki_daemon.system.tree import kill_tree, reap

# Python ignores these; a program that is started expects them to be as they are by default.
_AS_BY_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
_REAP_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds where it says so. Source: actions/runner, ProcessInvoker; GitHub's defaults."""

    interrupt_s: float = 7.5  # between SIGINT and SIGTERM
    terminate_s: float = 2.5  # between SIGTERM and SIGKILL
    cleanup_s: float = 300.0  # for what still runs after a cancel, in all
    left_over_s: float = 0.25  # between SIGTERM and SIGKILL for what steps left behind
    minute_s: float = 60.0
    job_minutes: int = 360


class Child:
    """One process that a step consists of. `status` is its wait status once it has ended."""

    def __init__(self, loop: Loop, pid: int, limits: Limits) -> None:
        self.pid = pid
        self.status: int | None = None
        self.stopping = False
        self._loop = loop
        self._limits = limits
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            kill_tree(pid)
            os.waitpid(pid, 0)
            raise
        loop.watch(self._pidfd, READ, self._ended)
        loop.after("reap", _REAP_EVERY_S, self._reap_orphans)

    def stop(self) -> None:
        """Ask it to end: SIGINT to itself only, later SIGTERM, at last SIGKILL to its whole tree."""
        if not self.stopping and self.status is None:
            self.stopping = True
            self._signal(signal.SIGINT)
            self._loop.after("ladder", self._limits.interrupt_s, self._terminate)

    def kill(self) -> None:
        """End it and its tree now."""
        self.stopping = True
        if self.status is None:
            kill_tree(self.pid)

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        self._loop.after("ladder", self._limits.terminate_s, self.kill)

    def _signal(self, number: int) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _ended(self) -> None:
        if self.status is not None:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self._loop.forget(self._pidfd)
        os.close(self._pidfd)
        self._loop.drop("ladder")
        self._loop.drop("reap")
        self.status = status
        if self.stopping:  # what it had in the foreground would go on without it
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def _reap_orphans(self) -> None:
        """Take what ended among the orphans that came here, or a long step could fill the process table."""
        reap(keep=(self.pid,))
        self._loop.after("reap", _REAP_EVERY_S, self._reap_orphans)


def spawn(command: list[str], env: Mapping[str, str], folder: str, output_fd: int) -> int:
    """Start a program, its path first, in a session of its own: no input, all output to `output_fd`. Gives its pid.

    Raises OSError (no such folder or program, list of arguments too long) and ValueError (a variable that can't be one).
    """
    os.chdir(folder)  # the whole runner goes there: posix_spawn can't, and a runner has one job
    return os.posix_spawn(
        command[0],
        command,
        env,
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output_fd, 1),
            (os.POSIX_SPAWN_DUP2, output_fd, 2),
        ),
        setsid=True,
        setsigdef=_AS_BY_DEFAULT,
        setsigmask=(),
    )


def fork(work: Callable[[], int], env: Mapping[str, str], folder: str, output_fd: int) -> int:
    """Run `work` in a copy of this process that holds nothing of the runner's; its result is the exit code. Gives its pid."""
    os.chdir(folder)
    runner = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        die_with(runner)  # the mark in its environment is not seen from outside: no sweep would find it
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output_fd, 1)
        os.dup2(output_fd, 2)
        os.closerange(3, 65536)  # the runner's lock must end with the runner, not with this
        for number in _AS_BY_DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(env)
        code = work()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(1, f"Error: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def exit_code(status: int) -> int:
    """What a shell would call the end of a process: its exit code, or 128 and the number of the signal that killed it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
