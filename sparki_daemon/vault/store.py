"""A project's secrets: their names in an open index, their values in the keyring, or sealed in the index where there is none."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.system import files
from sparki_daemon.vault import keyrings
from sparki_daemon.vault.sealing import Sealer

Place = Literal["keyring", "vault"]
_FORMAT = 1
KEYRING, SEALED = "keyring", "sealed"  # the keys of an entry: in the keyring, or here


class Secrets:
    """The secrets of all projects of a state folder. A project is the real path of its common git folder.

    Writers wait for each other; a reader sees the whole file as one of them left it. Raises OSError, and SparkiError `vault_corrupt`,
    `vault_key`, `keyring_failed`.
    """

    def __init__(self, state: str) -> None:
        self.folder = os.path.join(state, "secrets")
        self.path = os.path.join(self.folder, "vault.json")
        self._sealer = Sealer(self.folder)

    def places(self, project: str) -> dict[str, Place]:
        """Where each of a project's values is kept, by name, in order."""
        entries = self._read().get(project, {})
        return {name: "vault" if SEALED in entries[name] else "keyring" for name in sorted(entries)}

    def values(self, project: str, names: Iterable[str]) -> dict[str, str]:
        """The values of those of `names` that are set."""
        entries = self._read().get(project, {})
        return {name: self._value(project, name, entries[name]) for name in names if name in entries}

    def put(self, project: str, name: str, value: str) -> Place:
        """Keep a value in the keyring if one takes it, else in the vault."""
        in_keyring = keyrings.usable() and keyrings.put(project, name, value)
        with self._writing() as projects:
            entry = {KEYRING: True} if in_keyring else {SEALED: self._sealed(project, name, value)}
            before = projects.setdefault(project, {}).get(name, {})
            projects[project][name] = entry
        if not in_keyring and KEYRING in before:
            keyrings.delete(project, name)
        return "keyring" if in_keyring else "vault"

    def remove(self, project: str, name: str) -> None:
        """Remove a value. Raises SparkiError `no_such_secret`."""
        with self._writing() as projects:
            entry = projects.get(project, {}).pop(name, None)
            if entry is None:
                problem = Problem(code="no_such_secret", message=f"this project has no secret '{name}'", hint="sparki secret ls lists them")
                raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
            if not projects[project]:
                del projects[project]
        if KEYRING in entry:  # after the index: an entry without its value would be an error at each run
            keyrings.delete(project, name)

    def _value(self, project: str, name: str, entry: dict[str, Any]) -> str:
        if SEALED not in entry:
            return keyrings.get(project, name)
        import base64  # noqa: PLC0415  # most projects have nothing sealed

        try:
            sealed = base64.b64decode(entry[SEALED], validate=True)
        except (ValueError, TypeError):
            raise self._corrupt() from None
        return self._sealer.open(sealed, _about(project, name)).decode("utf-8", "surrogateescape")

    def _sealed(self, project: str, name: str, value: str) -> str:
        import base64  # noqa: PLC0415  # as above

        return base64.b64encode(self._sealer.seal(value.encode("utf-8", "surrogateescape"), _about(project, name))).decode()

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            with open(self.path, "rb") as file:
                found = json.load(file)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise self._corrupt() from None
        projects = found.get("projects") if isinstance(found, dict) and found.get("format") == _FORMAT else None
        if not isinstance(projects, dict) or not all(isinstance(entries, dict) for entries in projects.values()):
            raise self._corrupt()
        if not all(isinstance(entry, dict) for entries in projects.values() for entry in entries.values()):
            raise self._corrupt()
        return projects

    @contextlib.contextmanager
    def _writing(self) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
        """The projects, to be changed; written whole when the block ends well."""
        with locked(self.folder):
            projects = self._read()
            yield projects
            files.write_atomic(self.path, json.dumps({"format": _FORMAT, "projects": projects}, indent=1, sort_keys=True).encode())

    def _corrupt(self) -> SparkiError:
        message = f"{self.path} is no vault that this Sparki can read"
        hint = "restore it from a backup, or move it away and set the secrets again: sparki secret set NAME"
        return SparkiError(Problem(code="vault_corrupt", message=message, hint=hint))


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold the lock of the folder of secrets, which is made if need be; whoever holds it ends soon, or is dead and holds nothing."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _sweep_torn(folder)
        yield
    finally:
        os.close(fd)


def _sweep_torn(folder: str) -> None:
    """Remove what a writer that was killed had not put in place: nobody else writes while the lock is held."""
    for name in os.listdir(folder):
        if name.endswith(".tmp"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def _about(project: str, name: str) -> str:
    return f"secret\0{project}\0{name}"
