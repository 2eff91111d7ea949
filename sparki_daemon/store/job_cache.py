"""Results of jobs that later runs may take instead of running them again.

An entry is a folder `jobs/<project>/<slot>/<key>/`: `entry.json` says what the job gave, `parts.json` what that depended on, `log`,
`summary` and `files/<sha256>` are its log, its Markdown and the declared outputs. It appears whole, is never changed, and is checked
when it is read. A slot is one job of one pipeline, so that the last result of the same job is found without a search.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.store.whole_folder import begun, discard, is_begun, publish
from sparki_daemon.system import digest as digests
from sparki_daemon.system.clock import now_ms
from sparki_daemon.system.files import remove_tree

_PIECE_BYTES = 1 << 20
_ABOUT, _PARTS, _LOG, _SUMMARY, _FILES, _ARTIFACTS = "entry.json", "parts.json", "log", "summary", "files", "artifacts"


class EntryDamaged(Exception):  # noqa: N818  # reads as what happened
    """An entry is not what was kept; it is removed. The text says what of it."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One declared output: its path in the workspace; a link has its target for a digest."""

    path: str
    mode: str  # "644", "755" or "link"
    size_bytes: int
    digest: str  # SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job gave, as its records tell."""

    run: str
    job: str  # its id in the run
    outputs: Mapping[str, str]
    steps: Sequence[Mapping[str, Any]]
    duration_ms: int
    log_digest: str
    log_bytes: int
    summary_bytes: int = 0
    files: Sequence[KeptFile] = ()
    artifacts: Sequence[str] = ()  # folders under `artifacts`
    size_bytes: int = 0
    created_ms: int = 0
    tests: Mapping[str, Any] | None = None  # what its test reports said


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A result that is kept."""

    folder: str
    key: str
    result: Result
    used_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a job's end brings to be kept. `log` and `summary` are paths; `files` are paths in the workspace, with their place on disk."""

    result: Result
    parts: Mapping[str, str]
    log: str
    summary: str = ""
    files: Iterable[tuple[str, str]] = ()
    artifacts: Iterable[str] = field(default=())  # folders of whole artifacts


class JobCache:
    """The entries of one project under the folder of caches."""

    def __init__(self, root: str, project: str) -> None:
        self.folder = os.path.join(root, "jobs", _short(project))

    def slot(self, file: str, job: str) -> str:
        """The folder of one job's entries: of one pipeline file, and one leg of its matrix."""
        return os.path.join(self.folder, _short(json.dumps([file, job])))


def look(slot: str, key: str) -> Entry | None:
    """The entry of a key, its log checked; None: there is none. Raises EntryDamaged."""
    folder = os.path.join(slot, key)
    entry = _read(folder, key)
    if entry is None:
        return None
    if _digest(os.path.join(folder, _LOG)) != entry.result.log_digest:
        raise _damaged(folder, "its log is not what was kept")
    return entry


def newest(slot: str) -> tuple[Entry, dict[str, str]] | None:
    """The entry of a slot that was kept last, with its parts: what a job that runs again is compared with."""
    found = max(entries(slot), key=lambda entry: entry.result.created_ms, default=None)
    if found is None:
        return None
    try:
        with open(os.path.join(found.folder, _PARTS), "rb") as file:
            parts = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return found, parts


def entries(slot: str) -> Iterator[Entry]:
    """All entries of a slot; what can't be read is none."""
    for name in _names(slot):
        if not is_begun(name):
            with contextlib.suppress(EntryDamaged):
                if entry := _read(os.path.join(slot, name), name):
                    yield entry


def touch(entry: Entry) -> None:
    """Note that an entry was used: what was used last is kept longest."""
    with contextlib.suppress(OSError):
        os.utime(os.path.join(entry.folder, _ABOUT))


def bring_log(entry: Entry, log: str) -> None:
    """Give a run the entry's log and summary as its own: links to the same bytes, for neither is written to again. Raises OSError."""
    _link(os.path.join(entry.folder, _LOG), f"{log}.log")
    if entry.result.summary_bytes:
        _link(os.path.join(entry.folder, _SUMMARY), f"{log}.summary.md")


def bring_artifacts(entry: Entry, folder: str, *, run: str, attempt: int) -> None:
    """Give a run the artifacts of an entry, in `folder`: the same bytes under another name. Raises OSError."""
    for name in entry.result.artifacts:
        if not os.path.exists(os.path.join(folder, name)):
            with begun(folder) as place:
                _link_tree(os.path.join(entry.folder, _ARTIFACTS, name), place)
                about = os.path.join(place, "artifact.json")
                with open(about, "rb") as file:
                    told = {**json.loads(file.read()), "run": run, "attempt": attempt}
                os.unlink(about)
                _write(about, told)
                publish(place, os.path.join(folder, name))


def bring_files(entry: Entry, folder: str) -> int:
    """Put the declared outputs into `folder`, those that are not there already; how many were written.

    Each appears whole, and is checked while it is copied. Raises EntryDamaged, and OSError.
    """
    written = 0
    for kept in entry.result.files:
        target = os.path.join(folder, kept.path)
        if _is_there(target, kept):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = f"{target}.{os.urandom(6).hex()}.tmp"
        try:
            if kept.mode == "link":
                os.symlink(kept.digest, temporary)
            elif _copy(os.path.join(entry.folder, _FILES, kept.digest), temporary) != kept.digest:
                raise _damaged(entry.folder, f"{kept.path} is not what was kept")
            else:
                os.chmod(temporary, int(kept.mode, 8))
            os.rename(temporary, target)
        except FileNotFoundError:
            raise _damaged(entry.folder, f"{kept.path} is missing") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        written += 1
    return written


def keep(slot: str, key: str, offer: Offer) -> Result | None:
    """Keep a result. None: there is one of that key already, which another run kept first. Raises OSError; then nothing is kept."""
    if os.path.isdir(os.path.join(slot, key)):
        return None
    from dataclasses import asdict  # noqa: PLC0415  # it loads `inspect`, 8 ms, and most jobs are not kept

    with begun(slot) as folder:
        os.mkdir(os.path.join(folder, _FILES))
        files = [_take(path, place, os.path.join(folder, _FILES)) for path, place in offer.files]
        _link(offer.log, os.path.join(folder, _LOG))
        if offer.result.summary_bytes:
            _link(offer.summary, os.path.join(folder, _SUMMARY))
        for artifact in offer.artifacts:
            _link_tree(artifact, os.path.join(folder, _ARTIFACTS, os.path.basename(artifact)))
        _write(os.path.join(folder, _PARTS), offer.parts)
        about = {
            **asdict(offer.result),
            "files": [asdict(kept) for kept in files],
            "artifacts": [os.path.basename(artifact) for artifact in offer.artifacts],
            "log_digest": _digest(os.path.join(folder, _LOG)),
            "size_bytes": _size(folder),
            "created_ms": now_ms(),
        }
        _write(os.path.join(folder, _ABOUT), about)
        return _result(about) if publish(folder, os.path.join(slot, key)) else None


def all_entries(folder: str) -> list[Entry]:
    """Every entry of a project (`JobCache.folder`), the last used first."""
    found = [entry for slot in _names(folder) for entry in entries(os.path.join(folder, slot))]
    return sorted(found, key=lambda entry: entry.used_ms, reverse=True)


def prune(folder: str, limit_bytes: int) -> list[Entry]:
    """Remove what was used longest ago until the rest takes no more than `limit_bytes`; what was removed.

    Whoever reads an entry meanwhile finds it whole, or misses it.
    """
    left, gone = limit_bytes, []
    for entry in all_entries(folder):
        left -= entry.result.size_bytes
        if left < 0:
            gone += [entry] if discard(entry.folder) else []
    return gone


# -- files -----------------------------------------------------------------------------------------------------------------


def _read(folder: str, key: str) -> Entry | None:
    path = os.path.join(folder, _ABOUT)
    try:
        with open(path, "rb") as file:
            data = file.read()
            used_ms = int(os.fstat(file.fileno()).st_mtime * 1000)
        return Entry(folder=folder, key=key, result=_result(json.loads(data)), used_ms=used_ms)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        raise _damaged(folder, "what it says of itself can't be read") from None


def _result(about: dict[str, Any]) -> Result:
    return Result(**{**about, "files": [KeptFile(**kept) for kept in about["files"]]})


def _damaged(folder: str, what: str) -> EntryDamaged:
    remove_tree(folder)
    return EntryDamaged(what)


def _take(path: str, place: str, folder: str) -> KeptFile:
    """Copy one output into the entry, under its digest."""
    if os.path.islink(place):
        target = os.readlink(place)
        return KeptFile(path, "link", len(target), target)
    temporary = os.path.join(folder, "new")
    digest = _copy(place, temporary)
    os.replace(temporary, os.path.join(folder, digest))
    about = os.stat(place)
    return KeptFile(path, "755" if about.st_mode & 0o100 else "644", about.st_size, digest)


def _is_there(target: str, kept: KeptFile) -> bool:
    """Whether the output lies there as it was kept, by its content: a size and a time would be faster, and can lie."""
    try:
        about = os.lstat(target)
        if kept.mode == "link":
            return os.path.islink(target) and os.readlink(target) == kept.digest
        if about.st_size != kept.size_bytes or os.path.islink(target) or bool(about.st_mode & 0o100) != (kept.mode == "755"):
            return False
        return _digest(target) == kept.digest
    except OSError:
        return False


def _copy(source: str, target: str) -> str:
    """Copy the content of a file to a new one; its SHA-256."""
    digest = digests.sha256()
    with open(source, "rb") as file, open(target, "xb") as out:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def _digest(path: str) -> str:
    """The SHA-256 of a file; of one that is missing, that of nothing: a job without a word has no log."""
    digest = digests.sha256()
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _link(source: str, target: str) -> None:
    """The same file under another name, or a copy where that can't be; a source that is missing is none."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        if os.path.exists(source):  # then the folder is missing
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            _link(source, target)
    except FileExistsError:
        os.unlink(target)
        _link(source, target)
    except OSError:  # another file system, or one without links
        import shutil  # noqa: PLC0415  # its compression modules take 5 ms to load

        shutil.copyfile(source, target)


def _link_tree(source: str, target: str) -> None:
    for folder, _, names in os.walk(source):
        into = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        os.makedirs(into, exist_ok=True)
        for name in names:
            _link(os.path.join(folder, name), os.path.join(into, name))


def _size(folder: str) -> int:
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names)


def _write(path: str, data: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return digests.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
