"""Looks at a state folder and its daemon, whether or not one runs, and changes nothing in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator

from sparki_daemon.client import launch
from sparki_daemon.client.engine import Engine
from sparki_daemon.client.paths import SOCKET_LIMIT_BYTES, Paths, socket_path
from sparki_daemon.client.version import VERSION
from sparki_daemon.doctor.finding import ERROR, OK, WARNING, Finding
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.supervisor.strays import strays
from sparki_daemon.system import files
from sparki_daemon.vault.store import Secrets


def folder(paths: Paths) -> Finding:
    """Whether the state folder is this user's alone, can be written, and has locks that work."""
    home = paths.state
    try:
        found = os.stat(home)
    except FileNotFoundError:
        return Finding("state", OK, f"{home} is not there yet: the first run makes it")
    except OSError as error:
        return Finding("state", ERROR, f"can't look at {home}: {error.strerror}", "set SPARKI_HOME to a folder of your own")
    if not stat.S_ISDIR(found.st_mode):
        return Finding("state", ERROR, f"{home} is no folder", "move it away, or set SPARKI_HOME to another place")
    if found.st_uid != os.geteuid():
        return Finding("state", ERROR, f"{home} belongs to another user (uid {found.st_uid})", "set SPARKI_HOME to a folder of your own")
    try:
        if not _locks_work(home):
            return Finding("state", ERROR, f"locks don't work on the file system of {home}", "set SPARKI_HOME to a folder on a local disk")
    except OSError as error:
        return Finding("state", ERROR, f"can't write to {home}: {error.strerror}", "make it writable, or set SPARKI_HOME to another place")
    if found.st_mode & 0o077:
        return Finding("state", WARNING, f"others may look into {home}", f"chmod 700 {home}")
    return Finding("state", OK, f"{home} can be written, and locks work there")


def database(paths: Paths) -> Finding:
    """Whether the state file is whole."""
    path = os.path.join(paths.state, "state.db")
    if not os.path.exists(path):
        return Finding("database", OK, "there is no state file yet")
    try:
        said = _checked(path)
    except (sqlite3.Error, OSError) as error:
        said = str(error)
    if said == "ok":
        return Finding("database", OK, f"{path} is whole")
    hint = f"sparki daemon stop --force, then move {path}* away; logs and artifacts stay where they are"
    return Finding("database", ERROR, f"{path} is damaged: {said}", hint)


def socket(paths: Paths) -> Finding:
    """Whether the socket's address is short enough, or the short folder that stands for it is safe."""
    address = socket_path(paths.state, uid=os.getuid())
    if address.startswith(paths.state):
        return Finding("socket", OK, address)
    short = os.path.dirname(address)
    if os.path.lexists(short):
        found = os.lstat(short)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return Finding(
                "socket", ERROR, f"{short} is not a folder that only you may enter", "remove it, or set SPARKI_HOME to a shorter path"
            )
    return Finding("socket", OK, f"{address} (the state folder's path has over {SOCKET_LIMIT_BYTES} bytes)")


def daemon(paths: Paths) -> Finding:
    """Whether a daemon runs, answers, and is of this version."""
    told = launch.read_daemon_file(paths)
    lock = os.path.join(paths.state, "engine.lock")
    try:
        if launch.connect(paths) is None:
            if files.is_locked(lock):
                hint = f"sparki daemon logs tells why; it holds {lock}"
                return Finding("daemon", ERROR, "an engine runs, and nobody listens at the daemon's socket", hint)
            left = " (what the last one left is believed by nobody)" if told else ""
            return Finding("daemon", OK, f"none runs{left}: it starts when it is needed")
        status = Engine(paths, may_start=False).daemon_status()
    except SparkiError as error:
        problem = error.problems[0]
        return Finding("daemon", ERROR, problem.message.split("\n")[0], problem.hint or "sparki daemon logs tells more")
    except OSError as error:
        return Finding("daemon", ERROR, f"can't ask the daemon: {error.strerror}", "sparki daemon logs tells more")
    if status["version"] != VERSION:
        return Finding("daemon", WARNING, f"it is version {status['version']}, and this is {VERSION}", "sparki daemon restart")
    return Finding("daemon", OK, f"version {status['version']} answers, pid {status['processes']['supervisor']['pid']}")


def left_over(paths: Paths) -> Finding:
    """Whether processes of jobs live whose runner is dead."""
    found = sorted(set(strays(paths.state, {})))
    if not found:
        return Finding("processes", OK, "no job has left a process behind")
    pids = " ".join(map(str, found[:20]))
    return Finding("processes", WARNING, f"{len(found)} processes of jobs whose runner is dead: {pids}", "sparki daemon restart ends them")


def secrets(paths: Paths) -> Iterator[Finding]:
    """Whether the vault can be read, and its key is the user's alone. Names are looked at, values are not."""
    kept = Secrets(paths.state)
    if not os.path.exists(kept.path):
        return
    try:
        kept.places("")
    except (SparkiError, OSError) as error:
        hint = error.problems[0].hint if isinstance(error, SparkiError) else ""
        yield Finding("vault", ERROR, str(error), hint)
        return
    key = os.path.join(kept.folder, "key")
    if os.path.exists(key) and os.stat(key).st_mode & 0o077:
        yield Finding("vault", ERROR, f"others may read {key}", f"chmod 600 {key}, and change the secrets that it kept")
        return
    yield Finding("vault", OK, f"{kept.path} can be read")


def _locks_work(home: str) -> bool:
    with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        second = os.open(file.name, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(second)
    return False


def _checked(path: str) -> str:
    """What SQLite says of the file, looked at without changing it: "ok", or the first thing that is wrong. Raises sqlite3.Error."""
    if not os.path.exists(f"{path}-wal") or os.path.exists(f"{path}-shm"):
        way = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
        return _quick_check(path, way)
    with tempfile.TemporaryDirectory(prefix="sparki-doctor-") as scratch:  # after a crash: reading would bring the log into the file
        for ending in ("", "-wal"):
            shutil.copy(path + ending, os.path.join(scratch, "state.db" + ending))
        return _quick_check(os.path.join(scratch, "state.db"), "mode=rw")


def _quick_check(path: str, way: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415  # once

    connection = sqlite3.connect(f"file:{quote(path)}?{way}", uri=True)
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        connection.close()
