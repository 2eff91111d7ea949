"""Archives of releases: immutable files named by the SHA-256 of their content, each there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection
from typing import BinaryIO, cast

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.system import files

_BEGUN, _END = ".begun-", ".tar"


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that is kept. `digest`: SHA-256 of its bytes, hexadecimal."""

    digest: str
    path: str
    size_bytes: int


class Archives:
    """All archives in one folder. What dead writers have left there goes with `drop_unused`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def keep(self, write: Callable[[BinaryIO], None]) -> Archive:
        """Keep what `write` writes; the same content is kept once. Raises OSError, and whatever `write` does: then nothing is kept."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        temporary = os.path.join(self._folder, f"{_BEGUN}{os.urandom(6).hex()}")
        lock = files.try_lock(temporary)  # who writes is alive as long as it is held
        assert lock is not None  # nobody else has drawn that name
        try:
            with open(temporary, "wb") as file:
                counted = _Counted(file)
                write(cast("BinaryIO", counted))
                file.flush()
                os.fsync(file.fileno())
            kept = Archive(counted.digest.hexdigest(), self.path_of(counted.digest.hexdigest()), counted.size_bytes)
            os.chmod(temporary, 0o400)
            os.rename(temporary, kept.path)
            files.sync_folder(self._folder)
            return kept
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            os.close(lock)

    def path_of(self, digest: str) -> str:
        return os.path.join(self._folder, digest + _END)

    def drop_unused(self, used: Collection[str]) -> list[str]:
        """Remove every archive whose digest is not among `used`, and what dead writers left; the digests that went. Raises OSError."""
        gone = []
        for name in _names(self._folder):
            path = os.path.join(self._folder, name)
            digest = name.removesuffix(_END)
            if name.startswith(_BEGUN):
                if not files.is_locked(path):
                    _unlink(path)
            elif digest not in used:
                _unlink(path)
                gone.append(digest)
        return gone


class _Counted:
    """A file that is only written to; digest and size are known at its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size_bytes


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
