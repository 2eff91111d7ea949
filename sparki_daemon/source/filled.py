"""A workspace that an earlier job left, with nothing in it but what git had put there: to fill it again writes what differs.

What a job has touched is told by what git's index noted of each file when it was written (times of content and of state in nanoseconds,
inode, owner, rights, size): whatever differs in one of these is removed, and written anew. That alone would not do: a file system in
memory notes no time of what is written through a mapping. So git compares the content of each file that is used again with the blob that
it stands for, since its index is given a time before all of them. Beside the folder lies its index, as it was when git had filled it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct

from sparki_daemon.source import index_file
from sparki_daemon.source.snapshot import Snapshot
from sparki_daemon.system.files import remove_tree, write_atomic

MOST_INDEX_BYTES = 4 << 20  # some 40,000 files
MOST_BYTES = 256 << 20  # of the files of a workspace that waits for the next job
MOST_MEAN_BYTES = 64 << 10  # larger ones are written as soon as they are compared
_RIGHTS = {stat.S_IFREG: (0o644, 0o755), stat.S_IFLNK: (0o777,)}
_HARMLESS = {"security.selinux"}  # an attribute that every folder bears, where any does


def index_of(kept: str) -> str:
    """Where the index of the workspace that is kept at `kept` lies."""
    return f"{kept}.index"


def suits(snapshot: Snapshot, *, sparse: bool) -> bool:
    """Whether a workspace of this source is as a fresh one when git has written what differs from another's."""
    return not (sparse or snapshot.submodules or snapshot.raw) and snapshot.object_format == "sha1"


def note(index: bytes, kept: str) -> None:
    """Remember how git has just filled a workspace, whose index this is, where it may be used again. Raises OSError.

    Where attributes say what files are written like, it may not: they may differ where the content does not.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(index_of(kept))
    if len(index) <= MOST_INDEX_BYTES and not index_file.may_hold_attributes(index):
        write_atomic(index_of(kept), index, durable=False)


def tidy(folder: str, kept: str) -> bool:
    """Leave in `folder` nothing but what is as `kept`'s index has it; False: that is not worth keeping. Raises OSError."""
    noted = _Noted(index_of(kept))
    taken = noted.total()
    return 0 < taken <= min(MOST_BYTES, MOST_MEAN_BYTES * len(noted.places)) and bool(noted.strip(folder))


def take(kept: str, destination: str) -> bytes:
    """Move what the kept workspace holds into the empty folder `destination`, and give the index for it; empty: there is none.

    The folder itself stays: a process may have begun in it. All files get the time of now, as fresh ones would: a build that compares
    times must not find them older than what it made of others. Raises OSError; then `destination` may hold some.
    """
    if not (os.path.isdir(kept) and os.path.isfile(index_of(kept))) or os.listdir(destination):
        return b""
    noted = _Noted(index_of(kept))
    left = noted.strip(kept)
    for name in os.listdir(kept):
        os.rename(os.path.join(kept, name), os.path.join(destination, name))
    os.rmdir(kept)
    for path in left:
        place = os.path.join(destination, path)
        os.utime(place, follow_symlinks=False)
        noted.see(path, os.lstat(place))
    return noted.index()


class _Noted:
    """What an index says of the files that git wrote with it. What can't be read says nothing of any. Raises OSError."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._index = bytearray(file.read(MOST_INDEX_BYTES))
            self._written_ns = os.fstat(file.fileno()).st_mtime_ns
        self.places: dict[str, int] = {}
        with contextlib.suppress(struct.error, ValueError, IndexError):
            self.places = dict(index_file.places(self._index))

    def total(self) -> int:
        """What all the files take, in bytes."""
        return sum(index_file.size_at(self._index, place) for place in self.places.values())

    def see(self, path: str, about: os.stat_result) -> None:
        """A file is now another way."""
        index_file.see_at(self._index, self.places[path], about)

    def index(self) -> bytes:
        """The index with what was seen."""
        return index_file.sealed(self._index)

    def strip(self, folder: str) -> list[str]:
        """Remove from `folder` all that is not as it was noted, and give the paths that are left. Raises OSError."""
        if os.path.islink(folder):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), folder)
        left: list[str] = []
        self._strip(folder, "", left)
        return left

    def _strip(self, folder: str, prefix: str, left: list[str]) -> None:
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            path = prefix + entry.name
            if not entry.is_dir(follow_symlinks=False):
                if self._is_as_noted(path, entry.stat(follow_symlinks=False)):
                    left.append(path)
                else:
                    os.unlink(entry.path)
            elif path == ".git" or not _is_plain(entry):
                _remove(entry.path)
            else:
                before = len(left)
                self._strip(entry.path, f"{path}/", left)
                if len(left) == before:
                    os.rmdir(entry.path)

    def _is_as_noted(self, path: str, about: os.stat_result) -> bool:
        """Whether nothing has touched a file. A change within the tick of the clock in which git was done would look like none."""
        place = self.places.get(path)
        return (
            place is not None
            and index_file.is_seen_at(self._index, place, about)
            and stat.S_IMODE(about.st_mode) in _RIGHTS.get(stat.S_IFMT(about.st_mode), ())
            and about.st_nlink == 1
            and about.st_ctime_ns < self._written_ns
        )


def _is_plain(folder: os.DirEntry[str]) -> bool:
    """Whether a folder is as git makes one: ours, with nobody else's rights, and no attributes that files in it would get."""
    about = folder.stat(follow_symlinks=False)
    if (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) != (os.geteuid(), os.getegid(), 0o755):
        return False
    listed = getattr(os, "listxattr", None)
    return not (listed and set(listed(folder.path)) - _HARMLESS)


def _remove(folder: str) -> None:
    """Remove a folder, or raise OSError: what can't go must not be met by another job."""
    if left := remove_tree(folder):
        raise OSError(errno.ENOTEMPTY, left[0], folder)
