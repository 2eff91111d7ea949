"""Makes the daemon a service of the user's system, and takes that back: all of it or nothing."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sparki_daemon.boot.unit import Boot, launchd_label, launchd_plist, systemd_unit
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.system import files

ANSWER_LIMIT_S = 30.0
LINGER_FOLDER = "/var/lib/systemd/linger"  # a file a user whose services start at boot. Source: systemd-logind.service(8), 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is there now."""

    new: bool  # False: it was there just so
    path: str
    unit: str
    at_boot: bool  # False: from the first login on


class System(Protocol):
    """Who starts services for a user: `path` is the file that tells it of one."""

    path: str
    unit: str

    @property
    def text(self) -> bytes:
        """What stands in the file."""
        ...

    def reachable(self) -> None:
        """Raises SparkiError `no_user_services`: the system has none for this user, or can't be asked."""
        ...

    def enable(self) -> None:
        """Have the system know the file, start what it tells of, and start it from now on. Raises SparkiError `not_installed`."""
        ...

    def forget(self) -> None:
        """Take the file away, and have the system not start it any more; what runs goes on."""
        ...

    def at_boot(self) -> bool:
        """Whether it is started before the user logs in."""
        ...


def install(system: System) -> Installed:
    """Install, or bring up to date. Raises SparkiError: `no_user_services`, `not_installed`; then all is as it was before."""
    system.reachable()
    before = _read(system.path)
    if before != system.text:
        _write(system.path, system.text)
    try:
        system.enable()
    except BaseException:
        if before is None:
            uninstall(system)
        elif before != system.text:
            _write(system.path, before)
            with contextlib.suppress(SparkiError):
                system.enable()
        raise
    return Installed(new=before != system.text, path=system.path, unit=system.unit, at_boot=system.at_boot())


def uninstall(system: System) -> bool:
    """Take all of it away; False: there was nothing. A daemon that runs goes on."""
    there = _read(system.path) is not None
    if there:
        system.forget()
    return there


class Systemd:
    """A user's systemd."""

    def __init__(self, boot: Boot, environ: Mapping[str, str], home: str) -> None:
        self._boot = boot
        config = environ.get("XDG_CONFIG_HOME", "")
        self._folder = os.path.join(config if config.startswith("/") else os.path.join(home, ".config"), "systemd", "user")
        self.unit = f"{boot.name}.service"
        self.path = os.path.join(self._folder, self.unit)

    @property
    def text(self) -> bytes:
        return systemd_unit(self._boot).encode("utf-8", "surrogateescape")

    def reachable(self) -> None:
        done = _run("systemctl", "--user", "show", "--property=UnitPath", "--value")
        if done.returncode:
            raise no_user_services(f"this user's systemd can't be asked: {_said(done)}")
        if self._folder not in done.stdout.split():
            message = f"this user's systemd does not look into {self._folder}"
            raise no_user_services(message, hint="XDG_CONFIG_HOME is set here, and not for the whole session: unset it, or set it there")

    def enable(self) -> None:
        for words in (("daemon-reload",), ("enable", self.unit), ("start", self.unit)):
            done = _run("systemctl", "--user", *words)
            if done.returncode:
                raise _not_installed(f"systemctl --user {' '.join(words)}", done)

    def forget(self) -> None:
        with contextlib.suppress(SparkiError):
            _run("systemctl", "--user", "disable", self.unit)
        wants = os.path.join(self._folder, "default.target.wants")
        _unlink(os.path.join(wants, self.unit))  # also where no systemd could be asked
        _unlink(self.path)
        for folder in (wants, self._folder, os.path.dirname(self._folder)):
            with contextlib.suppress(OSError):  # others' units are in it
                os.rmdir(folder)
        with contextlib.suppress(SparkiError):
            _run("systemctl", "--user", "daemon-reload")
            _run("systemctl", "--user", "reset-failed", self.unit)

    def at_boot(self) -> bool:
        with contextlib.suppress(KeyError, OSError):
            return os.path.exists(os.path.join(LINGER_FOLDER, getpass.getuser()))
        return False


class Launchd:
    """A user's launchd. Written from its manual, and never tried: there was no macOS at hand."""

    def __init__(self, boot: Boot, home: str) -> None:
        self._boot = boot
        self.unit = launchd_label(boot)
        self.path = os.path.join(home, "Library", "LaunchAgents", f"{self.unit}.plist")
        self._domain = f"gui/{os.getuid()}"

    @property
    def text(self) -> bytes:
        return launchd_plist(self._boot)

    def reachable(self) -> None:
        done = _run("launchctl", "print", self._domain)
        if done.returncode:
            raise no_user_services(f"this user's launchd can't be asked: {_said(done)}", hint="log in at the screen of this Mac first")

    def enable(self) -> None:
        _run("launchctl", "bootout", f"{self._domain}/{self.unit}")  # an older one; none is no error
        done = _run("launchctl", "bootstrap", self._domain, self.path)
        if done.returncode:
            raise _not_installed(f"launchctl bootstrap {self._domain}", done)

    def forget(self) -> None:
        _unlink(self.path)  # bootout would end the daemon: without its file it is not started again

    def at_boot(self) -> bool:
        return False


def system_of(boot: Boot, environ: Mapping[str, str], home: str) -> System:
    """Whoever starts services on this machine."""
    return Launchd(boot, home) if sys.platform == "darwin" else Systemd(boot, environ, home)


def no_user_services(message: str, *, hint: str = "") -> SparkiError:
    """Nothing was written."""
    advice = (
        "over SSH or after su, as root: loginctl enable-linger USER, and log in anew; in a container there is none: have what starts "
        "the container run `sparki daemon start`"
    )
    return SparkiError(Problem(code="no_user_services", message=message, hint=hint or advice), exit_code=ExitCode.UNREACHABLE)


def _not_installed(command: str, done: subprocess.CompletedProcess[str]) -> SparkiError:
    message = f"`{command}` failed, and nothing was installed: {_said(done)}"
    return SparkiError(Problem(code="not_installed", message=message), exit_code=ExitCode.RED)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip() or done.stdout.strip() or f"it ended with {done.returncode}"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT_S, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise no_user_services(f"there is no {command[0]} on this machine") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise no_user_services(f"{command[0]} can't be asked: {error}") from None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, data: bytes) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files.write_atomic(path, data, mode=0o644)
    except OSError as error:
        problem = Problem(code="not_installed", message=f"can't write {path}: {error.strerror}")
        raise SparkiError(problem, exit_code=ExitCode.RED) from None


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
