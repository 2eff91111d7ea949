"""The temporary folder of one `sparki ci`: made, removed, and swept by the next one where a kill left it."""

from __future__ import annotations

import errno
import os
import time

from sparki_daemon.system import files, nonce

PREFIX = "sparki-ci-"
LOCK = "lock"
YOUNG_S = 3600.0


class Folders:
    """A 0700 folder on disk, and one in memory for the small files; locked as long as this process lives."""

    def __init__(self) -> None:
        """Raises OSError where no temporary folder can be written."""
        self.home = os.path.join(_parent(), f"{PREFIX}{os.urandom(6).hex()}")
        os.mkdir(self.home, mode=0o700)
        path = os.path.join(self.home, LOCK)
        self._lock = files.try_lock(path + ".new")
        os.rename(path + ".new", path)  # whoever sees the lock's name sees it held
        self.fast = nonce.fast_folder(self.home)

    def clear(self) -> None:
        """Remove what lies there now, as far as that can be done: somebody may still write."""
        _remove(self.home)

    def remove(self) -> list[str]:
        """Remove both; gives what could not be removed, as messages."""
        left = _remove(self.home)
        if self._lock is not None:
            os.close(self._lock)
        return left


def _parent() -> str:
    """Where temporary folders go, as `tempfile.gettempdir` finds it; that module takes 10 ms to load.

    Raises OSError where there is no such folder.
    """
    named = [folder for name in ("TMPDIR", "TEMP", "TMP") if (folder := os.environ.get(name))]
    for folder in (*named, "/tmp", "/var/tmp", "/usr/tmp", os.curdir):
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return os.path.realpath(folder)
    raise FileNotFoundError(errno.ENOENT, "there is no folder for temporary files that can be written", "TMPDIR")


def sweep() -> None:
    """Remove what killed predecessors of this user left."""
    parent = _parent()
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if name.startswith(PREFIX) and _is_ours(path) and _is_left(path):
            _remove(path)


def _is_left(path: str) -> bool:
    """Whether nobody works in the folder. One without a lock is being made just now, unless it is old."""
    lock = os.path.join(path, LOCK)
    try:
        if os.path.exists(lock):
            return not files.is_locked(lock)
        return time.time() - os.lstat(path).st_mtime > YOUNG_S
    except OSError:  # another one sweeps it
        return False


def _is_ours(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_uid == os.getuid() and os.path.isdir(path) and not os.path.islink(path)


def _remove(home: str) -> list[str]:
    """The folder in memory first: its name is made of the other's."""
    memory = nonce.memory_folder(home)
    left = files.remove_tree(memory) if _is_ours(memory) else []
    return left + files.remove_tree(home)
