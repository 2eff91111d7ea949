"""Reads a repository's refs from its files, which costs less than a process.

Source of the layout: git's Documentation/gitrepository-layout.txt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from sparki_daemon.source import git

_HEX = frozenset("0123456789abcdef")


def read_refs(git_dir: str, folders: Iterable[str]) -> dict[str, str]:
    """Every ref below the `folders` (as `refs/tags`) of the common folder `git_dir`: full name → object id. Symbolic ones are left out.

    Raises SparkiError where git must be asked (reftable) and fails.
    """
    wanted = tuple(folder.rstrip("/") + "/" for folder in folders)
    if os.path.exists(os.path.join(git_dir, "reftable")):
        return _ask(git_dir, wanted)
    refs = {name: value for name, value in _packed(git_dir) if name.startswith(wanted)}
    for folder in wanted:
        for place, _, names in os.walk(os.path.join(git_dir, folder)):
            for name in names:
                path = os.path.join(place, name)
                value = _read(path).strip()
                if len(value) in (40, 64) and _HEX.issuperset(value):
                    refs[os.path.relpath(path, git_dir)] = value  # a loose ref is newer than a packed one
    return refs


def _packed(git_dir: str) -> list[tuple[str, str]]:
    lines = _read(os.path.join(git_dir, "packed-refs")).split("\n")
    pairs = (line.partition(" ") for line in lines if line and line[0] not in "#^")
    return [(name, value) for value, _, name in pairs]


def _ask(git_dir: str, folders: tuple[str, ...]) -> dict[str, str]:
    args = ["for-each-ref", "--format=%(symref) %(objectname) %(refname)", *folders]
    listed = os.fsdecode(git.run(args, cwd=git_dir, env={**git.ISOLATED, "GIT_DIR": git_dir}).checked())
    parts = (line.split(" ", 2) for line in listed.splitlines())
    return {name: value for symbolic, value, name in parts if not symbolic}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
