"""Reach the daemon of a state folder, and start one where there is none.

Only a connection that was accepted counts: a daemon.json, a pid or a socket file may be stale, and is never believed.
"""

# ruff: noqa: PLC0415  # what only errors and rare turns need is imported there: a short command pays for every import

from __future__ import annotations

import _socket
import json
import os
import sys
import time

from sparki_daemon.client.http import dial, exchange
from sparki_daemon.client.paths import socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sparki_daemon.client.paths import Paths
    from sparki_daemon.model.problem import SparkiError

START_LIMIT_S = 15.0  # from taking the start lock to the first answer
ANSWER_LIMIT_S = 30.0
LOG_EXCERPT_LINES = 10
_INHERITED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH",
    "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "WSL_INTEROP",
})  # fmt: skip
_INHERITED_FAMILIES = ("LC_", "XDG_", "SPARKI_", "PYTHON", "COVERAGE_")


def connect(paths: Paths, timeout_s: float = ANSWER_LIMIT_S) -> tuple[_socket.socket, dict[str, Any]] | None:
    """A connection to the running daemon with what its daemon.json says, or None where nobody listens.

    Raises SparkiError `foreign_daemon` when the listener is another user's.
    """
    told = read_daemon_file(paths)
    if told is None:
        return None
    try:
        sock = dial(str(told["socket"]), timeout_s)
    except TimeoutError as error:
        raise unreachable(paths, str(error)) from None
    except (OSError, ValueError, KeyError):
        return None
    # ucred is pid, uid, gid, each an int of the machine's; the request that follows carries the environment
    owner = int.from_bytes(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8], sys.byteorder)
    if owner != os.geteuid():
        sock.close()
        raise _error("foreign_daemon", f"the daemon at {told['socket']} is run by another user (uid {owner})", "", code=4)
    return sock, told


def read_daemon_file(paths: Paths) -> dict[str, Any] | None:
    """What daemon.json says; None when it is not there or cannot be read as JSON."""
    try:
        with open(paths.daemon_file, "rb") as file:
            told = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def ensure(paths: Paths, command: list[str] | None = None) -> tuple[_socket.socket, dict[str, Any]]:
    """A connection to the daemon, started if need be. `command` is what to start; None: this program's own daemon.

    Raises SparkiError: `state_unwritable`, `daemon_unreachable`, `foreign_daemon`, `unsafe_folder`.
    """
    return connect(paths) or _start(paths, command or [sys.executable, "-m", "sparki_daemon", "supervisor", "--home", paths.state])


def _start(paths: Paths, command: list[str]) -> tuple[_socket.socket, dict[str, Any]]:
    """Start a daemon under the start lock; when another starter holds it, use the daemon that it starts."""
    lock = take_start_lock(paths)
    try:
        found = connect(paths)  # another starter may have been first
        if found is None:
            address = socket_path(paths.state, uid=os.getuid())
            if not address.startswith(paths.state):
                private_folder(os.path.dirname(address))
            _await_daemon_file(paths, _spawn(paths, command, lock))
            found = connect(paths)
    finally:
        os.close(lock)
    deadline = time.monotonic() + START_LIMIT_S
    while found is not None:
        answered = _answers(paths, found[0], deadline)
        found = connect(paths)
        if answered and found is not None:
            return found
    raise unreachable(paths, "the daemon was started, and nobody answers at its socket")


def take_start_lock(paths: Paths) -> int:
    """The lock of whoever starts a daemon, as a descriptor. Raises SparkiError: `state_unwritable`, `daemon_unreachable`."""
    import fcntl

    deadline = time.monotonic() + START_LIMIT_S
    try:
        os.makedirs(paths.state, mode=0o700, exist_ok=True)
        lock = os.open(paths.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "make it writable, or set SPARKI_HOME to a folder that is"
        raise _error("state_unwritable", f"can't use the state folder {paths.state}: {error.strerror}", hint, code=3) from None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise unreachable(paths, "somebody else has been starting the daemon for too long") from None
            time.sleep(0.01)


def _spawn(paths: Paths, command: list[str], lock: int) -> int:
    """Fork a starter that holds the lock, in a session of its own, until the daemon is up; its exit status tells how that went.

    The starter shares the lock: when this process is killed meanwhile, nobody starts a second daemon beside the first.
    """
    log = open_log(paths)
    starter = os.fork()
    if starter:
        os.close(log)
        return starter
    status = 1
    try:
        os.setsid()
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if lock != 3:
            os.dup2(lock, 3, inheritable=False)
        os.closerange(4, 4096)
        status = _hold_until_up(paths, command)
    finally:
        os._exit(status)


def _hold_until_up(paths: Paths, command: list[str]) -> int:
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    daemon = os.posix_spawn(command[0], command, _environment(os.environ), setsid=True)
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if (read_daemon_file(paths) or {}).get("pid") == daemon:
            return 0
        if os.waitpid(daemon, os.WNOHANG)[0]:
            return 1
        time.sleep(0.003)
    return 1


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a daemon inherits of its first client's variables: it lives long, any secret among them would be readable in it for days.

    Runs bring the variables of their own client.
    """
    return {
        name: value
        for name, value in own.items()
        if (name in _INHERITED or name.startswith(_INHERITED_FAMILIES)) and not name.endswith(("TOKEN", "PASSWORD", "SECRET", "_KEY"))
    }


def open_log(paths: Paths) -> int:
    """The daemon's log, to append to. Raises SparkiError `state_unwritable`."""
    try:
        return os.open(paths.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _error("state_unwritable", f"can't write {paths.daemon_log}: {error.strerror}", "make it writable", code=3) from None


def _await_daemon_file(paths: Paths, starter: int) -> None:
    _, status = os.waitpid(starter, 0)  # bounded: the starter gives up after START_LIMIT_S
    if status:
        raise unreachable(paths, "the daemon did not start")


def _answers(paths: Paths, sock: _socket.socket, deadline: float) -> bool:
    """Whether the engine behind the new daemon answers; False: it died over it, and its successor is to be asked.

    Raises SparkiError when nobody has answered by `deadline` (monotonic).
    """
    sock.settimeout(max(0.01, deadline - time.monotonic()))
    try:
        exchange(sock, "GET", "/v1/daemon").read()
    except TimeoutError:
        raise unreachable(paths, f"the daemon was started, and did not answer within {START_LIMIT_S:.0f} s") from None
    except OSError:
        if time.monotonic() > deadline:
            raise unreachable(paths, "the daemon was started, and hangs up") from None
        time.sleep(0.02)
        return False
    finally:
        sock.close()
    return True


def unreachable(paths: Paths, message: str) -> SparkiError:
    """`daemon_unreachable` with the last lines of the daemon's log, exit code 3."""
    lines = last_lines(paths.daemon_log, LOG_EXCERPT_LINES)
    excerpt = "".join(f"\n  | {line}" for line in lines)
    hint = f"the daemon's log is {paths.daemon_log}" if lines else f"the state folder is {paths.state}"
    return _error("daemon_unreachable", message + excerpt, hint, code=3)


def last_lines(path: str, count: int, *, window_bytes: int = 65536) -> list[str]:
    """The last `count` lines of a text file, read from its last `window_bytes`; none when it can't be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - window_bytes))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def private_folder(folder: str) -> None:
    """Make the short folder of a socket whose own path is too long: 0700, and of this user's.

    Raises SparkiError `unsafe_folder` when somebody else made it, or others may enter it.
    """
    import stat

    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise _error("state_unwritable", f"can't make {folder}: {error.strerror}", "", code=3) from None
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        hint = "remove it, or set SPARKI_HOME to a shorter path"
        raise _error("unsafe_folder", f"{folder} is not a folder that only you may enter", hint, code=4)


def _error(code_word: str, message: str, hint: str, *, code: int) -> SparkiError:
    from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

    return SparkiError(Problem(code=code_word, message=message, hint=hint), exit_code=ExitCode(code))
