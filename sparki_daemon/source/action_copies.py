"""Copies the folders that stand for others' repositories, so that a run and its retries have them as they were when it began."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.system.files import remove_tree, sync_folder

_LEFT_OUT = frozenset({".git"})  # what GitHub hands out has none either


def copied(folders: Mapping[str, str], into: str) -> dict[str, str]:
    """Copy folders (by owner/repository) to folders of these names in `into`; where each is now. All of them are on the disk then.

    Links stay links; what is neither file, link nor folder is left out. `into` is new; it is gone again where the copying fails.
    Raises SparkiError `unreadable_action`.
    """
    import shutil  # noqa: PLC0415  # its compression modules take 5 ms to load

    found: dict[str, str] = {}
    try:
        for name, folder in folders.items():
            found[name] = os.path.join(into, *name.split("/"))
            os.makedirs(os.path.dirname(found[name]), mode=0o700, exist_ok=True)
            shutil.copytree(folder, found[name], symlinks=True, ignore=lambda path, names: _left_out(path, names, into))
        for path in _bottom_up(into):
            _sync(path)
    except OSError as error:
        remove_tree(into)
        message = f"the folders that --action gives can't be copied: {_why(error)}"
        raise SparkiError(Problem(code="unreadable_action", message=message)) from None
    return found


def _left_out(folder: str, names: list[str], into: str) -> set[str]:
    """What isn't copied of a folder: the copy itself too, where the state folder lies within it."""
    return {name for name in names if name in _LEFT_OUT or not _is_copied(os.path.join(folder, name), into)}


def _is_copied(path: str, into: str) -> bool:
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return not os.path.samestat(found, os.lstat(into))
    return stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)


def _bottom_up(folder: str) -> Iterator[str]:
    for path, _, names in os.walk(folder, topdown=False):
        yield from (os.path.join(path, name) for name in names)
        yield path


def _sync(path: str) -> None:
    if os.path.isdir(path):
        sync_folder(path)
    elif not os.path.islink(path):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _why(error: OSError) -> str:
    import shutil  # noqa: PLC0415  # as above

    if isinstance(error, shutil.Error):  # its only argument lists (from, to, why) of each
        path, _, why = error.args[0][0]
        return f"{path}: {str(why).rpartition('] ')[2]}"
    return f"{error.filename}: {error.strerror}"
