"""Takes the source of a run: the working tree as it is now, or a commit, as a git tree that nothing changes any more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError, problem_from_json
from sparki_daemon.source import git
from sparki_daemon.source.index_file import cached_tree, may_hold_gitlinks
from sparki_daemon.source.objects import ID_BYTES, read_commit, write_commit
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.scratch import Scratch

_GITLINK = "160000"
_NAMED_AT_MOST = 5  # files in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A tree, and where its objects lie. Paths are absolute; ids are hexadecimal."""

    tree: str
    commit: str  # github.sha: `head`, or a commit of ours on top of it
    head: str | None  # the commit that is checked out; None: there is none yet
    dirty: bool  # the tree differs from head's
    git_dir: str  # the repository's common folder: its refs are there
    object_format: str
    objects: str | None  # our object folder; None: the repository has all of it
    alternates: tuple[str, ...]  # the repository's object folders
    submodules: tuple[Submodule, ...] = ()
    notes: tuple[Problem, ...] = ()  # what was left out

    def to_json(self) -> dict[str, Any]:
        """Plain data, `from_json`'s inverse."""
        return {
            "tree": self.tree,
            "commit": self.commit,
            "head": self.head,
            "dirty": self.dirty,
            "git_dir": self.git_dir,
            "object_format": self.object_format,
            "objects": self.objects,
            "alternates": list(self.alternates),
            "submodules": [{"path": module.path, "snapshot": module.snapshot.to_json()} for module in self.submodules],
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
        **{key: data[key] for key in ("tree", "commit", "head", "dirty", "git_dir", "object_format", "objects")},
        alternates=tuple(data["alternates"]),
        submodules=tuple(Submodule(path=module["path"], snapshot=from_json(module["snapshot"])) for module in data["submodules"]),
        notes=tuple(problem_from_json(note) for note in data["notes"]),
    )


def take(repository: Repository, objects_dir: str) -> Snapshot:
    """The working tree as it lies on disk: uncommitted, and untracked but not ignored files too, submodules with a snapshot each.

    New objects go into `objects_dir`, which is made for it and vanishes again if it isn't needed. The repository is only read.
    No filter runs: a changed file under one (LFS) is taken with its content. Line ends and encodings that the attributes declare
    are converted as a commit would.
    Raises SparkiError: `unmerged_files`, `missing_object` (of a partial clone), `disk_full`, `cannot_write`, `unreadable_file`, `git_failed`.
    """
    objects_dir = os.path.abspath(objects_dir)
    id_bytes = ID_BYTES[repository.object_format]
    with Scratch(repository, objects_dir) as scratch:
        staged = _staged(scratch, repository, id_bytes)
        modules, notes = _take_submodules(repository, staged, objects_dir)
        kept_out = [path for path in staged if os.path.lexists(os.path.join(repository.root, path))]
        notes += _add_all(scratch, repository, kept_out)
        _record(scratch, repository, modules, staged)
        tree = cached_tree(scratch.staged_index(), id_bytes)
        if tree is None:
            written = git.run(["write-tree", "--missing-ok"], cwd=repository.root, env=scratch.env(with_objects=False))
            tree = written.checked().decode().strip()
        if repository.is_partial:
            _refuse_missing(scratch, repository, tree)
    return _snapshot(repository, tree, objects_dir, modules, notes)


def _snapshot(repository: Repository, tree: str, objects_dir: str, modules: Sequence[Submodule], notes: Sequence[Problem]) -> Snapshot:
    dirty = tree != repository.tree
    commit = repository.head
    if dirty or commit is None:
        body = read_commit(repository.common_dir, repository.objects, repository.head) if repository.head else b""
        commit = write_commit(objects_dir, tree, repository.head, body, repository.object_format)
    else:
        _remove_if_empty(objects_dir)
    return Snapshot(
        tree=tree,
        commit=commit,
        head=repository.head,
        dirty=dirty,
        git_dir=repository.common_dir,
        object_format=repository.object_format,
        objects=objects_dir if dirty else None,
        alternates=(repository.objects,),
        submodules=tuple(modules),
        notes=tuple(notes),
    )


def _remove_if_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # a submodule's objects are in it, or blobs that turned out to be no news: its owner removes it
        return


def _staged(scratch: Scratch, repository: Repository, id_bytes: int) -> dict[str, str]:
    """Every submodule of the index: path → commit. Raises SparkiError `unmerged_files`."""
    gitlinks = may_hold_gitlinks(scratch.original)
    if not scratch.original or (not gitlinks and cached_tree(scratch.original, id_bytes)):
        return {}  # git notes no tree while entries are unmerged
    listed = git.run(["ls-files", "-s" if gitlinks else "-u", "-z"], cwd=repository.root, env=scratch.env()).checked()
    modules: dict[str, str] = {}
    unmerged: dict[str, None] = {}
    for entry in os.fsdecode(listed).split("\0")[:-1]:
        about, _, path = entry.partition("\t")
        mode, name, stage = about.split(" ")
        if stage != "0":
            unmerged[path] = None
        elif mode == _GITLINK:
            modules[path] = name
    if unmerged:
        raise SparkiError(_unmerged(list(unmerged)))
    return modules


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
            inner = find(folder)
        except SparkiError as error:
            notes.append(replace(error.problems[0], message=f"submodule {path} is taken as committed: {error}"))
            continue
        snapshot = take(inner, objects_dir)
        modules.append(Submodule(path=path, snapshot=snapshot))
        notes += [replace(note, message=f"in submodule {path}: {note.message}") for note in snapshot.notes]
    return modules, notes


def _add_all(scratch: Scratch, repository: Repository, kept_out: Sequence[str]) -> list[Problem]:
    """Stage the whole working tree in the scratch index, without the paths `kept_out`; returns what else was left out."""
    added = _add(scratch, repository, kept_out)
    if "does not have a commit checked out" not in added.err and "adding embedded git repository" not in added.err:
        added.checked()
        return []
    scratch.copy_index()
    listed = git.run(["ls-files", "-z", "--others", "--exclude-standard"], cwd=repository.root, env=scratch.env()).checked()
    embedded = [path[:-1] for path in os.fsdecode(listed).split("\0") if path.endswith("/")]
    _add(scratch, repository, [*kept_out, *embedded]).checked()
    hint = "add it as a submodule, or name it in .gitignore"
    return [
        Problem(code="embedded_repository", message=f"{path} is a git repository of its own, and no submodule: left out", hint=hint)
        for path in embedded
    ]


def _add(scratch: Scratch, repository: Repository, kept_out: Sequence[str]) -> git.Result:
    # --sparse: what lies outside a sparse checkout's patterns and is there is part of the working tree too.
    args = ["add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul"]
    pathspecs = [".", *(f":(exclude,top,literal){path}" for path in kept_out)]
    return git.run(args, cwd=repository.root, env=scratch.env(), stdin=os.fsencode("\0".join(pathspecs) + "\0"))


def _record(scratch: Scratch, repository: Repository, modules: Sequence[Submodule], staged: Mapping[str, str]) -> None:
    """Let the tree name the commit of each submodule's snapshot."""
    moved = [module for module in modules if module.snapshot.commit != staged[module.path]]
    if moved:
        lines = "".join(f"{_GITLINK} {module.snapshot.commit}\t{module.path}\0" for module in moved)
        args = ["update-index", "-z", "--index-info"]
        git.run(args, cwd=repository.root, env=scratch.env(with_objects=False), stdin=os.fsencode(lines)).checked()


def _refuse_missing(scratch: Scratch, repository: Repository, tree: str) -> None:
    args = ["rev-list", "--objects", "--missing=print", "--no-object-names", tree]
    listed = git.run(args, cwd=repository.root, env=scratch.env(with_objects=True)).checked().decode()
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
    asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"]
    commit = git.run(asked, cwd=repository.root)
    if commit.code != 0:
        problem = Problem(code="no_such_revision", message=f"there is no revision '{rev}' here", hint="`git log --all` lists the commits")
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    name = commit.out.decode().strip()
    body = read_commit(repository.common_dir, repository.objects, name)
    tree = body.partition(b"\n")[0].removeprefix(b"tree ").decode()
    return _snapshot(replace(repository, head=name, tree=tree), tree, objects_dir, (), ())
