"""Turns changed files into blobs with the content that lies on disk, unconverted."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source.changes import Change
from sparki_daemon.source.objects import Changing, write_blob, write_loose
from sparki_daemon.system import digest as digests

GONE = "0"  # the mode that takes a path out of an index
_TRIES = 3
_SCAN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A line for `git update-index --index-info`."""

    mode: str
    blob: str
    path: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the changed files."""

    entries: tuple[Entry, ...]
    raw: tuple[str, ...]  # those whose content git might convert: a checkout must leave them as they are


def store(root: str, changes: Iterable[Change], objects_dir: str, *, object_format: str, attributes: bool, file_mode: bool) -> Stored:
    """Write the blob of each changed file below `root` into `objects_dir`.

    `attributes`: whether git converts content in this repository. `file_mode`: whether the file system's executable bit means something.
    Raises SparkiError `unreadable_file`, `disk_full`, `cannot_write`.
    """
    entries: list[Entry] = []
    raw: list[str] = []
    for change in changes:
        entry = _entry(root, change, objects_dir, object_format, file_mode=file_mode)
        if entry is None:
            continue
        if attributes and entry.mode.startswith("100"):
            path = os.path.join(root, change.path)
            if change.staged and _is_lfs_content(path, change.staged, object_format):
                continue
            if _convertible(path):
                raw.append(change.path)
        entries.append(entry)
    entries.sort(key=lambda entry: entry.mode != GONE)  # first what goes: a folder may stand where a file stood
    return Stored(tuple(entries), tuple(raw))


def _entry(root: str, change: Change, objects_dir: str, object_format: str, *, file_mode: bool) -> Entry | None:
    path = os.path.join(root, change.path)
    for _ in range(_TRIES):
        try:
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                return Entry("120000", write_loose(objects_dir, "blob", os.fsencode(os.readlink(path)), object_format), change.path)
            if not stat.S_ISREG(about.st_mode):
                break
            executable = about.st_mode & 0o100 if file_mode else change.mode == "100755"
            with _opened(path) as descriptor:
                return Entry("100755" if executable else "100644", write_blob(objects_dir, descriptor, object_format), change.path)
        except (FileNotFoundError, NotADirectoryError):
            break
        except Changing:
            continue
        except OSError as error:
            raise SparkiError(_unreadable(change.path, error.strerror or str(error))) from error
    else:
        raise SparkiError(_unreadable(change.path, "it keeps changing while it is read"))
    # Gone, or no file any more. What git never had needs no line.
    return Entry(GONE, "0" * len(change.staged), change.path) if change.staged else None


def _unreadable(path: str, reason: str) -> Problem:
    return Problem(code="unreadable_file", message=f"can't read {path}: {reason}", hint="make it readable, or name it in .gitignore")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_lfs_content(path: str, staged: str, object_format: str) -> bool:
    """Whether the index holds the Git LFS pointer to exactly this content: then nothing has changed, though the bytes differ.

    git asks the clean filter; here the pointer is made by hand. Source: git-lfs docs/spec.md, "The Pointer".
    """
    digest, size = digests.sha256(), 0
    with contextlib.suppress(OSError), open(path, "rb") as file:
        while chunk := file.read(_SCAN_BYTES):
            digest.update(chunk)
            size += len(chunk)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest.hexdigest()}\nsize {size}\n".encode()
    return digests.new(object_format, b"blob %d\0" % len(pointer) + pointer).hexdigest() == staged


def _convertible(path: str) -> bool:
    """Whether git's own conversions (line ends, $Id$, encodings) could change this content: most text they leave alone."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        while chunk := file.read(_SCAN_BYTES):
            if not chunk.isascii() or b"\r" in chunk or b"$Id" in chunk or b"\0" in chunk:
                return True
    return False
