"""How much of the history a checkout shows: the commits at which `git fetch --depth` would have cut it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from sparki_daemon.source import git
from sparki_daemon.source.files import snapshot_env
from sparki_daemon.source.snapshot import Snapshot

Parents = Mapping[str, Sequence[str]]


def shallow_commits(snapshot: Snapshot, depth: int, tags: Iterable[str] = ()) -> list[str]:
    """The content of `.git/shallow`, sorted, for `depth` commits of each line that ends at the snapshot or at one of the `tags` (ids).

    `depth` 0: all that the user's repository has. As git has it, a first commit that is just within the depth is among them.
    Raises SparkiError `missing_object` and the like. Source: git's Documentation/technical/shallow.txt, and its shallow.c.
    """
    users = _users(snapshot)
    if depth <= 0:
        return sorted(users)
    tips = [snapshot.commit, *tags]
    if depth == 1 and len(tips) == 1:  # the default: no process is needed for it
        return tips
    told = _parents(snapshot, ["--no-walk=unsorted"], tips)
    first = [*told]  # commits, where a tag may be an object of its own
    known = told if depth == 1 else _parents(snapshot, [], tips)
    shown = within(known, first, depth)
    return sorted({commit for commit, level in shown.items() if level == depth or commit in users})


def within(parents: Parents, tips: Iterable[str], depth: int) -> dict[str, int]:
    """The commits no further than `depth` (a tip has 1) from one of the `tips`, each with how far it is."""
    far: dict[str, int] = {}
    level, here = 1, set(tips)
    while here and level <= depth:
        far |= dict.fromkeys(here, level)
        here = {parent for commit in here for parent in parents.get(commit, ())} - far.keys()
        level += 1
    return far


def _parents(snapshot: Snapshot, options: Sequence[str], tips: Sequence[str]) -> dict[str, list[str]]:
    """Each commit that git walks to from the tips, with its parents; a tag that is of no commit is left out."""
    env = {**snapshot_env(snapshot), "GIT_NO_REPLACE_OBJECTS": "1"}
    args = ["rev-list", "--parents", *options, "--stdin"]
    listed = git.run(args, cwd=snapshot.git_dir, env=env, stdin=os.fsencode("\n".join(tips) + "\n")).checked()
    lines = (line.split(" ") for line in listed.decode().splitlines())
    return {commit: parents for commit, *parents in lines}


def _users(snapshot: Snapshot) -> set[str]:
    """Where the user's own history is cut."""
    try:
        with open(os.path.join(snapshot.git_dir, "shallow"), encoding="ascii") as file:
            return set(file.read().split())
    except FileNotFoundError:
        return set()
