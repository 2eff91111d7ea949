"""Cache entries of `actions/cache`: folders of one job that later jobs of the project begin with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import BinaryIO

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.store.whole_folder import begun, is_begun, publish, sweep
from sparki_daemon.system.clock import now_ms
from sparki_daemon.system.files import remove_tree

_PIECE_BYTES = 1024 * 1024
_ABOUT = "entry.json"
_DATA = "data.tar"


class EntryDamaged(Exception):  # noqa: N818  # reads as what happened
    """An entry is not what was saved; it is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one job saved under a key."""

    key: str
    version: str  # of the paths
    scope: str  # the ref of the run that saved it
    size_bytes: int
    digest: str  # SHA-256 of the archive
    created_ms: int
    folder: str


class Caches:
    """The entries of one project under the folder of caches. An entry is never changed: saving one that is there does nothing."""

    def __init__(self, root: str, project: str) -> None:
        self._folder = os.path.join(root, "actions", _short(project))

    def find(self, keys: Sequence[str], version: str, scopes: Sequence[str]) -> Entry | None:
        """The entry that GitHub would restore: scope by scope the one of the first key; else the newest whose key begins with the first
        key, with the second … `scopes` are the run's own ref, then those whose entries it may use.

        Source: GitHub's dependency caching reference, "Cache key matching".
        """
        entries = [entry for entry in self.entries() if entry.version == version]
        for scope in dict.fromkeys(scopes):
            here = [entry for entry in entries if entry.scope == scope]
            if exact := [entry for entry in here if entry.key == keys[0]]:
                return exact[0]
            for key in keys:
                if found := [entry for entry in here if entry.key.startswith(key)]:
                    return max(found, key=lambda entry: entry.created_ms)
        return None

    def has(self, key: str, version: str, scope: str) -> bool:
        """Whether there is just this entry: it would not be saved again."""
        return os.path.isdir(self._place(key, version, scope))

    def save(self, key: str, version: str, scope: str, paths: Sequence[tuple[str, str]]) -> Entry | None:
        """Keep files, folders and links: each its name in the archive, and where it lies (folders without what is in them).

        None: there is an entry already. Raises OSError; then there is none.
        """
        if self.has(key, version, scope):
            return None
        with begun(self._folder) as folder:
            data = os.path.join(folder, _DATA)
            with open(data, "wb") as file:
                hashing = _Hashing(file)
                with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
                    for name, path in paths:
                        archive.add(path, name, recursive=False)
            entry = Entry(
                key=key,
                version=version,
                scope=scope,
                size_bytes=os.stat(data).st_size,
                digest=hashing.digest.hexdigest(),
                created_ms=now_ms(),
                folder=self._place(key, version, scope),
            )
            with open(os.path.join(folder, _ABOUT), "w", encoding="utf-8") as about:
                json.dump(asdict(entry), about)
            return entry if publish(folder, entry.folder) else None

    def restore(self, entry: Entry, places: Mapping[str, str]) -> None:
        """Bring an entry's files back. The first part of each name in the archive is one of `places`: the folder that it stands for.

        Its digest is checked before anything is written. Raises EntryDamaged, and OSError.
        """
        data = os.path.join(entry.folder, _DATA)
        try:
            with open(data, "rb") as file:
                whole = hashlib.sha256()
                while piece := file.read(_PIECE_BYTES):
                    whole.update(piece)
                if whole.hexdigest() != entry.digest:
                    raise EntryDamaged(entry.key)
                file.seek(0)
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    _extract(archive, places)
        except (FileNotFoundError, EntryDamaged, tarfile.TarError, KeyError):
            remove_tree(entry.folder)
            raise EntryDamaged(entry.key) from None
        with contextlib.suppress(OSError):  # what was used last is kept longest
            os.utime(os.path.join(entry.folder, _ABOUT))

    def entries(self) -> Iterator[Entry]:
        """All entries of the project."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        for name in names:
            folder = os.path.join(self._folder, name)
            if not is_begun(name):
                with contextlib.suppress(OSError, ValueError, TypeError), open(os.path.join(folder, _ABOUT), encoding="utf-8") as about:
                    yield Entry(**{**json.load(about), "folder": folder})

    def _place(self, key: str, version: str, scope: str) -> str:
        return os.path.join(self._folder, _short(json.dumps([key, version, scope])))


class _Hashing:
    """A file that is only written, and the digest of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)


def _extract(archive: tarfile.TarFile, places: Mapping[str, str]) -> None:
    folders = []
    archive.extraction_filter = lambda member, _: member  # names are checked here; the newer default would drop modes and links
    for member in archive:
        place, _, rest = member.name.partition("/")
        if ".." in rest.split("/") or rest.startswith("/"):
            raise KeyError(member.name)
        member.name = rest or "."
        target = os.path.join(places[place], rest)
        if not member.isdir() and os.path.lexists(target):
            if os.path.isdir(target) and not os.path.islink(target):
                remove_tree(target)
            else:
                os.unlink(target)  # written anew: a hard link to it must not change
        if member.islnk():
            member.linkname = os.path.join(places[member.linkname.partition("/")[0]], member.linkname.partition("/")[2])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.link(member.linkname, target)
            continue
        archive.extract(member, places[place], set_attrs=not member.isdir(), numeric_owner=True)
        if member.isdir():
            folders.append((target, member.mode))
    for target, mode in reversed(folders):  # last: a read-only folder could not be filled
        os.chmod(target, mode)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def prune(root: str, limit_bytes: int) -> int:
    """Remove entries of all projects under a folder of caches, the longest unused first, until the rest fits; how many bytes went."""
    found: list[tuple[float, int, str]] = []
    projects = os.path.join(root, "actions")
    for project in os.listdir(projects) if os.path.isdir(projects) else ():
        sweep(os.path.join(projects, project))
        for name in os.listdir(os.path.join(projects, project)):
            folder = os.path.join(projects, project, name)
            if not is_begun(name):
                with contextlib.suppress(FileNotFoundError):
                    about, data = (os.stat(os.path.join(folder, part)) for part in (_ABOUT, _DATA))
                    found.append((about.st_mtime, about.st_size + data.st_size, folder))
    kept, gone = sum(size for _, size, _ in found), 0
    for _, size, folder in sorted(found):
        if kept - gone <= limit_bytes:
            break
        remove_tree(folder)
        gone += size
    return gone
