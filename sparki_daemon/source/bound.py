"""Finds a bare repository that `sparki bind` made, together with the user's repository that it is bound to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.snapshot import Snapshot

FOLDER = "bound"  # of the state folder
OURS = "sparki"  # in a bare repository: what git does not know of
_FILE = "bind.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """What `bind.json` says. `git_dir`: the bare repository. `directory`: the working tree in which the user typed `sparki bind`."""

    git_dir: str
    project: str
    common_dir: str
    directory: str
    remote: str
    pre_push: tuple[str, ...] = ()  # the remotes whose pushes are run first
    config_before: str = ""  # a digest of the user's .git/config as it was
    unbound: bool = False  # it goes as soon as nothing runs from it

    @property
    def pending(self) -> str:
        """The folder of pushes that nobody has seen to yet, a file each."""
        return os.path.join(self.git_dir, OURS, "pending")


def git_dir_of(home: str, project: str) -> str:
    """Where the bare repository of a project is, or would be."""
    return os.path.join(home, FOLDER, f"{project}.git")


def read_bind(git_dir: str) -> Bind | None:
    """What is known of the bare repository at `git_dir`; None: there is none, or not yet."""
    try:
        with open(os.path.join(git_dir, OURS, _FILE), encoding="utf-8", errors="surrogateescape") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return Bind(**{**found, "git_dir": git_dir, "pre_push": tuple(found["pre_push"])})


def bind_file(git_dir: str) -> str:
    return os.path.join(git_dir, OURS, _FILE)


def bind_bytes(bind: Bind) -> bytes:
    """The content of `bind.json`."""
    names = ("project", "common_dir", "directory", "remote", "config_before", "unbound")
    return json.dumps({**{name: getattr(bind, name) for name in names}, "pre_push": list(bind.pre_push)}, indent=1).encode()


def all_binds(home: str) -> Iterator[Bind]:
    """Every bind of a state folder."""
    folder = os.path.join(home, FOLDER)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        bind = read_bind(os.path.join(folder, name)) if name.endswith(".git") else None
        if bind is not None:
            yield bind


def bound(git_dir: str) -> Repository:
    """The bare repository at `git_dir` as a source; settings are the user's. Raises SparkiError: `bind_gone`, `bound_repository_gone`."""
    bind = read_bind(git_dir)
    if bind is None:
        problem = Problem(code="bind_gone", message=f"what was pushed is gone: {git_dir} was unbound", hint="sparki bind, and push again")
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    own = _own(bind)
    if own is None:
        message = f"the repository that this remote is bound to is no longer in {bind.directory}"
        hint = f"where it is now: git remote remove {bind.remote}, then sparki bind"
        raise SparkiError(Problem(code="bound_repository_gone", message=message, hint=hint), exit_code=ExitCode.NOT_FOUND)
    return replace(own, root=git_dir, git_dir=git_dir, common_dir=git_dir, bound_to=own)


def _own(bind: Bind) -> Repository | None:
    """The user's repository: by the working tree that was bound, else by the main one, for a linked working tree may go."""
    for folder in (bind.directory, os.path.dirname(bind.common_dir)):
        try:
            own = find(folder)
        except SparkiError:
            continue
        if own.common_dir == bind.common_dir:
            return own
    return None


def repository_of(snapshot: Snapshot) -> Repository:
    """The repository that a snapshot was taken of. Raises as `find` and `bound` do."""
    return bound(snapshot.root) if snapshot.root == snapshot.git_dir else find(snapshot.root)
