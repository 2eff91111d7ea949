"""Git objects made and read without a process: ids, loose files, commits."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable

from sparki_daemon.source import git
from sparki_daemon.system import digest as digests

ID_BYTES = {"sha1": 20, "sha256": 32}
_AT_ONCE_BYTES = 8 << 20
_AUTHOR = "Sparki <sparki@localhost>"
_DATE_OF_FIRST = "946684800 +0000"  # 2000-01-01, where there is no commit to take a date from


def write_loose(folder: str, kind: str, body: bytes, object_format: str) -> str:
    """Write one object into the object folder `folder` and return its id. Raises SparkiError `disk_full` or `cannot_write`."""
    data = f"{kind} {len(body)}\0".encode() + body
    name = digests.new(object_format, data).hexdigest()
    path = os.path.join(folder, name[:2], name[2:])
    if os.path.exists(path):
        return name
    partial = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(partial, "wb") as file:
            file.write(zlib.compress(data, 1))
        os.chmod(partial, 0o444)
        os.replace(partial, path)
    except OSError as error:
        raise git.os_problem(error, "the snapshot can't be kept") from error
    return name


class Changing(Exception):  # noqa: N818 - a signal between two functions of this package, no error for a user
    """A file grew or shrank while it was read."""


def write_blob(folder: str, descriptor: int, object_format: str) -> str:
    """Write the content of an open file, byte for byte, into the object folder `folder` and return its id; memory stays small.

    Raises Changing, SparkiError `disk_full`, `cannot_write`; OSError comes from reading.
    """
    size = os.fstat(descriptor).st_size
    if size <= _AT_ONCE_BYTES:
        body = _read_exactly(descriptor, size)
        if os.read(descriptor, 1):
            raise Changing
        return write_loose(folder, "blob", body, object_format)
    return _write_large(folder, descriptor, size, object_format)


def _write_large(folder: str, descriptor: int, size: int, object_format: str) -> str:
    header = f"blob {size}\0".encode()
    digest, packer = digests.new(object_format, header), zlib.compressobj(1)
    partial = os.path.join(folder, f"large-{os.getpid()}-{descriptor}.tmp")
    try:
        with open(partial, "wb") as file:
            file.write(packer.compress(header))
            left = size
            while left:
                chunk = _read_exactly(descriptor, min(left, _AT_ONCE_BYTES))
                digest.update(chunk)
                file.write(packer.compress(chunk))
                left -= len(chunk)
            file.write(packer.flush())
        name = digest.hexdigest()
        os.chmod(partial, 0o444)
        os.makedirs(os.path.join(folder, name[:2]), exist_ok=True)
        os.replace(partial, os.path.join(folder, name[:2], name[2:]))
    except OSError as error:
        raise git.os_problem(error, "the snapshot can't be kept") from error
    return name


def _read_exactly(descriptor: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            raise Changing
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_loose(folders: Iterable[str], name: str) -> bytes | None:
    """The body of a loose object that lies in one of `folders`, or None (it may still be in a pack)."""
    for folder in folders:
        try:
            with open(os.path.join(folder, name[:2], name[2:]), "rb") as file:
                data = zlib.decompress(file.read())
        except (OSError, zlib.error):
            continue
        return data.partition(b"\0")[2]
    return None


def read_commit(git_dir: str, objects: str, name: str) -> bytes:
    """The body of a commit: from its loose file, as new commits lie, else by git. Raises SparkiError `missing_object` and the like."""
    body = read_loose((objects,), name)
    return body if body is not None else git.run(["cat-file", "commit", name], cwd=git_dir, env={"GIT_DIR": git_dir}).checked()


def write_commit(folder: str, tree: str, parent: str | None, parent_body: bytes, object_format: str) -> str:
    """Write the commit that stands for a dirty tree, and return its id.

    Same tree and parent, same id: the author is fixed, and the date is the parent's own (a commit that is older than its
    parent makes git walk the whole history to find a merge base).
    """
    who = f"{_AUTHOR} {_committed(parent_body)}"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}", f"committer {who}", "", "Uncommitted changes", ""]
    return write_loose(folder, "commit", "\n".join(lines).encode(), object_format)


def _committed(body: bytes) -> str:
    for line in body.partition(b"\n\n")[0].splitlines():
        if line.startswith(b"committer "):
            return b" ".join(line.split(b" ")[-2:]).decode("ascii", "replace")
    return _DATE_OF_FIRST
