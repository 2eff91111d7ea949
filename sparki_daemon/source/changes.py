"""Reads what `git status --porcelain=v2 -z` tells; pure.

Source of the format: git's Documentation/git-status.txt, "Porcelain Format Version 2".
"""

from __future__ import annotations

import os

from sparki_daemon.model.dataclass import dataclass

# dirty: git compares a submodule's commit by itself, and starts no process of its own in there, which would obey its settings.
STATUS = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames"]
_GITLINK, _NOTHING = "160000", "000000"


@dataclass(frozen=True, slots=True)
class Change:
    """A file whose content on disk is not what the index holds."""

    path: str
    mode: str  # octal, as a tree has it; "000000": gone; "": git has not looked (an untracked file)
    staged: str  # the blob in the index; zeros or "": none


@dataclass(frozen=True, slots=True)
class Changes:
    """How a working tree differs from its index, and the index from HEAD; submodules count only in `staged`."""

    files: tuple[Change, ...]
    embedded: tuple[str, ...]  # untracked folders that are git repositories of their own
    unmerged: tuple[str, ...]
    staged: bool  # something differs between index and HEAD


def parse(status: bytes) -> Changes:
    """`status`: what git printed. Raises ValueError for a record of another format."""
    files: list[Change] = []
    embedded: list[str] = []
    unmerged: list[str] = []
    staged = False
    for record in os.fsdecode(status).split("\0"):
        kind = record[:2]
        if kind == "1 ":
            _, xy, module, _, _, mode, _, blob, path = record.split(" ", 8)
            staged = staged or xy[0] != "."
            still_module = module[0] == "S" and mode in (_GITLINK, _NOTHING)
            if xy[1] != "." and not still_module:
                files.append(Change(path, mode, blob))
        elif kind == "? ":
            path = record[2:]
            if path.endswith("/"):
                embedded.append(path[:-1])
            else:
                files.append(Change(path, "", ""))
        elif kind == "u ":
            unmerged.append(record.split(" ", 10)[10])
        elif record and kind != "# ":
            raise ValueError(f"no status record: {record!r}")
    return Changes(tuple(files), tuple(embedded), tuple(unmerged), staged)
