"""What differs between two outcomes of one job: its result, outputs and exit codes, and the files that it declares as outputs."""

from __future__ import annotations

import hashlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def differences(before: dict[str, Any], after: dict[str, Any], first: str, second: str) -> list[str]:
    """In words, what differs between a job and itself run again; `first` and `second` hold its declared outputs."""
    told = []
    if before["status"] != after["status"]:
        told.append(f"it ended {before['status']}, then {after['status']}")
    for name in sorted({*before["outputs"], *after["outputs"]}):
        old, new = before["outputs"].get(name), after["outputs"].get(name)
        if old != new:
            told.append(f"output {name} was {old!r}, then {new!r}")
    for old, new in zip(before["steps"], after["steps"], strict=False):
        if old["exit_code"] != new["exit_code"]:
            told.append(f"step '{old['name']}' exited with {old['exit_code']}, then {new['exit_code']}")
    old_files, new_files = _files(first), _files(second)
    for path in sorted(old_files | new_files):
        if path not in new_files or path not in old_files:
            told.append(f"{path} was made only {'the first' if path in old_files else 'the second'} time")
        elif why := _file(os.path.join(first, path), os.path.join(second, path)):
            told.append(f"{path} {why}")
    return told


def _files(folder: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(at, name), folder) for at, folders, names in os.walk(folder) for name in names + _links(at, folders)
    }


def _links(at: str, folders: list[str]) -> list[str]:
    return [name for name in folders if os.path.islink(os.path.join(at, name))]


def _file(first: str, second: str) -> str:
    """How two files differ; empty: they do not. Modes count, times do not."""
    if os.path.islink(first) or os.path.islink(second):
        ends = [os.readlink(path) if os.path.islink(path) else None for path in (first, second)]
        return "" if ends[0] == ends[1] else f"led to {ends[0]}, then to {ends[1]}"
    modes = [os.stat(path).st_mode & 0o777 for path in (first, second)]
    if modes[0] != modes[1]:
        return f"had mode {modes[0]:o}, then {modes[1]:o}"
    with open(first, "rb") as one, open(second, "rb") as other:
        old, new = one.read(), other.read()
    return "" if old == new else f"differs {_place(old, new)} (sha256 {_short(old)}, then {_short(new)})"


def _place(old: bytes, new: bytes) -> str:
    at = next((index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    if b"\0" in old or b"\0" in new:
        return f"from byte {at + 1} on"
    line = old.count(b"\n", 0, at)
    texts = [repr(_line_of(data, line)) for data in (old, new)]
    return f"in line {line + 1}: {texts[0]}, then {texts[1]}"


def _line_of(data: bytes, number: int) -> str:
    lines = data.split(b"\n")
    return lines[number][:120].decode("utf-8", "replace") if number < len(lines) else ""


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
