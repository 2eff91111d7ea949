"""Asks git what a push of the source would bring: where the branch stood on the remote before it, and the commits on top.

Source: GITHUB.md §4; GitHub's docs, "Webhook events and payloads" (push) and "Workflow syntax", `on.<event>.paths`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field, replace
from sparki_daemon.source import git
from sparki_daemon.source.facts import Commit, Facts, parse_commit
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot

MOST_COMMITS = 2048
"""How many commits a payload names."""
MOST_COMPARED = 1000
"""With more new commits than these GitHub compares no files: every `paths` lets the push pass."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A commit that a push brings. `distinct`: no other branch of the remote has it."""

    id: str
    tree: str
    commit: Commit
    distinct: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a real push did to one ref, as a hook is told. `before` None: it was not there.

    `others`: where the remote's branches stood before the push, by full name. `git_dir`: the repository that was pushed to, where the
    commit is; empty: the user's own, which is about to push it.
    """

    ref: str
    before: str | None
    after: str
    others: Mapping[str, str] = field(default_factory=dict)
    git_dir: str = ""

    @property
    def branch(self) -> str:
        """The branch's name; empty: it is none."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""

    @property
    def name(self) -> str:
        """The name of the branch or tag."""
        return self.branch or self.ref.removeprefix("refs/tags/")

    def to_json(self) -> dict[str, Any]:
        """Plain data, `update_from_json`'s inverse."""
        return {"ref": self.ref, "before": self.before, "after": self.after, "others": dict(self.others), "git_dir": self.git_dir}


def update_from_json(data: Mapping[str, Any]) -> Update:
    """The update that `to_json` wrote, or a request brings; a `before` of zeros is none."""
    before = data.get("before") or ""
    return Update(
        ref=data["ref"],
        before=before if before.strip("0") else None,
        after=data["after"],
        others=data.get("others") or {},
        git_dir=data.get("git_dir", ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A push that would bring this source.

    `before` None: it creates its branch or tag. `base`: what its files are compared with, a commit or a tree; empty: GitHub would not
    compare, or it isn't known. `told`: a remote tells what was there before, and the push brings something to it.
    """

    before: str | None
    base: str
    commits: tuple[Pushed, ...]  # the oldest first, 2,048 at most
    forced: bool = False
    told: bool = False


def push_of(repository: Repository, snapshot: Snapshot, known: Facts) -> Push:
    """The push that would bring this source, uncommitted changes being one more commit.

    Without a remote, and where the remote's branch has all of it, it is the push of the last commit alone; a new branch is compared
    with where it left all others of the remote. Raises SparkiError where git can't tell.
    """
    branch = known.branch_name
    if branch is None and not known.detached:  # a tag, whose push brings no commits
        return Push(before=None, base="", commits=())
    if branch is None or not snapshot.head:
        return _last(snapshot, known)
    there = _tracked(repository, known)
    if not there:
        return _last(snapshot, known) if branch == known.default_branch else new_branch(repository, snapshot, known)
    before = there.get(branch)
    if before is None:
        return new_branch(repository, snapshot, known)
    if before == snapshot.head:
        return _onto_head(snapshot, known)
    return _onto(repository, snapshot, known, before, [sha for name, sha in there.items() if name != branch])


def new_branch(repository: Repository, snapshot: Snapshot, known: Facts) -> Push:
    """The push that would create the source's branch: its new commits are those that no other branch of the remote has.

    Where there is no remote, the other branches here stand for it. Its files are compared with the parent of its deepest new commit.
    """
    there = _tracked(repository, known)
    told = bool(there)
    if not there:
        heads = read_refs(repository.common_dir, ("refs/heads",))
        there = {name.removeprefix("refs/heads/"): sha for name, sha in heads.items()}
    others = [sha for name, sha in there.items() if name != known.branch_name]
    commits = (*_new(repository, snapshot, others), *_uncommitted(snapshot, known))
    base = next(iter(commits[0].commit.parents), _empty_tree(snapshot)) if 0 < len(commits) <= MOST_COMPARED else ""
    return Push(before=None, base=base, commits=commits, told=told and bool(commits))


def received(repository: Repository, snapshot: Snapshot, update: Update) -> Push:
    """The push that a hook was told of: what it brought is exactly what was not there before it."""
    if not update.branch:
        return Push(before=update.before, base="", commits=(), told=True)
    there = [sha for name, sha in update.others.items() if name != update.ref]
    if update.before is None:
        commits = _new(repository, snapshot, there)
        base = next(iter(commits[0].commit.parents), _empty_tree(snapshot)) if 0 < len(commits) <= MOST_COMPARED else ""
        return Push(before=None, base=base, commits=commits, told=True)
    merged = git.start(["merge-base", "--is-ancestor", update.before, str(snapshot.head)], cwd=repository.root)
    commits = _with_distinct(repository, snapshot, [update.before], there)
    base = update.before if len(commits) <= MOST_COMPARED else ""
    return Push(before=update.before, base=base, commits=commits, forced=merged.finish().code != 0, told=True)


def _onto(repository: Repository, snapshot: Snapshot, known: Facts, before: str, others: list[str]) -> Push:
    """A push onto a branch of the remote that stands elsewhere."""
    merged = git.start(["merge-base", "--is-ancestor", before, str(snapshot.head)], cwd=repository.root)
    new = _with_distinct(repository, snapshot, [before], others)
    forced = merged.finish().code != 0
    commits = (*new, *_uncommitted(snapshot, known))
    if not commits:  # the remote is ahead: there is nothing to push
        return _last(snapshot, known)
    base = before if len(commits) <= MOST_COMPARED else ""
    return Push(before=before, base=base, commits=commits, forced=forced, told=True)


def _with_distinct(repository: Repository, snapshot: Snapshot, before: list[str], others: list[str]) -> tuple[Pushed, ...]:
    """The new commits, each with whether no other branch has it."""
    new = _new(repository, snapshot, before)
    distinct = {one.id for one in _new(repository, snapshot, [*before, *others])} if others and new else {one.id for one in new}
    return tuple(Pushed(one.id, one.tree, one.commit, one.id in distinct) for one in new)


def _onto_head(snapshot: Snapshot, known: Facts) -> Push:
    if not snapshot.dirty:
        return _last(snapshot, known)
    return Push(before=snapshot.head, base=str(snapshot.head), commits=_uncommitted(snapshot, known), told=True)


def _last(snapshot: Snapshot, known: Facts) -> Push:
    """The push of the last commit, or of the uncommitted changes, alone."""
    commits = _uncommitted(snapshot, known) or (Pushed(known.sha, known.tree, known.commit),)
    before = next(iter(commits[0].commit.parents), None)
    return Push(before=before, base=before or _empty_tree(snapshot), commits=commits)


def _uncommitted(snapshot: Snapshot, known: Facts) -> tuple[Pushed, ...]:
    """The commit that stands for a dirty tree: as if the author of the one below had gone on."""
    if not snapshot.dirty and snapshot.head:
        return ()
    below = known.commit
    parents = (snapshot.head,) if snapshot.head else ()
    return (Pushed(known.sha, known.tree, replace(below, parents=parents)),)


def _tracked(repository: Repository, known: Facts) -> dict[str, str]:
    """Where the branches of the remote stood when it was last heard of, by name."""
    folder = f"refs/remotes/{known.remote_name}/"
    return {name.removeprefix(folder): sha for name, sha in read_refs(repository.common_dir, (folder,)).items()}


def _new(repository: Repository, snapshot: Snapshot, known_there: Iterable[str]) -> tuple[Pushed, ...]:
    """The commits below HEAD that can't be reached from those, the deepest first."""
    args = ["rev-list", "--header", "--topo-order", f"--max-count={MOST_COMMITS}", "--ignore-missing", "--stdin"]
    asked = "\n".join([str(snapshot.head), *(f"^{sha}" for sha in dict.fromkeys(known_there)), ""])
    listed = git.run(args, cwd=repository.root, env={"GIT_NO_REPLACE_OBJECTS": "1"}, stdin=asked.encode()).checked()
    return tuple(_parsed(record) for record in reversed(listed.split(b"\0")[:-1]))


def _parsed(record: bytes) -> Pushed:
    """A record of `rev-list --header`: the id, then the commit with its message set in by four blanks."""
    name, _, body = record.partition(b"\n")
    head, blank, message = body.partition(b"\n\n")
    plain = b"\n".join(line.removeprefix(b"    ") for line in message.split(b"\n"))
    tree = head.partition(b"\n")[0].removeprefix(b"tree ")
    return Pushed(os.fsdecode(name), os.fsdecode(tree), parse_commit(head + blank + plain))


def _empty_tree(snapshot: Snapshot) -> str:
    """The id of the tree that holds nothing, which git knows without having it."""
    if snapshot.object_format == "sha256":
        return "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    return "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
