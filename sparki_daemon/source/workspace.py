"""Fills a job's workspace: a real repository whose HEAD is the commit of a snapshot, with its files."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from enum import Enum

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source import filled, git
from sparki_daemon.source.history import shallow_commits
from sparki_daemon.source.index_file import may_hold_attributes
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.snapshot import Snapshot, Submodule
from sparki_daemon.system.files import remove_tree

_ORIGIN = "refs/remotes/origin/"
_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_BEFORE_ALL = 1  # a time of an index: git looks into every file that changed since then, whatever else it knows of it. 0 is no time


class Submodules(Enum):
    """Which submodules a checkout brings; the others stay empty folders, as git leaves them."""

    NONE = "none"
    TOP = "top"
    ALL = "all"


def fill(
    snapshot: Snapshot,
    destination: str,
    *,
    branch: str | None = None,
    origin: str | None = None,
    remote: str = "origin",
    submodules: Submodules = Submodules.NONE,
    clean: bool = True,
    sparse_patterns: str | None = None,
    depth: int = 0,
    tags: bool = True,
    tag: str = "",
    kept: str = "",
) -> None:
    """Make the folder `destination` a repository at `snapshot`: HEAD, index and files agree, and `git status` is clean.

    `branch`: a full ref name under refs/heads/ that HEAD is on; None: detached. `origin`: the URL of the remote, without credentials.
    `remote`: what the user's repository calls it. `clean`: whether files that were there before go. `sparse_patterns`: see `sparse`.
    `depth`: how many commits of the history show; 0: all, with the user's remote branches, or the local ones that were never pushed.
    `tags`: whether all tags are there too; else only `tag`, a full ref name, if any.
    `kept`: where a workspace may lie that was filled before (`filled`), to be used, and where one of this source is to be kept.
    Objects are borrowed from the user's repository and our object folder, never linked or copied.
    Raises SparkiError `missing_object`, `disk_full`, `cannot_write`, `git_failed`.
    """
    destination = os.path.abspath(destination)
    folder = os.path.join(destination, ".git")
    try:
        index = _make_room(destination, clean=clean)
        if index or not filled.suits(snapshot, sparse=sparse_patterns is not None):
            kept = ""
        index = index or (_take(kept, destination) if kept else b"")
        refs = _users_refs(snapshot, remote, whole=depth <= 0, tags=tags, tag=tag)
        shown = shallow_commits(snapshot, depth, refs.values() if depth > 0 else ())
        _write_repository(snapshot, folder, branch, _config(snapshot, origin, submodules, sparse=sparse_patterns is not None))
        _write(folder, "info/sparse-checkout", os.fsencode(sparse_patterns or ""))
        _write(folder, "shallow", "".join(f"{commit}\n" for commit in shown).encode())
        _write(folder, "packed-refs", _packed_refs(refs, remote, branch, snapshot.commit))
        _put_files(snapshot, destination, index, kept)
    except OSError as error:
        raise git.os_problem(error, "the workspace can't be filled") from error
    if submodules is not Submodules.NONE:
        inner = submodules if submodules is Submodules.ALL else Submodules.NONE
        for module in snapshot.submodules:
            _fill_submodule(module, destination, inner, depth, tags=tags)


def _fill_submodule(module: Submodule, destination: str, inner: Submodules, depth: int, *, tags: bool) -> None:
    folder = os.path.join(destination, module.path)
    if os.path.isdir(folder):  # a sparse checkout may have left it out
        fill(module.snapshot, folder, submodules=inner, depth=depth, tags=tags)


def _take(kept: str, destination: str) -> bytes:
    """The index of the files that lay at `kept`, and are in `destination` now; empty: there are none."""
    try:
        return filled.take(kept, destination)
    except OSError:  # what can't be used, or removed, by us
        _empty(destination)
        remove_tree(kept)
        return b""


def _put_files(snapshot: Snapshot, destination: str, index: bytes, kept: str) -> None:
    """Fill the working tree; with an `index` it holds files already. Where that comes to nothing it is filled as an empty one."""
    folder = os.path.join(destination, ".git")
    if index:
        _write(folder, "index", index)
        os.utime(os.path.join(folder, "index"), (_BEFORE_ALL, _BEFORE_ALL))
    try:
        written = _read_tree(snapshot, destination, folder)
        again = bool(index and kept) and may_hold_attributes(written)  # they say how files are written, those too that were there before
    except SparkiError:
        if not (index and kept):
            raise
        again = True  # an empty folder is less likely to fail, and tells it if it does
    if again:
        _empty(destination)
        written = _read_tree(snapshot, destination, folder)
    if kept:
        filled.note(written, kept)


def _empty(destination: str) -> None:
    """Take all files from a workspace whose repository stays, if it has one, and its index."""
    for name in os.listdir(destination):
        if name != ".git":
            remove(os.path.join(destination, name))
    for name in ("index", "index.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(destination, ".git", name))


def _read_tree(snapshot: Snapshot, destination: str, folder: str) -> bytes:
    """Index and files from the tree, by one process; gives the index. The job's settings do not count yet: no filter, no hook."""
    env = {**git.ISOLATED, "GIT_DIR": folder, "GIT_WORK_TREE": destination}
    git.run(["read-tree", "--reset", "-u", snapshot.tree], cwd=destination, env=env).checked()
    with open(os.path.join(folder, "index"), "rb") as file:
        return file.read()


def _make_room(destination: str, *, clean: bool) -> bytes:
    """Make `destination` an empty folder, or, unless `clean`, one without a repository but with its files; returns the old index."""
    os.makedirs(destination, exist_ok=True)
    repository = os.path.join(destination, ".git")
    if not os.path.isdir(repository) or os.path.islink(repository):
        clean = True  # what is no repository is emptied, as actions/checkout does
    if clean:
        for name in os.listdir(destination):
            remove(os.path.join(destination, name))
        return b""
    try:
        with open(os.path.join(repository, "index"), "rb") as file:
            index = file.read()
    except FileNotFoundError:
        index = b""
    remove(repository)
    return index


def remove(path: str) -> None:
    """Remove a file, link or folder with all that is in it, also from folders that were made read-only. Raises OSError."""
    import shutil  # noqa: PLC0415 - costs milliseconds, and a fresh workspace has nothing to remove

    def unlock(retry: Callable[[str], object], name: str, _error: object) -> None:
        for folder in (os.path.dirname(name), name):
            if os.path.isdir(folder) and not os.path.islink(folder):
                os.chmod(folder, stat.S_IRWXU)
        if retry in (os.rmdir, os.unlink):
            retry(name)
        else:  # it could not be listed or entered
            shutil.rmtree(name)

    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path, onerror=unlock)


def _write_repository(snapshot: Snapshot, folder: str, branch: str | None, config: str) -> None:
    for name in ("", "objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags", "info"):
        os.mkdir(os.path.join(folder, name))
    _write(folder, "HEAD", f"ref: {branch}\n".encode("utf-8", "surrogateescape") if branch else f"{snapshot.commit}\n".encode())
    _write(folder, "config", config.encode("utf-8", "surrogateescape"))
    borrowed = "".join(f"{git.quoted(path) if _odd(path) else path}\n" for path in snapshot.every_objects())
    _write(folder, "objects/info/alternates", os.fsencode(borrowed))
    _write(folder, "info/attributes", os.fsencode(_unconverted(snapshot.raw)))


def _odd(path: str) -> bool:
    return path.startswith(("#", '"')) or "\n" in path


def _write(folder: str, name: str, data: bytes) -> None:
    if data:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def _config(snapshot: Snapshot, origin: str | None, submodules: Submodules, *, sparse: bool) -> str:
    extended = snapshot.object_format != "sha1"  # where nothing is special, stay readable for every implementation of git
    lines = ["[core]", f"repositoryformatversion = {int(extended)}", "filemode = true", "bare = false", "logallrefupdates = true"]
    if sparse:
        lines += ["sparseCheckout = true"]
    if extended:
        lines += ["[extensions]", f"objectFormat = {snapshot.object_format}"]
    lines += ["[gc]", "auto = 0"]  # no housekeeping behind a job's back
    if origin:
        lines += ['[remote "origin"]', f"url = {git.quoted(origin)}", f"fetch = +{_HEADS}*:{_ORIGIN}*"]
    if submodules is not Submodules.NONE:
        lines += ["[submodule]", "active = ."]
    return "\n".join(lines) + "\n"


def _unconverted(paths: tuple[str, ...]) -> str:
    """Attributes that keep git from converting these files: their blobs already hold what lay on disk."""
    return "".join(f"{_attribute_pattern(path)} -text -eol -ident -working-tree-encoding\n" for path in paths)


def _attribute_pattern(path: str) -> str:
    escaped = "".join("\\" + character if character in "\\*?[" else character for character in path)
    return git.quoted("/" + escaped)


def _users_refs(snapshot: Snapshot, remote: str, *, whole: bool, tags: bool, tag: str) -> dict[str, str]:
    """What of the user's refs shows: with the `whole` history all branches, all `tags` or the one `tag`."""
    folders = (*((_HEADS, f"refs/remotes/{remote}") if whole else ()), *((_TAGS,) if tags or tag else ()))
    found = read_refs(snapshot.git_dir, folders) if folders else {}
    return {name: value for name, value in found.items() if tags or name == tag or not name.startswith(_TAGS)}


def _packed_refs(users: dict[str, str], remote: str, branch: str | None, commit: str) -> bytes:
    """The refs of the workspace: tags and remote branches as the user has them; a branch never pushed counts as the remote's too."""
    refs = {_ORIGIN + ref.removeprefix(_HEADS): value for ref, value in users.items() if ref.startswith(_HEADS)}
    for ref, value in users.items():
        if ref.startswith(_TAGS):
            refs[ref] = value
        elif not ref.startswith(_HEADS) and not ref.endswith("/HEAD"):
            refs[_ORIGIN + ref.removeprefix(f"refs/remotes/{remote}/")] = value
    if branch:
        refs[branch] = refs[_ORIGIN + branch.removeprefix(_HEADS)] = commit
    lines = ["# pack-refs with: sorted ", *(f"{name} {ref}" for ref, name in sorted(refs.items(), key=lambda item: os.fsencode(item[0])))]
    return os.fsencode("\n".join(lines) + "\n")


def refuse_outside(workspace: str, path: str) -> str:
    """The folder at `path` of `workspace`. Raises SparkiError `path_outside_workspace`."""
    folder = os.path.normpath(os.path.join(workspace, path))
    root = os.path.normpath(workspace)
    if folder != root and not folder.startswith(root + os.sep):
        raise SparkiError(Problem(code="path_outside_workspace", message=f"checkout's path '{path}' is not under the workspace"))
    return folder
