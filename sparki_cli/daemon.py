"""`sparki daemon …`: start, stop, restart and look at the background process."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

from sparki_cli.connect import connect, own_paths
from sparki_cli.render import Output, duration
from sparki_cli.view import milliseconds
from sparki_daemon.client import launch
from sparki_daemon.client.engine import Engine
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

STOP_LIMIT_S = 15.0
UNREACHABLE = 3
RED = 1


def start(output: Output) -> int:
    """Start the daemon, unless it runs; its status when it is up."""
    return _show(output, connect(output).daemon_status())


def stop(output: Output, *, force: bool) -> int:
    """Stop the daemon, and wait until its process is gone."""
    engine = connect(output, may_start=False)
    found = launch.connect(engine.paths)
    if found is None:
        return _say(output, "stopped", "the daemon is not running")
    sock, told = found
    sock.close()
    try:
        process = os.pidfd_open(int(told["pid"]))  # taken while the daemon answers: the pid is its own
    except (ProcessLookupError, KeyError, ValueError):
        process = None
    _ask_to_stop(engine, process, force=force)
    if not _gone(engine, process):
        problem = Problem(code="daemon_stays", message=f"the daemon has not ended within {STOP_LIMIT_S:.0f} s", hint="sparki daemon logs")
        raise SparkiError(problem, exit_code=ExitCode.RED)
    return _say(output, "stopped", "the daemon has stopped")


def restart(output: Output) -> int:
    """Start the daemon's programs anew; starts it where it does not run."""
    engine = connect(output, may_start=False)
    before = launch.read_daemon_file(engine.paths)
    if launch.connect(engine.paths) is None:
        return start(output)
    since = _engine_since(engine.daemon_status())
    engine.restart_daemon()
    deadline = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < deadline:
        time.sleep(0.02)
        try:
            status = engine.daemon_status()
        except SparkiError:  # between two programs
            continue
        if _engine_since(status) != since or launch.read_daemon_file(engine.paths) != before:
            return _show(output, status)
    problem = Problem(code="daemon_stays", message="the daemon was asked to restart, and has not", hint="sparki daemon logs")
    raise SparkiError(problem, exit_code=ExitCode.RED)


def status(output: Output) -> int:
    """How the daemon is; exit code 3 when it does not run. Starts nothing."""
    engine = connect(output, may_start=False)
    if launch.connect(engine.paths) is not None:
        return _show(output, engine.daemon_status())
    nothing: dict[str, Any] = {"supervisor": None, "engine": None, "loco": None, "runners": []}
    stopped = {
        "version": None,
        "socket": None,
        "state": "stopped",
        "processes": nothing,
        "queues": {"builds": 0, "deployments": 0},
        "disk": None,
    }
    if output.as_json:
        output.document({**stopped, "home": engine.paths.state})
    else:
        output.line(f"{output.glyph('queued')} not running  {engine.paths.state}")
    return UNREACHABLE


def logs(output: Output, *, follow: bool, count: int) -> int:
    """The last lines of the daemon's own log; with `follow` what comes after them too."""
    paths = own_paths()
    for line in launch.last_lines(paths.daemon_log, count, window_bytes=16 * 1024 * 1024):
        _log_line(output, line)
    if follow:
        for line in _growing(paths.daemon_log):
            _log_line(output, line)
    return 0


def _ask_to_stop(engine: Engine, process: int | None, *, force: bool) -> None:
    """Ask the engine to end it all; where the engine can't, as with a damaged state file, ask the supervisor by a signal."""
    try:
        engine.stop_daemon(force=force)
    except SparkiError as error:
        code = error.problems[0].code
        if code == "daemon_not_running":  # it was gone before its answer had come
            return
        silent = error.exit_code is ExitCode.UNREACHABLE
        if process is None or code in ("runs_active", "deployments_active") or (silent and not force):
            raise
        signal.pidfd_send_signal(process, signal.SIGTERM)


def _gone(engine: Engine, process: int | None) -> bool:
    """Whether the daemon's process ends in time."""
    if process is not None:
        waiter = select.poll()
        waiter.register(process, select.POLLIN)
        ended = bool(waiter.poll(STOP_LIMIT_S * 1000))
        os.close(process)
        return ended
    deadline = time.monotonic() + STOP_LIMIT_S
    while launch.connect(engine.paths) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _engine_since(status: dict[str, Any]) -> object:
    engine = (status.get("processes") or {}).get("engine") or {}
    return engine.get("pid"), engine.get("since")


def _say(output: Output, state: str, text: str) -> int:
    if output.as_json:
        output.document({"state": state})
    else:
        output.line(text)
    return 0


def _show(output: Output, status: dict[str, Any]) -> int:
    if output.as_json:
        output.document(status)
        return 0
    output.raw(picture_of(output, status, int(time.time() * 1000)))
    return 0


def picture_of(output: Output, status: dict[str, Any], now_ms: int) -> str:
    """The lines of `sparki daemon status`."""
    queues = status.get("queues") or {}
    lines = [f"{output.glyph('success')} {status['state']}  version {status['version']}  {status['socket']}"]
    processes = status["processes"]
    named = [(name, processes.get(name)) for name in ("supervisor", "engine", "loco")]
    for name, process in [(name, process) for name, process in named if process]:
        lines.append(f"  {name:<10}  pid {process['pid']}{_memory(process)}{_since(process, now_ms)}")
    runners = processes.get("runners") or ()
    lines += [f"  {'runner':<10}  pid {runner['pid']}{_memory(runner)}  {runner.get('job') or 'idle'}" for runner in runners]
    lines.append(f"  {'waiting':<10}  builds {queues.get('builds', 0)}, deployments {queues.get('deployments', 0)}")
    disk = status.get("disk") or {}  # a daemon of an older version has none
    if disk.get("full"):
        free = ", ".join(f"{name} {_size(disk.get(f'{name}_free_bytes'))}" for name in ("home", "memory"))
        lines.append(f"{output.glyph('failure')} {'disk':<10}  full: jobs that write wait until there is room ({free} free)")
    return "\n".join(lines) + "\n"


def _size(count: object) -> str:
    return f"{count / 1_048_576:.1f} MiB" if isinstance(count, (int, float)) else "?"


def _memory(process: dict[str, Any]) -> str:
    size = process.get("pss")
    return f"  {size / 1_048_576:.1f} MiB" if isinstance(size, (int, float)) else ""


def _since(process: dict[str, Any], now_ms: int) -> str:
    since = process.get("since")
    return f"  up {duration(now_ms - milliseconds(str(since)))}" if since else ""


def _log_line(output: Output, line: str) -> None:
    if output.as_json:
        output.document({"text": line})
    else:
        output.line(line)


def _growing(path: str) -> Iterator[str]:
    """Lines that are added to a file from now on, for ever; a file that was replaced or cut is read from its beginning."""
    held = b""
    at = os.path.getsize(path) if os.path.exists(path) else 0
    while True:
        time.sleep(0.2)
        try:
            size = os.path.getsize(path)
            at = at if size >= at else 0
            with open(path, "rb") as file:
                file.seek(at)
                data = file.read()
        except FileNotFoundError:
            continue
        at += len(data)
        *whole, held = (held + data).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
