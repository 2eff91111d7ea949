"""The environment's services: started, started again, ended; each under a minder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparki_daemon.loco.keeper import address, leftovers, minder
from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.loco.keeper.state import State, Wanted
from sparki_daemon.loco.keeper.values import Values
from sparki_daemon.system import clock, files, held, process
from sparki_daemon.system.backoff import HEALTHY_S, delay_s

CRASH_LOOP_DEATHS = 5  # quick ones in a row
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")  # where the deployment sets nothing else
RELEASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass
class Life:
    """What a keeper knows of one service's processes. Not in the state: found again by the minder's lock."""

    minder: process.Identity | None = None
    since: float = 0.0  # monotonic
    since_ms: int = 0
    deaths: int = 0  # quick ones in a row
    start_at: float | None = None  # monotonic; None: it runs, or waits for values
    needs_values: bool = False
    last_exit: dict[str, Any] | None = None
    problem: str = ""
    kill_at: float | None = None
    killed: bool = False
    moved: bool = False  # it got another port than before


@dataclass
class Services:
    """All of them. The working directory is the environment's folder; `save` writes the state."""

    state: State
    values: Values
    save: Callable[[], None]
    save_soon: Callable[[], None]  # for what nobody asked: a full disk must not end the keeper
    lives: dict[str, Life] = field(default_factory=dict)
    resting: bool = False  # the keeper goes, and the next one shall start the same again

    # -- asked for ------------------------------------------------------------------------------------------------------

    def want(self, wanted: Wanted, secrets: dict[str, str]) -> None:
        """Have this service run; where it runs already, take the new owner and values. Raises KeeperError."""
        check(wanted, secrets)
        there = self.state.services.get(wanted.release)
        if there is not None:
            if there.stopping:
                raise KeeperError("stopping", f"release {wanted.release} is being stopped", "ask again when it has ended")
            if not there.same_service(wanted):
                raise KeeperError(
                    "release_differs", f"release {wanted.release} runs with another command or configuration", "stop it first"
                )
            there.deployment = wanted.deployment
        else:
            wanted.port = address.free_port({service.port for service in self.state.services.values()})
            self.state.services[wanted.release] = wanted
        self.values[wanted.release] = secrets
        self.save()
        life = self.lives.setdefault(wanted.release, Life(start_at=0.0))
        if life.needs_values:
            life.needs_values, life.start_at = False, 0.0
        self.tend()

    def give(self, release: str, secrets: dict[str, str]) -> None:
        """Let a service start that waits for its values: the machine was restarted since it had them. Raises KeeperError."""
        wanted = self.state.services.get(release)
        if wanted is None:
            raise not_running(release)
        life = self.lives[release]
        if not life.needs_values:
            return
        check(wanted, secrets)
        self.values[release] = {name: secrets[name] for name in wanted.secrets}
        life.needs_values, life.start_at = False, 0.0
        self.tend()

    def stop(self, release: str, grace_s: float) -> None:
        """Begin to end a service: SIGTERM to its tree, SIGKILL after the grace. Unknown or stopping already: nothing is changed."""
        wanted = self.state.services.get(release)
        if wanted is None:
            return
        life = self.lives.setdefault(release, Life())
        if not wanted.stopping:
            wanted.stopping, wanted.grace_s = True, grace_s
            self.save()
        self._begin_to_end(life, grace_s)
        self.tend()

    def rest(self, grace_s: float) -> None:
        """Begin to end all of them, and forget none."""
        self.resting = True
        for life in self.lives.values():
            self._begin_to_end(life, grace_s)

    def _begin_to_end(self, life: Life, grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        life.start_at = None
        if life.kill_at is None:
            self._signal(life, signal.SIGTERM)
            life.kill_at = deadline
        else:
            life.kill_at = min(life.kill_at, deadline)

    def _signal(self, life: Life, number: int) -> None:
        if life.minder is not None and process.alive(life.minder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(life.minder.pid, number)

    # -- the loop's part ------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Find what a former keeper left running, and go on with it."""
        for release, wanted in self.state.services.items():
            life = self.lives[release] = Life(minder=holder(release), since=time.monotonic(), since_ms=clock.now_ms())
            life.last_exit = _exit_record(release)
            if life.minder is None:
                leftovers.end(service_folder(release), release)
                life.start_at = 0.0
            if wanted.stopping:
                self._begin_to_end(life, wanted.grace_s)
        self.tend()

    def tend(self) -> None:
        """Start what is due, notice what ended, kill what had its grace."""
        for release in list(self.state.services):
            wanted, life = self.state.services[release], self.lives[release]
            if life.minder is not None and not process.alive(life.minder):
                self._ended(wanted, life)
            if life.kill_at is not None and life.minder is not None and time.monotonic() >= life.kill_at and not life.killed:
                self._signal(life, signal.SIGUSR1)
                life.killed = True
            if wanted.stopping and life.minder is None:
                self._forget(release)
            elif life.minder is None and life.start_at is not None and time.monotonic() >= life.start_at:
                self._try_to_start(wanted, life)

    def due(self) -> list[float]:
        """The moments (monotonic) at which `tend` has something to do."""
        moments = [life.start_at for life in self.lives.values() if life.start_at is not None and life.minder is None]
        return moments + [life.kill_at for life in self.lives.values() if life.kill_at is not None and not life.killed]

    def _try_to_start(self, wanted: Wanted, life: Life) -> None:
        try:
            self._start(wanted, life)
            life.problem = ""
        except (KeeperError, OSError) as error:  # no port, no process, no space: it may pass
            life.problem = str(error)
            life.start_at = time.monotonic() + 1.0

    def _start(self, wanted: Wanted, life: Life) -> None:
        missing = [name for name in wanted.secrets if name not in self.values.get(wanted.release, {})]
        if missing:
            life.needs_values, life.start_at = True, None
            return
        if wanted.port and not address.is_free(wanted.port):
            wanted.port = address.free_port({service.port for service in self.state.services.values()})
            life.moved = True
            self.save_soon()
        start = minder.Start(
            folder=service_folder(wanted.release),
            log=log_path(wanted.release),
            command=wanted.command,
            cwd=wanted.cwd,
            environment=self._environment(wanted),
            limits=wanted.limits,
            hidden=tuple(self.values.get(wanted.release, {}).values()),
        )
        os.makedirs(start.folder, mode=0o700, exist_ok=True)
        os.makedirs("logs", mode=0o700, exist_ok=True)
        pid = os.fork()
        if pid == 0:
            minder.mind(start)
        try:
            life.minder = process.identity(pid)
        except ProcessLookupError:
            life.minder = process.Identity(pid, 0, "")  # it has ended already: the next look says so
        life.since, life.since_ms, life.start_at = time.monotonic(), clock.now_ms(), None

    def _environment(self, wanted: Wanted) -> dict[str, str]:
        base = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        own = {"PORT": str(wanted.port), "SPARKI_RELEASE": wanted.release}
        return base | wanted.variables | self.values.get(wanted.release, {}) | own

    def _ended(self, wanted: Wanted, life: Life) -> None:
        with contextlib.suppress(ChildProcessError):
            if life.minder is not None:
                os.waitpid(life.minder.pid, os.WNOHANG)
        other = holder(wanted.release)
        if other is not None:  # a former keeper's minder was there first: ours left
            life.minder = other
            return
        life.minder = None
        leftovers.end(service_folder(wanted.release), wanted.release)
        life.last_exit = _exit_record(wanted.release)
        if wanted.stopping or self.resting:
            return
        lived_s = time.monotonic() - life.since
        life.deaths = 1 if lived_s > HEALTHY_S else life.deaths + 1
        life.start_at = time.monotonic() + delay_s(life.deaths)
        wanted.restarts += 1
        self.save_soon()

    def _forget(self, release: str) -> None:
        del self.state.services[release], self.lives[release]
        self.values.pop(release, None)
        self.save_soon()
        files.remove_tree(service_folder(release))

    # -- asked about ----------------------------------------------------------------------------------------------------

    def known_pids(self) -> set[int]:
        return {life.minder.pid for life in self.lives.values() if life.minder is not None}

    def all_ended(self) -> bool:
        return all(life.minder is None for life in self.lives.values())

    def told(self) -> list[dict[str, Any]]:
        """Each service as `status` tells it."""
        return [self.tell(release) for release in self.state.services]

    def environment(self, release: str) -> dict[str, Any]:
        """What a service's processes have in their environment, and which names are secrets'. Raises KeeperError."""
        wanted = self.state.services.get(release)
        if wanted is None:
            raise not_running(release)
        return {"environment": self._environment(wanted), "secrets": sorted(self.values.get(release, {}))}

    def tell(self, release: str) -> dict[str, Any]:
        wanted, life = self.state.services[release], self.lives[release]
        mains = process.children(life.minder.pid) if life.minder is not None else []
        tree = process.descendants(life.minder.pid) if life.minder is not None else []
        return {
            "release": release,
            "deployment": wanted.deployment,
            "state": condition(wanted, life),
            "pid": mains[0] if mains else None,
            "minder": life.minder.pid if life.minder else None,
            "port": wanted.port,
            "listening": bool(tree) and address.listens(wanted.port, tree),
            "since_ms": life.since_ms,
            "restarts": wanted.restarts,
            "last_exit": life.last_exit,
            "problem": life.problem,
            "log": os.path.abspath(log_path(release)),
            "command": wanted.command,
            "variables": wanted.variables,
        }


def condition(wanted: Wanted, life: Life) -> str:
    """The service in one word."""
    if wanted.stopping:
        return "stopping"
    if life.needs_values:
        return "needs_values"
    if life.deaths >= CRASH_LOOP_DEATHS:
        return "crash_looping"
    return "running" if life.minder is not None else "backing_off"


def not_running(release: str) -> KeeperError:
    return KeeperError("no_such_service", f"release {release} does not run here", "start it first")


def check(wanted: Wanted, secrets: dict[str, str]) -> None:
    """Raises KeeperError for what could not be started."""
    if not RELEASE_NAME.fullmatch(wanted.release):
        raise KeeperError("bad_release", f"'{wanted.release}' is no release's id")
    if not os.path.isdir(wanted.cwd):
        raise KeeperError("no_folder", f"the release's folder {wanted.cwd} is not there", "was the release pruned? deploy it anew")
    missing = sorted(set(wanted.secrets) - set(secrets))
    if missing:
        raise KeeperError("missing_secret", f"there is no value for {', '.join(missing)}", "set it with `sparki secret set`")
    for name, value in wanted.limits.items():
        if name not in minder.LIMITS:
            raise KeeperError("bad_limit", f"there is no limit '{name}'", f"these are: {', '.join(sorted(minder.LIMITS))}")
        hard = resource.getrlimit(minder.LIMITS[name])[1]
        if hard != resource.RLIM_INFINITY and value > hard:
            raise KeeperError("bad_limit", f"the system allows at most {hard} for the limit '{name}'", "ask for less")


def service_folder(release: str) -> str:
    return os.path.join("services", release)


def log_path(release: str) -> str:
    return os.path.join("logs", f"{release}.log")


def holder(release: str) -> process.Identity | None:
    """The living minder of a release; None where its lock is free."""
    return held.holder(minder.lock_path(service_folder(release)))


def _exit_record(release: str) -> dict[str, Any] | None:
    try:
        with open(minder.exit_path(service_folder(release)), "rb") as file:
            told = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
