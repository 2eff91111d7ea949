"""The engine of this user's state folder, for a command; an idle daemon of an older version is started anew on the way."""

# ruff: noqa: PLC0415  # only errors and rare turns need these

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_cli.render import Output
    from sparki_daemon.client.engine import Engine
    from sparki_daemon.client.paths import Paths

RESTART_LIMIT_S = 10.0


def connect(output: Output, *, may_start: bool = True) -> Engine:
    """A client of the engine; nothing is opened before the first question. Raises SparkiError `no_home`."""
    from sparki_daemon.client.engine import Engine  # `sparki ci` has no engine to talk to
    from sparki_daemon.client.version import VERSION

    def on_found(engine: Engine, told: dict[str, Any]) -> None:
        if told.get("version") != VERSION:
            _renew(engine, str(told.get("version")), output)

    return Engine(own_paths(), may_start=may_start, on_found=on_found)


def own_paths() -> Paths:
    """The folders of this user. Raises SparkiError `no_home`."""
    from sparki_daemon.client.paths import find_paths

    environ = os.environ
    account_home = ""
    if not environ.get("HOME") and not environ.get("SPARKI_HOME"):
        import pwd

        try:
            account_home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # an account that no database knows: find_paths says what is missing
            account_home = ""
    relative = environ.get("SPARKI_HOME", "/")[:1] != "/"
    return find_paths(environ, cwd=os.getcwd() if relative else "/", account_home=account_home)


def own_directory(directory: str | None) -> str:
    """The folder that a command works in, absolute. Raises SparkiError `no_directory`."""
    try:
        here = os.getcwd()
        folder = os.path.join(here, directory) if directory else here
        if os.path.isdir(folder):
            return os.path.abspath(folder)
    except FileNotFoundError:
        folder = "the folder that you are in"
    from sparki_daemon.model.problem import Problem, SparkiError

    raise SparkiError(Problem(code="no_directory", message=f"there is no folder {folder}"))


def _renew(engine: Engine, running: str, output: Output) -> None:
    """A newer program restarts an idle daemon, and says that a busy one is older; an older program goes on."""
    from sparki_daemon.client.launch import read_daemon_file
    from sparki_daemon.client.version import VERSION, is_newer

    if not is_newer(VERSION, running):
        return
    if is_busy(engine.daemon_status()):
        output.note(f"note: the daemon is still version {running}: it is busy; `sparki daemon restart` when it suits you")
        return
    output.detail(f"restarting the idle daemon: it is version {running}, this is {VERSION}")
    engine.restart_daemon()
    deadline = time.monotonic() + RESTART_LIMIT_S
    while time.monotonic() < deadline:
        if (read_daemon_file(engine.paths) or {}).get("version") == VERSION:
            return
        time.sleep(0.02)
    output.note(f"note: the daemon is still version {running}, though it was asked to restart")


def is_busy(status: dict[str, Any]) -> bool:
    """Whether a daemon that says `status` of itself has jobs. Deployments go on over a restart, and may wait for days."""
    waiting = int((status.get("queues") or {}).get("builds") or 0)
    runners = (status.get("processes") or {}).get("runners") or ()
    return bool(waiting or any(runner.get("job") for runner in runners))
