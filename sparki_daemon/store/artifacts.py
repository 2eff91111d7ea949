"""Artifacts: files that the jobs of a run leave for each other and for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.store.whole_folder import begun, is_begun, publish
from sparki_daemon.system import digest as digests
from sparki_daemon.system.clock import now_ms
from sparki_daemon.system.files import remove_tree, write_all

_PIECE_BYTES = 1024 * 1024
_MOST_NAME_BYTES = 200
_ABOUT = "artifact.json"
_FILES = "files"


class ArtifactExists(Exception):  # noqa: N818  # reads as what happened
    """The attempt has an artifact of that name."""


class ArtifactDamaged(Exception):  # noqa: N818  # reads as what happened
    """A file of an artifact is not what it was; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One artifact of one attempt at a run. `digest` is the SHA-256 of its files' list, each line `<sha256>  <path>`, in byte order."""

    id: int
    name: str
    run: str
    attempt: int
    size_bytes: int
    digest: str
    created_ms: int
    files: tuple[tuple[str, int, str], ...]  # path, bytes, SHA-256
    folder: str  # with `files` in it
    job: str = ""  # the id of the one that left it; empty where an older version kept it

    def file(self, index: int) -> str:
        """Where the file at that place of `files` lies."""
        return os.path.join(self.folder, _FILES, self.files[index][0])


class Artifacts:
    """All artifacts under one folder: `<run>/<attempt>/<name>/`, each there whole or not at all, whoever is killed."""

    def __init__(self, root: str) -> None:
        self.root = root

    def save(
        self, run: str, attempt: int, name: str, files: Iterable[tuple[str, str]], *, job: str = "", overwrite: bool = False
    ) -> Artifact:
        """Keep copies of `files`, each its path in the artifact and where it lies. Their content counts, not their modes, as on GitHub.

        Raises ArtifactExists unless `overwrite`, and OSError; then nothing is changed.
        """
        parent = os.path.join(self.root, run, str(attempt))
        final = os.path.join(parent, _folder_name(name))
        if not overwrite and os.path.isdir(final):
            raise ArtifactExists(name)
        with begun(parent) as folder:
            os.mkdir(os.path.join(folder, _FILES))
            kept = sorted((_keep(source, folder, path) for path, source in files), key=lambda one: os.fsencode(one[0]))
            about = {
                "id": int.from_bytes(os.urandom(6), "big"),
                "name": name,
                "run": run,
                "attempt": attempt,
                "job": job,
                "size_bytes": sum(size for _, size, _ in kept),
                "digest": _digest(kept),
                "created_ms": now_ms(),
                "files": kept,
            }
            _write(os.path.join(folder, _ABOUT), json.dumps(about).encode())
            if not publish(folder, final, replace=overwrite):
                raise ArtifactExists(name)
        return _artifact(about, final)

    def listing(self, run: str, *, up_to: int | None = None) -> list[Artifact]:
        """The artifacts of a run, by name; of those with one name that of the newest attempt, none after attempt `up_to`."""
        newest: dict[str, Artifact] = {}
        for attempt in sorted(int(name) for name in _names(os.path.join(self.root, run)) if name.isdigit()):
            if up_to is None or attempt <= up_to:
                parent = os.path.join(self.root, run, str(attempt))
                for name in _names(parent):
                    if not is_begun(name) and (found := _read(os.path.join(parent, name))):
                        newest[found.name] = found
        return sorted(newest.values(), key=lambda artifact: artifact.name)

    def find(self, run: str, name: str, *, up_to: int | None = None) -> Artifact | None:
        """One artifact by its name, as `listing` has it."""
        return next((artifact for artifact in self.listing(run, up_to=up_to) if artifact.name == name), None)

    def remove(self, run: str) -> None:
        """Remove all of a run's; none is no error."""
        remove_tree(os.path.join(self.root, run))


def copy_out(artifact: Artifact, folder: str) -> None:
    """Copy an artifact's files into a folder, over what is there. Raises ArtifactDamaged, and OSError."""
    for path, _, digest in artifact.files:
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if _copy(os.path.join(artifact.folder, _FILES, path), target)[1] != digest:
            raise ArtifactDamaged(path)


def _keep(source: str, folder: str, path: str) -> tuple[str, int, str]:
    if os.path.isabs(path) or ".." in path.split("/"):
        raise ValueError(f"'{path}' leads out of the artifact")
    target = os.path.join(folder, _FILES, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    return (path, *_copy(source, target))


def _copy(source: str, target: str) -> tuple[int, str]:
    """Copy a file's content; gives its size and SHA-256. A file that is there is written anew, so that a link to it does not change."""
    digest, size = digests.sha256(), 0
    with open(source, "rb") as file:
        if os.path.lexists(target):
            os.unlink(target)
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                write_all(out, piece)
                size += len(piece)
        finally:
            os.close(out)
    return size, digest.hexdigest()


def _digest(kept: Iterable[tuple[str, int, str]]) -> str:
    lines = b"".join(digest.encode() + b"  " + os.fsencode(path) + b"\n" for path, _, digest in kept)
    return digests.sha256(lines).hexdigest()


def _folder_name(name: str) -> str:
    """A file name for an artifact's name, whatever it is; different for different ones."""
    from urllib.parse import quote  # noqa: PLC0415  # most runs leave none

    plain = quote(name, safe=" ")
    plain = f"%2E{plain[1:]}" if plain.startswith(".") else plain
    if len(plain) <= _MOST_NAME_BYTES:
        return plain
    return f"{plain[: _MOST_NAME_BYTES - 33]}-{digests.sha256(name.encode()).hexdigest()[:32]}"


def _read(folder: str) -> Artifact | None:
    """The artifact in a folder; None where there is none, or one that is being replaced."""
    try:
        with open(os.path.join(folder, _ABOUT), "rb") as file:
            return _artifact(json.loads(file.read()), folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _artifact(about: dict[str, object], folder: str) -> Artifact:
    files = tuple((path, size, digest) for path, size, digest in about["files"])  # type: ignore[attr-defined]  # JSON
    return Artifact(**{**about, "files": files, "folder": folder})  # type: ignore[arg-type]


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
