"""`sparki artifacts`: what the jobs of a run have left, listed, and copied out."""

from __future__ import annotations

import hashlib
import os

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, printable, write_all
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_daemon.client.engine import Engine

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def artifacts(output: Output, *, run: str, names: list[str], to: str | None, force: bool, directory: str | None) -> int:
    """List a run's artifacts; with `names` or `to` copy them."""
    engine = connect(output)
    here = own_directory(directory)
    told = engine.artifacts(run, here)
    found = told["artifacts"]
    if not names and to is None:
        _list(output, told)
        return 0
    chosen = [_named(found, name, told["run"]) for name in dict.fromkeys(names)] or found
    target = os.path.join(here, to or ".")
    plan = [
        (one, index, file, _place(target, one, file, alone=len(names) == 1)) for one in chosen for index, file in enumerate(one["files"])
    ]
    if not force:
        _refuse_to_overwrite([path for _, _, _, path in plan])
    for one, index, file, path in plan:
        _fetch(engine, told["run"], one["name"], index, file, path)
    if output.as_json:
        output.document({"run": told["run"], "copied": [{"artifact": one["name"], "path": path} for one, _, _, path in plan]})
    else:
        output.line(f"{len(plan)} file{'' if len(plan) == 1 else 's'} copied to {printable(os.path.normpath(target))}")
    return 0


def _list(output: Output, told: dict[str, Any]) -> None:
    if output.as_json:
        output.document(told)
    elif told["artifacts"]:
        rows: list[tuple[str, ...]] = [
            (printable(one["name"]), size(one["size_bytes"]), str(len(one["files"])), printable(one["job"])) for one in told["artifacts"]
        ]
        output.table(rows, ("ARTIFACT", "SIZE", "FILES", "JOB"))
    else:
        output.note(f"run {told['run']} has no artifacts")


def _named(found: list[dict[str, Any]], name: str, run: str) -> dict[str, Any]:
    """The artifact of that name. Raises SparkiError `no_such_artifact`."""
    for one in found:
        if one["name"] == name:
            return one
    known = ", ".join(one["name"] for one in found[:10])
    hint = f"there are: {known}" if known else "it has none"
    raise SparkiError(
        Problem(code="no_such_artifact", message=f"run {run} has no artifact '{name}'", hint=hint), exit_code=ExitCode.NOT_FOUND
    )


def _place(target: str, one: dict[str, Any], file: dict[str, Any], *, alone: bool) -> str:
    """Where a file is copied to. Raises SparkiError for a name that would lead out of `target`."""
    parts = file["path"].split("/") if alone else [one["name"], *file["path"].split("/")]
    if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
        message = f"'{'/'.join(parts)}' of artifact '{one['name']}' can't be a path in {target}"
        raise SparkiError(Problem(code="bad_artifact", message=message), exit_code=ExitCode.RED)
    return os.path.normpath(os.path.join(target, *parts))


def _refuse_to_overwrite(paths: list[str]) -> None:
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        message = f"there is a file already: {there[0]}{more}"
        raise SparkiError(Problem(code="file_exists", message=message, hint="--force writes over it, --to DIR copies elsewhere"))


def _fetch(engine: Engine, run: str, name: str, index: int, file: dict[str, Any], path: str) -> None:
    """Copy one file; it is there whole or not at all. Raises SparkiError `damaged_artifact`, and OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.urandom(4).hex()}.part"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        digest = hashlib.sha256()
        for data in engine.artifact_bytes(run, name, index):
            digest.update(data)
            write_all(fd, data)
        if digest.hexdigest() != file["sha256"]:
            message = f"'{file['path']}' of artifact '{name}' is not what was kept"
            raise SparkiError(Problem(code="damaged_artifact", message=message), exit_code=ExitCode.RED)
        os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def size(count: float) -> str:
    """Bytes for people: 812 B, 1.4 MiB."""
    for unit in UNITS:
        if count < 1024 or unit == UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
