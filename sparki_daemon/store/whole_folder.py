"""Folders that appear whole or not at all: filled under another name, brought to the disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from sparki_daemon.system.files import remove_tree, sync_folder, try_lock

_BEGUN = ".begun-"
_LOCK = ".lock"  # beside the folder that is filled: the lock dies with who fills it


@contextlib.contextmanager
def begun(parent: str) -> Iterator[str]:
    """A new folder in `parent`, to be filled and published; gone afterwards if it was not. What dead ones have left there goes first.

    Raises OSError.
    """
    os.makedirs(parent, mode=0o700, exist_ok=True)
    sweep(parent)
    lock = None
    while lock is None:  # a sweep may hold a lock that was just made, and takes it for a dead one's
        path = os.path.join(parent, f"{_BEGUN}{os.urandom(6).hex()}")
        lock = try_lock(path + _LOCK)
    try:
        os.mkdir(path, 0o700)
        yield path
    finally:
        remove_tree(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + _LOCK)
        os.close(lock)


def publish(path: str, final: str, *, replace: bool = False) -> bool:
    """Bring a filled folder to the disk, and give it its name; False: there is one of that name, and `replace` is not wanted.

    While one replaces another, there may be none for a moment; never a part of one. Raises OSError.
    """
    _sync(path)
    while True:
        try:
            os.rename(path, final)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            if not replace:
                return False
            old = f"{path}-old"
            with contextlib.suppress(FileNotFoundError):
                os.rename(final, old)
            remove_tree(old)
            continue
        sync_folder(os.path.dirname(final))
        return True


def discard(path: str) -> bool:
    """Remove a whole folder: readers see all of it, or nothing. False: it was gone."""
    aside = os.path.join(os.path.dirname(path), f"{_BEGUN}{os.urandom(6).hex()}")  # what a kill leaves of it, the next sweep removes
    try:
        os.rename(path, aside)
    except OSError:
        return False
    remove_tree(aside)
    return True


def sweep(parent: str) -> None:
    """Remove what was begun in `parent` by processes that are dead."""
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(_BEGUN):
            stem = os.path.join(parent, name.removesuffix(_LOCK).removesuffix("-old"))
            if (lock := try_lock(stem + _LOCK)) is not None:  # held while it is removed: nobody begins under that name meanwhile
                for left in (stem, f"{stem}-old"):
                    remove_tree(left)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(stem + _LOCK)
                os.close(lock)


def is_begun(name: str) -> bool:
    """Whether a name in a folder of such folders is one that is not there yet."""
    return name.startswith(_BEGUN)


def _sync(path: str) -> None:
    """Bring all files and names below a folder to the disk: the files first, so that one commit of the file system takes most."""
    folders = []
    for folder, _, names in os.walk(path):
        folders.append(folder)
        for name in names:
            fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    for folder in reversed(folders):
        sync_folder(folder)
