"""Takes what a step has left in its GITHUB_… files, and puts them right for the next one, whatever the step has made of them."""

from __future__ import annotations

import os
import stat

from sparki_daemon.runner import launch
from sparki_daemon.system.files import remove_tree

MOST_BYTES = 16 * 1024 * 1024  # GitHub takes 1 MiB of outputs from a whole job; a file of holes may say that it has any size
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotTaken(Exception):  # noqa: N818  # reads as what happened
    """What was there can't be read; it is gone, and an empty file in its place. The text says why."""


def put_right(folder: str) -> None:
    """Make the folder of the files again where it is gone, or where something else is in its place. Raises OSError."""
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        os.mkdir(folder, 0o700)
        return
    if not stat.S_ISDIR(mode):
        os.unlink(folder)
        os.mkdir(folder, 0o700)
    elif mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, 0o700)


def take(path: str, most_bytes: int = MOST_BYTES) -> bytes:
    """What is in the file at `path`, which is empty then. One that is gone was empty, and is made again.

    Links are not followed: what they lead to is neither read nor written. Raises NotTaken, and OSError where no file can be made.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        launch.write(path, b"")
        return b""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        _replace(path)
        raise NotTaken("something else than a file of its own lay in its place")
    if found.st_size == 0 and found.st_mode & 0o600 == 0o600:
        return b""
    try:
        return _emptied(path, most_bytes)
    except OSError as error:
        _replace(path)
        raise NotTaken(launch.why(error)) from None


def _emptied(path: str, most_bytes: int) -> bytes:
    fd = os.open(path, _OPEN)
    try:
        size = os.fstat(fd).st_size
        if size > most_bytes:
            os.ftruncate(fd, 0)
            raise NotTaken(f"it has {size} bytes, and may have {most_bytes}")
        data = b""
        while len(data) < size and (piece := os.read(fd, size - len(data))):
            data += piece
        os.ftruncate(fd, 0)
        return data
    finally:
        os.close(fd)


def _replace(path: str) -> None:
    if stat.S_ISDIR(os.lstat(path).st_mode):
        remove_tree(path)
    else:
        os.unlink(path)
    launch.write(path, b"")
