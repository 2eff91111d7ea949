"""`sparki run --debug-on-failure`: a shell where a step has failed, with its environment, while its job waits."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from select import POLLIN, poll
from typing import Any

from sparki_cli.interrupts import Interrupts
from sparki_cli.render import Output, printable
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.system.files import try_lock

LOOK_MS = 200  # how often to look whether the job still waits
SHELLS = (["bash", "--noprofile", "--norc", "-i"], ["sh", "-i"])  # without files that would change the environment once more


def refuse_without_terminal(output: Output) -> None:
    """Raises SparkiError where no shell could be used."""
    if not (os.isatty(0) and os.isatty(1)) or output.as_json:
        message = "--debug-on-failure opens a shell: it needs a terminal" + (", without --json" if output.as_json else "")
        raise SparkiError(Problem(code="usage", message=message, hint="without it, `sparki logs` tells what a failed step said"))


@contextlib.contextmanager
def wanted(state: str) -> Iterator[str]:
    """While this is entered, steps that fail wait for us; gives the name of the lock that says so. It ends with this process."""
    os.makedirs(state, mode=0o700, exist_ok=True)
    folder = os.path.join(state, "holds")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = secrets.token_hex(8)
    path = os.path.join(folder, name)
    lock = try_lock(path)
    if lock is None:
        raise SparkiError(Problem(code="busy", message=f"{path} is held by another process"))
    try:
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(lock)


def look(output: Output, held: dict[str, Any], interrupts: Interrupts, on_interrupt: Callable[[], None]) -> None:
    """Open a shell at the failed step that a `step.held` tells of, and let its job go on afterwards.

    The shell is hung up when the job goes on by itself, since it was cancelled, say. Ctrl-C is the shell's while it is there.
    """
    path = held["hold"]
    try:
        with open(path, encoding="utf-8") as file:
            place = json.load(file)
    except (OSError, ValueError):  # it waits no longer: cancelled, or an old event
        return
    name = f"'{printable(held['name'])}' of {printable(held['job'])}"
    output.note(f"step {name} has failed: a shell with its environment, in its folder. `exit` lets the job go on.")
    try:
        _serve(_shell(place), path, interrupts, on_interrupt)
    except OSError as error:
        output.note(f"no shell can be opened: {error.strerror or error}")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    output.note(f"step {name}: the job goes on")


def _shell(place: dict[str, Any]) -> subprocess.Popen[bytes]:
    env = place["env"]
    folder = place["folder"] if os.path.isdir(place["folder"]) else "/"
    for command in SHELLS:
        program = _found(command[0], env.get("PATH", "")) or _found(command[0], os.defpath)
        if program:
            return subprocess.Popen(
                [program, *command[1:]],
                env=env,
                cwd=folder,
                process_group=0,
                # By the child, before it is a shell: one that finds itself in the background stops. This process has no threads.
                preexec_fn=lambda: _give_terminal(os.getpid()),  # noqa: PLW1509
            )
    raise FileNotFoundError(None, "there is neither bash nor sh")


def _found(name: str, path: str) -> str | None:
    for folder in path.split(os.pathsep):
        if os.path.isabs(folder) and os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return None


def _serve(shell: subprocess.Popen[bytes], path: str, interrupts: Interrupts, on_interrupt: Callable[[], None]) -> None:
    """Give the shell the terminal until it has ended, or the job no longer waits."""
    modes = termios.tcgetattr(0)
    ended = os.pidfd_open(shell.pid)
    waiter = poll()
    for fd in (ended, interrupts.fileno()):
        waiter.register(fd, POLLIN)
    try:
        seen = interrupts.count
        while shell.poll() is None:
            waiter.poll(LOOK_MS)
            interrupts.drain()
            if interrupts.count > seen:
                seen = interrupts.count
                on_interrupt()
            if not os.path.exists(path):
                _hang_up(shell)
    finally:
        os.close(ended)
        if shell.poll() is None:
            _hang_up(shell)
        shell.wait()
        _give_terminal(os.getpgrp())
        termios.tcsetattr(0, termios.TCSADRAIN, modes)


def _hang_up(shell: subprocess.Popen[bytes]) -> None:
    """End the shell as a terminal that closes does; stopped ones hear it too."""
    for number in (signal.SIGHUP, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, number)


def _give_terminal(group: int) -> None:
    """Make `group` the one that reads the keyboard and hears Ctrl-C. Whoever is in the background must not be stopped for asking."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with contextlib.suppress(OSError):  # no terminal of our own, or the group has just ended
            os.tcsetpgrp(0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)
