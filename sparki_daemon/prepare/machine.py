"""Answers what planning asks about this machine and about the files of the source."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.mapped import Remote, remote
from sparki_daemon.pipeline.settings import Settings
from sparki_daemon.prepare.absent import Absent, Read
from sparki_daemon.source import files
from sparki_daemon.source.facts import Facts
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot
from sparki_daemon.system.process import system_name

_ARCHES = {"aarch64": "ARM64", "arm64": "ARM64", "i686": "X86"}  # as RUNNER_ARCH has them; all else is X64


def machine_for(
    known: Facts, settings: Settings, client_env: Mapping[str, str] | None, read: Read, actions: Mapping[str, str] | None = None
) -> Machine:
    """What is known of this machine. `client_env`: the variables by which programs are looked for; None: nobody looks.

    `actions`: the folders that stand for others' repositories, by name in lower case.
    """
    mapped = actions or {}
    return Machine(
        system=system_name(),
        arch=_ARCHES.get(os.uname().machine, "X64"),
        repository=known.repository,
        exists=None if client_env is None else _Search(client_env.get("PATH", "")).exists,
        lacking=None if client_env is None else Absent(client_env, read).lacking,
        action_file=lambda uses: _mapped_file(found, mapped) if (found := _of_mapped(uses, mapped)) else _action_file(uses, read),
        mapped=frozenset(mapped),
        silence=settings.silence,
    )


def reader(repository: Repository, snapshot: Snapshot | None) -> Read:
    """Reads files of a snapshot's tree, or, where there is none, of the working tree. What can't be read is not there."""

    def read(path: str) -> bytes | None:
        try:
            return files.read(snapshot, path) if snapshot else files.read_worktree(repository, path)
        except SparkiError:
            return None

    return read


def _action_file(uses: str, read: Read) -> tuple[str, bytes] | None:
    folder = os.path.normpath(uses.replace("\\", "/"))
    for name in ("action.yml", "action.yaml"):
        path = name if folder == "." else f"{folder}/{name}"
        if (data := read(path)) is not None:
            return path, data
    return None


def _of_mapped(uses: str, folders: Mapping[str, str]) -> Remote | None:
    found = remote(uses)
    return found if found and found.key in folders else None


def _mapped_file(named: Remote, folders: Mapping[str, str]) -> tuple[str, bytes] | None:
    for name in ("action.yml", "action.yaml"):
        inner = f"{named.path}/{name}".lstrip("/")
        try:
            with open(os.path.join(folders[named.key], inner), "rb") as file:
                return f"{named.repository}/{inner}", file.read()
        except OSError:
            continue
    return None


class _Search:
    """Looks for programs in the folders of a PATH, each once."""

    def __init__(self, path: str) -> None:
        self._folders = [folder for folder in path.split(os.pathsep) if folder]
        self._known: dict[str, bool] = {}

    def exists(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = any(os.access(os.path.join(folder, name), os.X_OK) for folder in self._folders)
        return self._known[name]
