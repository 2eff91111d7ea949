"""Reads files and lists folders, of a snapshot's tree or straight from the working tree."""

from __future__ import annotations

import os
from collections.abc import Iterable

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source import git
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import Snapshot

PIPELINE_FOLDERS = (".github/workflows", ".sparki/pipelines")


def snapshot_env(snapshot: Snapshot) -> dict[str, str]:
    """The environment in which git sees all objects of `snapshot`, to read them only."""
    env = {**git.ISOLATED, "GIT_DIR": snapshot.git_dir}
    return {**env, "GIT_ALTERNATE_OBJECT_DIRECTORIES": git.in_list(snapshot.objects)} if snapshot.objects else env


def read(snapshot: Snapshot, path: str) -> bytes | None:
    """The content of the file at `path` of the tree, as it is stored. None: there is no such file (a symbolic link is none).

    Raises SparkiError `missing_object` and the like.
    """
    return read_many(snapshot, [path])[path]


def read_many(snapshot: Snapshot, paths: Iterable[str]) -> dict[str, bytes | None]:
    """`read` for several paths, with two processes for all of them."""
    contents: dict[str, bytes | None] = dict.fromkeys(paths)
    inside = [path for path in contents if _is_inside(path)]
    listed = _ls_tree(snapshot, [snapshot.tree, *inside]) if inside else []
    blobs = {path: name for mode, name, path in listed if mode.startswith("100")}
    if blobs:
        asked = "".join(f"{name}\n" for name in blobs.values()).encode()
        out = git.run(["cat-file", "--batch"], cwd=snapshot.git_dir, env=snapshot_env(snapshot), stdin=asked).checked()
        contents.update(zip(blobs, bodies(out), strict=True))
    return contents


def list_dir(snapshot: Snapshot, folder: str) -> list[str]:
    """The names in the folder at `folder` of the tree ("": its root), in byte order, folders with a `/` behind. [] where there is none."""
    if folder and not _is_inside(folder):
        return []
    listed = _ls_tree(snapshot, [snapshot.tree, *([folder.rstrip("/") + "/"] if folder else [])])
    return [os.path.basename(path) + ("/" if mode == "040000" else "") for mode, _, path in listed]


def list_all(snapshot: Snapshot) -> list[str]:
    """The path of every file of the tree, in git's order; no folders, no submodules."""
    env = {**snapshot_env(snapshot), "GIT_LITERAL_PATHSPECS": "1"}
    listed = git.run(["ls-tree", "-r", "-z", "--full-tree", snapshot.tree], cwd=snapshot.git_dir, env=env).checked()
    entries = (entry.partition("\t") for entry in os.fsdecode(listed).split("\0")[:-1])
    return [path for about, _, path in entries if not about.startswith("160000")]


def digests(snapshot: Snapshot) -> dict[str, str]:
    """Every file of the tree with its mode and the id of its content, those of submodules too. Raises SparkiError."""
    found = {path: f"{mode} {name}" for mode, name, path in _ls_tree(snapshot, ["-r", snapshot.tree])}
    for module in snapshot.submodules:
        found.pop(module.path, None)  # its commit bears a time, its files do not
        found |= {f"{module.path}/{path}": digest for path, digest in digests(module.snapshot).items()}
    return found


def links(snapshot: Snapshot) -> dict[str, str]:
    """Every symbolic link of the tree and what it says, those of submodules too. Raises SparkiError."""
    blobs = {path: name for mode, name, path in _ls_tree(snapshot, ["-r", snapshot.tree]) if mode == "120000"}
    found = {}
    if blobs:
        asked = "".join(f"{name}\n" for name in blobs.values()).encode()
        out = git.run(["cat-file", "--batch"], cwd=snapshot.git_dir, env=snapshot_env(snapshot), stdin=asked).checked()
        found = {path: os.fsdecode(body) for path, body in zip(blobs, bodies(out), strict=True)}
    for module in snapshot.submodules:
        found |= {f"{module.path}/{path}": target for path, target in links(module.snapshot).items()}
    return found


def _ls_tree(snapshot: Snapshot, arguments: list[str]) -> list[tuple[str, str, str]]:
    """(mode, id, path from the root) of each entry asked for; what is not there is not told."""
    env = {**snapshot_env(snapshot), "GIT_LITERAL_PATHSPECS": "1"}
    listed = git.run(["ls-tree", "-z", "--full-tree", *arguments], cwd=snapshot.git_dir, env=env).checked()
    entries = []
    for entry in os.fsdecode(listed).split("\0")[:-1]:
        about, _, path = entry.partition("\t")
        mode, _, name = about.split(" ")
        entries.append((mode, name, path))
    return entries


def bodies(batch: bytes) -> list[bytes]:
    """The objects that `git cat-file --batch` printed. Raises SparkiError `missing_object`."""
    bodies: list[bytes] = []
    at = 0
    while at < len(batch):
        end = batch.index(b"\n", at)
        words = batch[at:end].decode().split(" ")
        if words[-1] == "missing":
            raise SparkiError(git.problem_of(git.Result(1, b"", f"invalid object {words[0]}: it is not in this repository")))
        size = int(words[2])
        bodies.append(batch[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return bodies


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return bool(path) and not path.startswith("/") and ".." not in parts and "\0" not in path


def read_worktree(repository: Repository, path: str) -> bytes | None:
    """The content of the file at `path` of the working tree as it lies there now. None: there is no such file (a link out is none).

    Raises SparkiError `unreadable_file`.
    """
    place = _place(repository, path)
    try:
        if place is None or not os.path.isfile(place):
            return None
        with open(place, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {path}: {error.strerror}")) from error


def list_worktree(repository: Repository, folder: str) -> list[str]:
    """As `list_dir`, of the working tree as it lies there now; without `.git`."""
    place = _place(repository, folder) if folder else repository.root
    if place is None:
        return []
    try:
        with os.scandir(place) as entries:
            names = [entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "") for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((name for name in names if name.rstrip("/") != ".git"), key=lambda name: os.fsencode(name.rstrip("/")))


def pipelines(repository: Repository, snapshot: Snapshot | None = None) -> dict[str, bytes]:
    """Every pipeline file by its path, in byte order: of `snapshot`'s tree, else of the working tree as it lies there now.

    Source: GitHub reads .yml and .yaml files directly in .github/workflows; .sparki/pipelines is ours.
    """
    found: dict[str, bytes | None] = {}
    for folder in PIPELINE_FOLDERS:
        names = list_dir(snapshot, folder) if snapshot else list_worktree(repository, folder)
        paths = [f"{folder}/{name}" for name in names if name.endswith((".yml", ".yaml"))]
        found |= read_many(snapshot, paths) if snapshot else {path: read_worktree(repository, path) for path in paths}
    return {path: content for path, content in found.items() if content is not None}


def _place(repository: Repository, path: str) -> str | None:
    """Where `path` really is on disk; None where that is outside of the working tree."""
    if not _is_inside(path):
        return None
    place = os.path.realpath(os.path.join(repository.root, path))
    return place if place.startswith(os.path.realpath(repository.root) + os.sep) else None
