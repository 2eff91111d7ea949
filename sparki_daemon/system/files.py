"""Files that appear whole, locks that die with their holder, folders that go whatever lies in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable


def write_atomic(path: str, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put `data` at `path` so that a reader sees the old file or the new one, never a part.

    `durable` brings data and name to the disk before returning. Raises OSError; then the old file is as it was.
    """
    temporary = f"{path}.{os.urandom(6).hex()}.tmp"  # not the pid: in namespaces of their own, all runners are number 1
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(fd, mode)  # the umask narrows what open was asked for
            write_all(fd, data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(os.path.dirname(path) or ".")


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as the system wants. Raises OSError when a part could not be written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: str) -> None:
    """Bring the names in a folder to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def try_lock(path: str, *, mode: int = 0o600) -> int | None:
    """Take the exclusive lock that is the file at `path`; None: somebody holds it.

    The file descriptor returned is the lock: it ends when the last copy of it is closed, so with its process at the latest.
    A lock file that was unlinked or replaced between open and lock is opened anew. Raises OSError where the file can't be made.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        if _is_at(fd, path):
            return fd
        os.close(fd)


def is_locked(path: str) -> bool:
    """Does a living process hold the lock at `path`? A file that isn't there is held by nobody. Leaves the file as it is."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two askers don't see each other as holders
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_at(fd: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def make_folder(path: str, *, parents: int) -> None:
    """Make a folder, ours alone, with up to `parents` of those above it; one that is there is left as it is.

    Raises FileNotFoundError where more are missing: a state folder that was removed or moved must not come back by what lay in it.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        if not parents:
            raise
        make_folder(os.path.dirname(path), parents=parents - 1)
        make_folder(path, parents=0)


def remove_tree(path: str) -> list[str]:
    """Remove a folder and all in it, also what was made unwritable; follows no link. Returns what could not be removed, as messages."""
    left: list[str] = []
    if os.path.islink(path):  # in the folder's place: what it leads to is not ours
        _unlock_and(os.unlink, path, None, left)
    else:
        _remove_folder(path, None, left)
    return left


def _remove_folder(path: str, above: str | None, left: list[str]) -> None:
    """Remove the folder at `path`; `above` is the one that it is in, where that is to be removed too."""
    try:
        for entry in _entries(path):
            if entry.is_dir(follow_symlinks=False):
                _remove_folder(entry.path, path, left)
            else:
                _unlock_and(os.unlink, entry.path, path, left)
    except FileNotFoundError:
        return
    except OSError as error:
        left.append(f"{path}: {error.strerror}")
        return
    _unlock_and(os.rmdir, path, above, left)


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return list(found)
    except PermissionError:  # a folder without its r or x bit: the owner may give it back
        os.chmod(path, stat.S_IRWXU)
        with os.scandir(path) as found:
            return list(found)


def _unlock_and(remove: Callable[[str], None], path: str, above: str | None, left: list[str]) -> None:
    """Remove one thing, from a read-only folder too: Go's module cache is made of such."""
    try:
        try:
            remove(path)
        except PermissionError:
            if above is None:
                raise
            os.chmod(above, stat.S_IRWXU)
            remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        left.append(f"{path}: {error.strerror}")
