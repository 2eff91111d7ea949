"""Takes the source of a run: the working tree as it is now, or a commit, as a git tree that nothing changes any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError, problem_from_json
from sparki_daemon.source import git
from sparki_daemon.source.changes import STATUS, parse
from sparki_daemon.source.content import GONE, Entry, store
from sparki_daemon.source.index_file import may_hold_gitlinks
from sparki_daemon.source.objects import read_commit, write_commit
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.scratch import Scratch

_GITLINK = "160000"
_NAMED_AT_MOST = 5  # files in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A tree, and where its objects lie. Paths are absolute; ids are hexadecimal."""

    tree: str
    commit: str  # github.sha: `head`, or a commit of ours on top of it
    ref: str | None  # full name of the branch or tag that it is of; None: detached
    head: str | None  # the commit that is checked out; None: there is none yet
    dirty: bool  # the tree differs from head's
    root: str  # the working tree that it was taken of
    git_dir: str  # the repository's common folder: its refs are there
    object_format: str
    objects: str | None  # our object folder; None: the repository has all of it
    alternates: tuple[str, ...]  # the repository's object folders
    submodules: tuple[Submodule, ...] = ()
    raw: tuple[str, ...] = ()  # files whose content a checkout must not convert, whatever the attributes say
    notes: tuple[Problem, ...] = ()  # what was left out

    def to_json(self) -> dict[str, Any]:
        """Plain data, `from_json`'s inverse."""
        return {
            "tree": self.tree,
            "commit": self.commit,
            "ref": self.ref,
            "head": self.head,
            "dirty": self.dirty,
            "root": self.root,
            "git_dir": self.git_dir,
            "object_format": self.object_format,
            "objects": self.objects,
            "alternates": list(self.alternates),
            "submodules": [{"path": module.path, "snapshot": module.snapshot.to_json()} for module in self.submodules],
            "raw": list(self.raw),
            "notes": [note.to_json() for note in self.notes],
        }

    def every_objects(self) -> tuple[str, ...]:
        """All object folders that hold a part of the tree, ours first."""
        return (*([self.objects] if self.objects else []), *self.alternates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule that is there, at `path` of the tree; the tree names its snapshot's commit."""

    path: str
    snapshot: Snapshot


def from_json(data: Mapping[str, Any]) -> Snapshot:
    """The snapshot that `Snapshot.to_json` wrote."""
    return Snapshot(
        **{key: data[key] for key in ("tree", "commit", "ref", "head", "dirty", "root", "git_dir", "object_format", "objects")},
        alternates=tuple(data["alternates"]),
        submodules=tuple(Submodule(path=module["path"], snapshot=from_json(module["snapshot"])) for module in data["submodules"]),
        raw=tuple(data["raw"]),
        notes=tuple(problem_from_json(note) for note in data["notes"]),
    )


def take(repository: Repository, objects_dir: str) -> Snapshot:
    """The working tree as it is now: uncommitted, and untracked but not ignored files too, submodules with a snapshot each.

    New objects go into `objects_dir`, which is made for it and vanishes again if it isn't needed. The repository is only read: at most
    an object there has its time freshened, where a changed folder's tree comes out as one that git already has.
    No filter runs: what git calls changed is taken byte for byte as it lies on disk, the rest as it was committed.
    Raises SparkiError: `unmerged_files`, `missing_object` (of a partial clone), `unreadable_file`, `disk_full`, `cannot_write`,
    `git_failed`.
    """
    return Taking(repository, objects_dir).finish()


class Taking:
    """`take` under way: git compares while its caller does something else. Raises as that does; what isn't finished leaves its folder."""

    def __init__(self, repository: Repository, objects_dir: str) -> None:
        self._repository = repository
        self._objects_dir = os.path.abspath(objects_dir)
        self._undo = contextlib.ExitStack()
        with self._undo:
            self._scratch = self._undo.enter_context(Scratch(repository, self._objects_dir))
            self._staged, self._status = _begin(self._scratch, repository)
            self._undo = self._undo.pop_all()

    def finish(self) -> Snapshot:
        """Wait for what git says, and keep what has changed."""
        with self._undo:
            taken = _take(self._scratch, self._repository, self._objects_dir, self._staged, self._status.finish())
        return _snapshot(self._repository, taken, self._objects_dir)


@dataclass(frozen=True, slots=True)
class _Taken:
    tree: str
    modules: tuple[Submodule, ...] = ()
    raw: tuple[str, ...] = ()
    notes: tuple[Problem, ...] = ()


def _begin(scratch: Scratch, repository: Repository) -> tuple[dict[str, str], git.Running]:
    """The submodules of the index, and git at work on what has changed."""
    root, env = repository.root, scratch.env(with_objects=True)
    if not scratch.original and repository.head:  # no index: one without file times makes git compare contents
        git.run(["read-tree", repository.head], cwd=root, env=env).checked()
    return _gitlinks(scratch, root), git.start(STATUS, cwd=root, env=env)


def _take(scratch: Scratch, repository: Repository, objects_dir: str, staged: Mapping[str, str], status: git.Result) -> _Taken:
    root = repository.root
    changes = parse(status.checked())
    if changes.unmerged:
        raise SparkiError(_unmerged(changes.unmerged))
    modules, notes = _take_submodules(repository, staged, objects_dir)
    notes += [_embedded(path) for path in changes.embedded]
    file_mode = repository.config.get("core.filemode", "true") != "false"
    attributes = bool(changes.files) and scratch.attributes_count()
    stored = store(root, changes.files, objects_dir, object_format=repository.object_format, attributes=attributes, file_mode=file_mode)
    entries = [*_moved(root, staged, modules), *stored.entries]
    tree = repository.tree
    if tree is None or entries or staged or changes.staged:
        tree = _write_tree(scratch, root, entries)
    if repository.is_partial:
        _refuse_missing(scratch, root, tree)
    return _Taken(tree, tuple(modules), stored.raw, tuple(notes))


def _write_tree(scratch: Scratch, root: str, entries: Sequence[Entry]) -> str:
    sparse = scratch.is_sparse()
    if entries or sparse:  # git writes a sparse index out in full here, which reads the trees that it stands for
        lines = "".join(f"{entry.mode} {entry.blob}\t{entry.path}\0" for entry in entries)
        env = scratch.env(with_objects=sparse)
        git.run(["update-index", "--force-write-index", "-z", "--index-info"], cwd=root, env=env, stdin=os.fsencode(lines)).checked()
    # Without the user's objects in sight git would write every folder's tree anew, also those that the index has noted.
    return git.run(["write-tree", "--missing-ok"], cwd=root, env=scratch.env(with_objects=True)).checked().decode().strip()


def _snapshot(repository: Repository, taken: _Taken, objects_dir: str) -> Snapshot:
    dirty = taken.tree != repository.tree
    commit = repository.head
    if dirty or commit is None:
        body = read_commit(repository.common_dir, repository.objects, repository.head) if repository.head else b""
        commit = write_commit(objects_dir, taken.tree, repository.head, body, repository.object_format)
    return Snapshot(
        tree=taken.tree,
        commit=commit,
        ref=repository.branch,
        head=repository.head,
        dirty=dirty,
        root=repository.root,
        git_dir=repository.common_dir,
        object_format=repository.object_format,
        objects=objects_dir if dirty else None,
        alternates=(repository.objects,),
        submodules=taken.modules,
        raw=taken.raw,
        notes=taken.notes,
    )


def _gitlinks(scratch: Scratch, root: str) -> dict[str, str]:
    """Every submodule of the index: path → commit."""
    if not scratch.original or not may_hold_gitlinks(scratch.original):
        return {}
    listed = git.run(["ls-files", "--stage", "-z"], cwd=root, env=scratch.env(with_objects=True)).checked()
    entries = (entry.partition("\t") for entry in os.fsdecode(listed).split("\0"))
    return {path: about.split(" ")[1] for about, _, path in entries if about.startswith(_GITLINK)}


def _unmerged(paths: Sequence[str]) -> Problem:
    more = f" and {len(paths) - _NAMED_AT_MOST} more" if len(paths) > _NAMED_AT_MOST else ""
    message = f"unmerged files: {', '.join(paths[:_NAMED_AT_MOST])}{more}"
    return Problem(code="unmerged_files", message=message, hint="resolve the conflicts and `git add` the files, or abort the merge")


def _take_submodules(repository: Repository, staged: Mapping[str, str], objects_dir: str) -> tuple[list[Submodule], list[Problem]]:
    modules: list[Submodule] = []
    notes: list[Problem] = []
    for path in staged:
        folder = os.path.join(repository.root, path)
        if not os.path.lexists(os.path.join(folder, ".git")):
            continue  # not initialised: the tree keeps naming its commit
        try:
            inner = _find_submodule(folder)
        except SparkiError as error:
            notes.append(replace(error.problems[0], message=f"submodule {path} is taken as committed: {error}"))
            continue
        snapshot = take(inner, objects_dir)
        modules.append(Submodule(path=path, snapshot=snapshot))
        notes += [replace(note, message=f"in submodule {path}: {note.message}") for note in snapshot.notes]
    return modules, notes


def _find_submodule(folder: str) -> Repository:
    """The repository of a submodule. Git passes over a broken `.git` and finds the one around it: that is none."""
    inner = find(folder)
    if not os.path.samefile(inner.root, folder):
        raise SparkiError(Problem(code="no_repository", message=f"{folder} has a broken .git", hint="git submodule update --init"))
    return inner


def _embedded(path: str) -> Problem:
    message = f"{path} is a git repository of its own, and no submodule: left out"
    return Problem(code="embedded_repository", message=message, hint="add it as a submodule, or name it in .gitignore")


def _moved(root: str, staged: Mapping[str, str], modules: Sequence[Submodule]) -> list[Entry]:
    """The index lines that let the tree name the commit of each submodule's snapshot, without the submodules that are gone."""
    gone = [Entry(GONE, "0" * len(name), path) for path, name in staged.items() if not os.path.lexists(os.path.join(root, path))]
    moved = (module for module in modules if module.snapshot.commit != staged[module.path])
    return [*gone, *(Entry(_GITLINK, module.snapshot.commit, module.path) for module in moved)]


def _refuse_missing(scratch: Scratch, root: str, tree: str) -> None:
    args = ["rev-list", "--objects", "--missing=print", "--no-object-names", tree]
    listed = git.run(args, cwd=root, env=scratch.env(with_objects=True)).checked().decode()
    missing = [line for line in listed.splitlines() if line.startswith("?")]
    if missing:
        message = f"{len(missing)} objects of this source were never fetched: the repository is a partial clone"
        hint = "fetch them, for example with `git fetch --refetch --no-filter`, or by checking out all of it"
        raise SparkiError(Problem(code="missing_object", message=message, hint=hint))


def at_revision(repository: Repository, rev: str, objects_dir: str) -> Snapshot:
    """The source at a commit: `rev` is anything that `git rev-parse` takes. Submodules are there where they have been fetched.

    `objects_dir` stays unused: a commit is all in the repository.
    Raises SparkiError: `no_such_revision`, `missing_object`.
    """
    named = git.start(["rev-parse", "--symbolic-full-name", "--quiet", "--verify", "--end-of-options", rev], cwd=repository.root)
    commit = git.run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"], cwd=repository.root)
    ref = _branch_or_tag(os.fsdecode(named.finish().out).strip())
    if commit.code != 0:
        problem = Problem(code="no_such_revision", message=f"there is no revision '{rev}' here", hint="`git log --all` lists the commits")
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    name = commit.out.decode().strip()
    body = read_commit(repository.common_dir, repository.objects, name)
    tree = body.partition(b"\n")[0].removeprefix(b"tree ").decode()
    modules, notes = _submodules_at(repository, tree, objects_dir)
    return _snapshot(replace(repository, head=name, tree=tree, branch=ref), _Taken(tree, modules, (), notes), objects_dir)


def _branch_or_tag(ref: str) -> str | None:
    if ref.startswith("refs/remotes/"):
        return "refs/heads/" + ref.split("/", 3)[3]
    return ref if ref.startswith(("refs/heads/", "refs/tags/")) else None


def _submodules_at(repository: Repository, tree: str, objects_dir: str) -> tuple[tuple[Submodule, ...], tuple[Problem, ...]]:
    listed = git.run(["ls-tree", "-r", "-z", tree], cwd=repository.root, env={"GIT_DIR": repository.common_dir}).checked()
    modules: list[Submodule] = []
    notes: list[Problem] = []
    for about, _, path in (entry.partition("\t") for entry in os.fsdecode(listed).split("\0")):
        folder = os.path.join(repository.root, path)
        if not about.startswith(_GITLINK) or not os.path.lexists(os.path.join(folder, ".git")):
            continue
        try:
            modules.append(Submodule(path=path, snapshot=at_revision(_find_submodule(folder), about.split(" ")[2], objects_dir)))
        except SparkiError as error:
            notes.append(replace(error.problems[0], message=f"submodule {path} is left empty: {error}"))
    return tuple(modules), tuple(notes)
