"""Asks git which files an event changed, for the `paths` filters of `on`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sparki_daemon.source import git
from sparki_daemon.source.facts import Facts
from sparki_daemon.source.files import snapshot_env
from sparki_daemon.source.push import MOST_COMPARED, Push, new_branch
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot


def base_sha(repository: Repository, known: Facts, branch: str) -> str:
    """Where a branch stands: as the remote had it when it was last fetched, else as it is here; empty where there is none."""
    names = (f"refs/remotes/{known.remote_name}/{branch}", f"refs/heads/{branch}")
    refs = read_refs(repository.common_dir, (f"refs/remotes/{known.remote_name}", "refs/heads"))
    return next((refs[name] for name in names if name in refs), "")


def changed_paths(repository: Repository, snapshot: Snapshot, known: Facts, event: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The files that a push or pull request changed, in git's order.

    A push is compared with what was there before it (two-dot), a new branch with the parent of its deepest new commit, a pull request
    with where it left its base (three-dot). None where its commits are not here, where GitHub would not compare, or for another event.
    Source: GITHUB.md §4.
    """
    request = event.get("pull_request")
    if isinstance(request, Mapping):
        base = request.get("base")
        sha = str(base.get("sha") or "") if isinstance(base, Mapping) else ""
        return _diff(snapshot, _fork_point(repository, snapshot, sha), _after(snapshot, known, str(_head_of(request))))
    if "before" not in event:
        return None
    if len(event.get("commits") or ()) > MOST_COMPARED or str(event.get("ref")).startswith("refs/tags/"):
        return None
    before, after = str(event["before"]), _after(snapshot, known, str(event.get("after") or ""))
    return _diff(snapshot, before if before.strip("0") else new_branch(repository, snapshot, known).base, after)


def pushed_paths(snapshot: Snapshot, push: Push) -> tuple[str, ...] | None:
    """The files that a push of this source changes, in git's order; None where GitHub would not compare, or what it had isn't here."""
    return _diff(snapshot, push.base, snapshot.tree)


def _head_of(request: Mapping[str, Any]) -> str:
    head = request.get("head")
    return str(head.get("sha") or "") if isinstance(head, Mapping) else ""


def _after(snapshot: Snapshot, known: Facts, sha: str) -> str:
    """What an event brought: this source, unless the payload names another commit."""
    return snapshot.tree if sha in ("", known.sha) else sha


def _fork_point(repository: Repository, snapshot: Snapshot, base: str) -> str:
    """The last commit that HEAD and `base` have in common; empty where there is none."""
    if not base or not snapshot.head:
        return ""
    found = git.run(["merge-base", base, snapshot.head], cwd=repository.root)
    return os.fsdecode(found.out).strip() if found.code == 0 else ""


def _diff(snapshot: Snapshot, before: str, after: str) -> tuple[str, ...] | None:
    if not before or not after or before.startswith("-") or after.startswith("-"):
        return None
    args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--end-of-options", before, after]
    found = git.run(args, cwd=snapshot.git_dir, env=snapshot_env(snapshot))
    return tuple(os.fsdecode(found.out).split("\0")[:-1]) if found.code == 0 else None
