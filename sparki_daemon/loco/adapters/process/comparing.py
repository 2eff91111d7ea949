"""Holds the files of a release as they lie on disk against the archive that they came from."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator

CHUNK_BYTES = 1 << 20


def changed(packed: tarfile.TarFile, folder: str) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The members that are not in `folder` as they were shipped, and how they differ. Raises OSError, tarfile.TarError.

    Content is read only where size or time say that somebody wrote there.
    """
    for member in packed:
        if how := _changed(packed, member, folder):
            yield member, how


def _changed(packed: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> str:
    path = os.path.join(folder, member.name)
    try:
        there = os.lstat(path)
    except OSError:
        return "missing"
    if member.issym():
        return "" if stat.S_ISLNK(there.st_mode) and os.readlink(path) == member.linkname else "changed"
    if not member.isreg():
        return "" if member.isdir() == stat.S_ISDIR(there.st_mode) else "changed"
    if not stat.S_ISREG(there.st_mode) or there.st_size != member.size:
        return "changed"
    if (there.st_mode ^ member.mode) & stat.S_IXUSR:
        return "mode changed"
    return "" if int(there.st_mtime) == int(member.mtime) or _same(packed, member, path) else "changed"


def _same(packed: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bool:
    shipped = packed.extractfile(member)
    if shipped is None:
        return True
    try:
        with shipped, open(path, "rb") as file:
            while piece := shipped.read(CHUNK_BYTES):
                if file.read(len(piece)) != piece:
                    return False
    except OSError:
        return False
    return True
