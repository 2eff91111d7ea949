"""Starts the shells of the next steps while a step still runs: a shell's start takes longer than what short steps do in it.

A shell that waits finds a FIFO in the place of its script, and waits at its first read. Once its step's turn comes, the script is put
into that place and through the FIFO: whichever of the two the shell has opened, it reads the same. It is used only if by then nothing
that it was started with would be different, and only among steps that take a moment: it never waits longer than `LIFE_S`, so that
neither `$SECONDS` nor another program's look at the processes could tell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.runner import launch, shells
from sparki_daemon.runner.child import spawn

if TYPE_CHECKING:
    from sparki_daemon.model.plan import StepPlan
    from sparki_daemon.runner.job import Job
    from sparki_daemon.runner.loop import Loop
    from sparki_daemon.runner.step import Step

DEPTH = 2  # shells that wait: with one the next shell is still starting when it is wanted
LIFE_S = 0.2
SHORT_S = 0.05  # a step that took no longer lets expect more of its kind
MOST_BYTES = 512  # of a script: a shell reads a FIFO byte by byte
_SHELLS = (None, "bash", "sh")


@dataclass(frozen=True, slots=True)
class _Shell:
    """A shell that waits, and what it was started with."""

    pid: int
    pidfd: int
    fifo: int
    path: str
    command: list[str]
    env: dict[str, str]
    seen: tuple[tuple[int, ...], ...]  # its program and its folder, as they were
    at: float


class Ahead:
    """The waiting shells of one job."""

    def __init__(self, loop: Loop, name: str) -> None:
        self._loop = loop
        self._timer = f"ahead {name}"
        self._waiting: dict[int, _Shell] = {}  # by the step's index

    @property
    def pids(self) -> list[int]:
        """The shells that wait."""
        return [shell.pid for shell in self._waiting.values()]

    def begin(self, step: Step) -> None:
        """`step` runs now: start the shells of the next ones, and make the next job ready, if they are likely to be wanted at once."""
        job = step.job
        if job.host.last_step_s > SHORT_S or not step.is_own or step.is_post:
            return
        following = step.plan.index + 1
        self.start(job, following)
        if following == len(job.plan.steps) and not job.posts:
            job.host.look_ahead()

    def start(self, job: Job, first: int) -> None:
        """Start the shells of the job's steps from the one with index `first` on."""
        for plan in job.plan.steps[first:][:DEPTH]:
            if plan.index not in self._waiting and _may_wait(plan, job):
                try:
                    self._waiting[plan.index] = _start(plan, job)
                except (OSError, ValueError, shells.ShellError):  # told when the step itself finds it so
                    break
        if self._waiting:
            self._loop.after(self._timer, LIFE_S, self.close)

    def take(self, index: int, command: list[str], env: dict[str, str], folder: str, path: str, script: bytes) -> int | None:
        """The pid of the shell that waits for this step, which has its script now; None: there is none, or it would not be the same."""
        shell = self._waiting.pop(index, None)
        if shell is None:
            return None
        try:
            same = shell.command == command and shell.env == env and shell.seen == _seen(command[0], folder) and _is_in_place(shell)
            if not same or len(script) > MOST_BYTES or time.monotonic() - shell.at > LIFE_S or _has_ended(shell):
                _end(shell)
                return None
            launch.write(f"{path}.new", script)
            os.rename(f"{path}.new", path)
            os.write(shell.fifo, script)
        except OSError:
            _end(shell)
            return None
        _close(shell)
        return shell.pid

    def drop(self, index: int) -> None:
        """End the shell of a step that is not to run."""
        if shell := self._waiting.pop(index, None):
            _end(shell)

    def close(self) -> None:
        """End the shells that wait."""
        self._loop.drop(self._timer)
        while self._waiting:
            _end(self._waiting.popitem()[1])


def _start(plan: StepPlan, job: Job) -> _Shell:
    own = {name: template.text for name, template in plan.env}
    env = launch.variables(job, job.frame, plan, {**job.env, **own})
    shell, program = launch.shell(plan, job.frame, lambda template: template.text, job.host.programs, env)
    if program is None:
        raise FileNotFoundError(shell.program)
    path = launch.script_path(job, job.frame, plan, shell)
    command = [program, *shell.command(path)[1:]]
    seen = _seen(program, job.workspace)
    os.mkfifo(path, 0o600)
    # Held open for both: the shell's opening waits for nobody, and its reading ends when this is closed.
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        pid = spawn(command, env, job.workspace, job.output.write_fd)
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError):
        os.close(fifo)  # a shell that was started ends with it
        launch.remove(path)
        raise
    return _Shell(pid, pidfd, fifo, path, command, env, seen, time.monotonic())


def _may_wait(plan: StepPlan, job: Job) -> bool:
    """Whether all that a step's shell is started with is known before the step's turn."""
    env, frame = {**job.base_env, **job.env}, job.frame
    shell = plan.shell or frame.shell
    return (
        plan.run is not None
        and len(plan.run.text) <= MOST_BYTES
        and plan.condition is None
        and not (plan.working_directory or frame.working_directory)
        and (shell.text if shell else None) in _SHELLS
        and all(name and "${{" not in template.text for name, template in plan.env)
        and "BASH_ENV" not in env.keys() | {name for name, _ in plan.env}  # it would be carried out before its time
    )


def _seen(*paths: str) -> tuple[tuple[int, ...], ...]:
    """What a path leads to: another program or folder of that name looks different. Raises OSError."""
    return tuple((found.st_dev, found.st_ino, found.st_mode, found.st_uid) for found in map(os.stat, paths))


def _is_in_place(shell: _Shell) -> bool:
    """A step may remove what lies in its temp folder, and a shell that had not opened its script by then has none."""
    return os.path.samestat(os.lstat(shell.path), os.fstat(shell.fifo))


def _has_ended(shell: _Shell) -> bool:
    """A step may end what it likes, a waiting shell too."""
    try:
        return os.waitid(os.P_PIDFD, shell.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _end(shell: _Shell) -> None:
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(shell.pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, shell.pidfd, os.WEXITED)
    _close(shell)
    launch.remove(shell.path)


def _close(shell: _Shell) -> None:
    os.close(shell.fifo)
    os.close(shell.pidfd)
