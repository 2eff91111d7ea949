"""Writes the files of a snapshot into one archive: byte for byte as git stores them, the same archive for the same tree.

`git archive` obeys export-ignore, export-subst and line-end attributes: what would be deployed is not what was committed. So the
blobs are read as they are.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source import git
from sparki_daemon.source.files import bodies, snapshot_env
from sparki_daemon.source.snapshot import Snapshot

MTIME_S = 315_532_800  # 1980-01-01, the first day that zip files know: the archive depends on the tree alone
BATCH_BYTES = 16 * 1024 * 1024  # of blobs that are in memory at once
_GITLINK, _LINK, _EXECUTABLE = "160000", "120000", "100755"


@dataclass(frozen=True, slots=True)
class _Blob:
    mode: str
    name: str
    size: int
    path: str


def write_archive(snapshot: Snapshot, out: BinaryIO) -> None:
    """Write the tree of `snapshot`, with its submodules, to `out` as a tar file; nobody's user, group or time is in it.

    Raises SparkiError: `missing_submodule` for one that was not fetched, `missing_object`; OSError where `out` can't be written.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(snapshot, "", archive)


def _add(snapshot: Snapshot, prefix: str, archive: tarfile.TarFile) -> None:
    inner = {module.path: module.snapshot for module in snapshot.submodules}
    blobs = []
    for blob in _listed(snapshot):
        if blob.mode != _GITLINK:
            blobs.append(blob)
        elif blob.path in inner:
            _add(inner[blob.path], f"{prefix}{blob.path}/", archive)
        else:
            message = f"the submodule {prefix}{blob.path} is not here, and a release has everything in it"
            raise SparkiError(Problem(code="missing_submodule", message=message, hint="git submodule update --init --recursive"))
    for batch in _batches(blobs):
        asked = "".join(f"{blob.name}\n" for blob in batch).encode()
        out = git.run(["cat-file", "--batch"], cwd=snapshot.git_dir, env=snapshot_env(snapshot), stdin=asked).checked()
        for blob, body in zip(batch, bodies(out), strict=True):
            add_file(archive, prefix + blob.path, body, executable=blob.mode == _EXECUTABLE, link=blob.mode == _LINK)


def add_stream(archive: tarfile.TarFile, path: str, file: BinaryIO, size: int) -> None:
    """Add a file of `size` bytes as it is read."""
    about = tarfile.TarInfo(path)
    about.mtime, about.mode, about.size = MTIME_S, 0o644, size
    archive.addfile(about, file)


def add_file(archive: tarfile.TarFile, path: str, body: bytes, *, executable: bool = False, link: bool = False) -> None:
    """Add a file, or a symbolic link to what `body` says."""
    about = tarfile.TarInfo(path)
    about.mtime = MTIME_S
    about.mode = 0o755 if executable or link else 0o644
    if link:
        about.type, about.linkname = tarfile.SYMTYPE, os.fsdecode(body)
        archive.addfile(about)
    else:
        about.size = len(body)
        archive.addfile(about, io.BytesIO(body))


def _listed(snapshot: Snapshot) -> Iterator[_Blob]:
    listed = git.run(["ls-tree", "-r", "-z", "-l", "--full-tree", snapshot.tree], cwd=snapshot.git_dir, env=snapshot_env(snapshot))
    for entry in os.fsdecode(listed.checked()).split("\0")[:-1]:
        about, _, path = entry.partition("\t")
        mode, _, name, size = about.split()
        yield _Blob(mode, name, int(size) if size.isdigit() else 0, path)


def _batches(blobs: Sequence[_Blob]) -> Iterator[list[_Blob]]:
    batch: list[_Blob] = []
    size = 0
    for blob in blobs:
        if batch and size + blob.size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(blob)
        size += blob.size
    if batch:
        yield batch
