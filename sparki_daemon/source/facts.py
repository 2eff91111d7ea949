"""Collects what the github context and the event payloads need to know of a repository, as plain data."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.source import git
from sparki_daemon.source.objects import read_commit
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.remote import Remote, read_remote, remote_name, remote_url
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot

_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who made a commit."""

    name: str = ""
    email: str = ""
    time: str = ""  # ISO 8601 with the committer's own offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit says of itself."""

    message: str = ""
    author: Person = field(default_factory=Person)
    committer: Person = field(default_factory=Person)
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a repository and of the source that a run takes."""

    remote: Remote
    remote_name: str  # "origin" where there is none
    ref: str  # full name; of the default branch where the source is `detached`
    default_branch: str
    actor: str
    sha: str
    tree: str
    head: str | None
    dirty: bool
    commit: Commit  # head's
    detached: bool = False  # no branch and no tag is at the source

    @property
    def repository(self) -> str:
        """`owner/name`."""
        return f"{self.remote.owner}/{self.remote.name}"

    @property
    def branch_name(self) -> str | None:
        """The branch without `refs/heads/` that the source is of; None for a tag, and where it is of none."""
        return self.ref.removeprefix(_HEADS) if self.ref.startswith(_HEADS) and not self.detached else None


def facts(repository: Repository, snapshot: Snapshot) -> Facts:
    """The facts of `snapshot`, taken of `repository`. Raises SparkiError `missing_object` and the like.

    GitHub always has a ref: one that nothing here gives is the default branch's, as it is there for a schedule.
    """
    config = repository.config
    name = remote_name(config, repository.branch)
    body = read_commit(repository.common_dir, repository.objects, snapshot.head) if snapshot.head else b""
    default_branch = _default_branch(repository.bound_to or repository, name or "origin")
    ref = snapshot.ref or _ref_at(repository, snapshot.head)
    return Facts(
        remote=read_remote(remote_url(config, name), folder_name=repository.folder_name),
        remote_name=name or "origin",
        ref=ref or _HEADS + default_branch,
        default_branch=default_branch,
        actor=config.get("user.name") or os.environ.get("USER") or "local",
        sha=snapshot.commit,
        tree=snapshot.tree,
        head=snapshot.head,
        dirty=snapshot.dirty,
        commit=parse_commit(body),
        detached=ref is None,
    )


def _ref_at(repository: Repository, head: str | None) -> str | None:
    """What a detached HEAD most likely stands for: a tag, a branch, a remote's branch at that commit. None: none is there."""
    if head:
        args = ["for-each-ref", "--points-at", head, "--format=%(refname)", "refs/tags", "refs/heads", "refs/remotes"]
        found = os.fsdecode(git.run(args, cwd=repository.root).checked()).splitlines()
        for prefix in ("refs/tags/", _HEADS):
            for ref in found:
                if ref.startswith(prefix):
                    return ref
        for ref in found:
            branch = ref.removeprefix("refs/remotes/").partition("/")[2]
            if branch and branch != "HEAD":
                return _HEADS + branch
    return None


def _default_branch(repository: Repository, remote: str) -> str:
    """What the remote calls its HEAD, else main or master where there is one, else the user's habit, else what is checked out."""
    head = _read(os.path.join(repository.common_dir, "refs", "remotes", remote, "HEAD"))
    prefix = f"ref: refs/remotes/{remote}/"
    if head.startswith(prefix):
        return head.removeprefix(prefix).strip()
    branches = read_refs(repository.common_dir, (_HEADS,))
    current = (repository.branch or "").removeprefix(_HEADS)
    for name in ("main", "master"):
        if name == current or _HEADS + name in branches:
            return name
    return repository.config.get("init.defaultbranch") or current or "main"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def parse_commit(body: bytes) -> Commit:
    """What the bytes of a commit object say; empty bytes: an empty commit. Source: git's Documentation/gitformat-*.txt and fsck."""
    head, _, message = body.partition(b"\n\n")
    parents: list[str] = []
    people: dict[str, Person] = {}
    for line in head.split(b"\n"):
        key, _, value = line.decode("utf-8", "replace").partition(" ")
        if key == "parent":
            parents.append(value)
        elif key in ("author", "committer"):
            people[key] = _person(value)
    return Commit(
        message=message.decode("utf-8", "replace").rstrip("\n"),
        author=people.get("author", Person()),
        committer=people.get("committer", Person()),
        parents=tuple(parents),
    )


def _person(value: str) -> Person:
    who, _, when = value.rpartition("> ")
    name, _, email = who.rpartition("<")
    seconds, _, zone = when.partition(" ")
    try:
        minutes = int(zone[:1] + "1") * (int(zone[1:3]) * 60 + int(zone[3:5]))
        time = datetime.fromtimestamp(int(seconds), UTC).astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    except (ValueError, OverflowError, OSError):  # a broken date is no reason not to run
        time = ""
    return Person(name=name.strip(), email=email, time=time)
