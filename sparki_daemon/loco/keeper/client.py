"""Asks an environment's keeper, and starts one where there is none: the `process` adapter's door.

Blocking. Every call may be repeated, and is, when the keeper dies over it: its requests are made for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from sparki_daemon.loco.keeper.launch import launch
from sparki_daemon.loco.keeper.state import LOCK_NAME
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.system import held, process

ANSWER_LIMIT_S = 30.0
MUTE_S = 5.0  # to say how it is: a keeper does nothing that takes so long
PATH_LIMIT_BYTES = 100  # of a Unix socket's address
TRIES = 5


@dataclass(frozen=True)
class Service:
    """One release's service. `condition`: running, backing_off, crash_looping, needs_values, stopping."""

    release: str
    deployment: str
    condition: str
    pid: int | None  # the service's own process; None: it has none now
    port: int
    listening: bool  # by a process of its own: a stranger's listener does not count
    since_ms: int
    restarts: int
    exit_status: int | None  # of the last time that it ended; negative: a signal
    problem: str  # why it can't be started now
    log: str
    command: str
    variables: Mapping[str, str] | None  # as it was started with; None: an older keeper does not tell


@dataclass(frozen=True)
class Counts:
    """What the fronts counted for one release, of all its time here."""

    requests: int = 0
    in_flight: int = 0
    tunnels: int = 0
    retries: int = 0
    cuts: int = 0
    failed: int = 0
    errors_5xx: int = 0
    aborted: int = 0
    refused: int = 0
    first_byte_us: int = 0
    answers: int = 0

    @property
    def dropped(self) -> int:
        """Requests that got no whole answer of the release though their client waited for it."""
        return self.cuts + self.failed


@dataclass(frozen=True)
class Status:
    """Everything that a keeper knows."""

    version: str
    pid: int
    epoch: int
    deployment: str
    listen: str
    live: str | None
    maintenance: str | None
    front_pid: int | None
    front_ready: bool
    front_restarts: int
    front_problem: str
    draining: int
    services: dict[str, Service]
    counts: dict[str, Counts]

    def counted(self, release: str) -> Counts:
        return self.counts.get(release, Counts())


class Keeper:
    """An environment's keeper, as one deployment with its fencing token sees it. Use as a context, or close it.

    For who is `acting` one that was stopped, or hangs, is ended, and its successor asked: nothing is cut by that.
    """

    def __init__(self, folder: str, *, deployment: str = "", epoch: int = 0, acting: bool = False) -> None:
        self.folder = folder
        self._acting = acting or epoch > 0
        self._fence = {"deployment": deployment, "epoch": epoch}
        self._link: socket.socket | None = None
        self._file: Any = None
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._link is not None:
            self._file.close()
            self._link.close()
            self._link = None

    def runs(self) -> bool:
        """Does a keeper answer here? Starts none."""
        self.close()
        try:
            self._connect()
        except OSError:
            return False
        return True

    # -- what can be asked ----------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Raises SparkiError `keeper_unreachable`, `keeper_unstartable`; so do all of these."""
        return _status(self._ask({"do": "status"}))

    def environment(self, release: str) -> tuple[dict[str, str], list[str]]:
        """What a service's processes have in their environment, and which names in it are secrets. Raises SparkiError `no_such_service`."""
        told = self._ask({"do": "environment", "release": release})
        return told["environment"], told["secrets"]

    def start_service(
        self,
        release: str,
        command: str,
        cwd: str,
        *,
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
        limits: Mapping[str, int] | None = None,
    ) -> Service:
        """Have the service run; $PORT is chosen by the keeper. One of this release that runs already is answered, not started twice.

        `secrets` are never written to a file. Limits: memory_bytes, files, processes, cpu_s, core_bytes, file_bytes.
        Raises SparkiError: `bad_release`, `no_folder`, `bad_limit`, `no_port`, `stopping`, `release_differs`, `fenced`.
        """
        asked = {"release": release, "command": command, "cwd": cwd, "variables": dict(variables), "secrets": dict(secrets)}
        return _service(self._ask({"do": "start_service", **asked, "limits": dict(limits or {})}))

    def give_values(self, release: str, secrets: Mapping[str, str]) -> Service:
        """Have a service start that waits for its secrets' values. Raises SparkiError `no_such_service`, `missing_secret`."""
        return _service(self._ask({"do": "give_values", "release": release, "secrets": dict(secrets)}))

    def stop_service(self, release: str, *, grace_s: float) -> None:
        """SIGTERM to the service's whole tree, SIGKILL after the grace; back when nothing of it is left."""
        self._ask({"do": "stop_service", "release": release, "grace_s": grace_s}, limit_s=grace_s + ANSWER_LIMIT_S)

    def ensure_front(self, listen: str) -> None:
        """Back when a front serves there. Raises SparkiError `address_taken` (with who has it), `bad_address`, `address_refused`."""
        self._ask({"do": "ensure_front", "listen": listen})

    def set_upstream(self, release: str | None) -> None:
        """The cut: back when no new request goes anywhere else. Raises SparkiError `no_such_service`."""
        self._ask({"do": "set_upstream", "release": release})

    def set_maintenance(self, text: str | None, *, retry_after_s: int | None = None) -> None:
        """Answer 503 with this text to everything; None ends that."""
        self._ask({"do": "set_maintenance", "text": text, "retry_after_s": retry_after_s})

    def renew_front(self) -> None:
        """A new front process on the same socket (an upgrade); the old one drains."""
        self._ask({"do": "renew_front"})

    def down(self, *, grace_s: float) -> None:
        """End the services, the front and the keeper; back when it is gone too."""
        self._ask({"do": "down", "grace_s": grace_s}, limit_s=2 * grace_s + ANSWER_LIMIT_S)
        with contextlib.suppress(OSError):
            self._file.read()
        self.close()

    # -- how it is asked ------------------------------------------------------------------------------------------------

    def _ask(self, message: dict[str, Any], *, limit_s: float = ANSWER_LIMIT_S) -> dict[str, Any]:
        deadline = time.monotonic() + limit_s
        problem, ended = "it does not answer", False
        for attempt in range(TRIES):
            try:
                if self._link is None:
                    self._reach()
                answer = self._exchange(message, deadline)
            except TimeoutError:
                self.close()
                if ended or not self._acting or not self._end_mute():
                    break
                with contextlib.suppress(OSError):
                    self._reach()  # its successor may take its time to be there
                ended, deadline = True, time.monotonic() + limit_s
                continue
            except (OSError, ValueError) as error:
                problem = str(error)
                self.close()
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05 * attempt)
                continue
            if "ok" in answer:
                found: dict[str, Any] = answer["ok"]
                return found
            if answer["error"]["code"] != "leaving":
                raise _error(answer["error"])
            self.close()
            time.sleep(0.2)
        raise _error({"code": "keeper_unreachable", "message": f"the keeper of {self.folder} can't be asked: {problem}", "hint": ""})

    def _end_mute(self) -> bool:
        """End a keeper that does not even say how it is. False: it does, so it is only what was asked for that takes its time."""
        try:
            self._connect()
            self._exchange({"do": "status"}, time.monotonic() + MUTE_S)
            return False
        except TimeoutError:
            _kill(held.holder(os.path.join(self.folder, LOCK_NAME)))
        except (OSError, ValueError):
            pass  # it has gone meanwhile
        finally:
            self.close()
        return True

    def _exchange(self, message: dict[str, Any], deadline: float) -> dict[str, Any]:
        link = self._link
        if link is None:
            raise ConnectionError("there is no connection")
        self._asked += 1
        link.settimeout(max(0.01, deadline - time.monotonic()))
        link.sendall(json.dumps({"id": self._asked, **self._fence, **message}).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise ConnectionError("it hung up")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _reach(self) -> None:
        try:
            self._connect()
        except OSError:
            launch(self.folder)
            self._connect()

    def _connect(self) -> None:
        link = socket.socket(socket.AF_UNIX)
        try:
            with _connectable(os.path.join(self.folder, "keeper.sock")) as path:
                link.connect(path)
        except BaseException:
            link.close()
            raise
        self._link, self._file = link, link.makefile("rb")


def _kill(keeper: process.Identity | None) -> None:
    """End a keeper, and wait until it is gone: until then its socket lets callers in."""
    if keeper is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(keeper.pid, signal.SIGKILL)
    deadline = time.monotonic() + MUTE_S
    while process.alive(keeper) and time.monotonic() < deadline:
        time.sleep(0.005)


@contextlib.contextmanager
def _connectable(path: str) -> Iterator[str]:
    """The address of a Unix socket, however long its path is: Linux has a short way through an open folder."""
    if len(os.fsencode(path)) <= PATH_LIMIT_BYTES or sys.platform != "linux":
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def _error(told: dict[str, Any]) -> SparkiError:
    code = str(told["code"])
    exits = {"keeper_unreachable": ExitCode.UNREACHABLE, "fenced": ExitCode.RED}
    return SparkiError(Problem(code=code, message=str(told["message"]), hint=str(told["hint"])), exit_code=exits.get(code, ExitCode.RED))


def _service(told: dict[str, Any]) -> Service:
    same = ("release", "deployment", "pid", "port", "listening", "since_ms", "restarts", "problem", "log")
    ended = told["last_exit"] or {}
    return Service(
        **{name: told[name] for name in same},
        condition=told["state"],
        exit_status=ended.get("status"),
        command=told.get("command", ""),
        variables=told.get("variables"),
    )


def _status(told: dict[str, Any]) -> Status:
    front = told["front"]
    return Status(
        **{name: told[name] for name in ("version", "pid", "epoch", "deployment", "listen", "live")},
        maintenance=told["maintenance"]["text"] if told["maintenance"] else None,
        front_pid=front["pid"],
        front_ready=front["ready"],
        front_restarts=front["restarts"],
        front_problem=front["problem"]["message"] if front["problem"] else "",
        draining=front["draining"],
        services={service["release"]: _service(service) for service in told["services"]},
        counts={release: Counts(**counted) for release, counted in told["counts"].items()},
    )
