"""Reads the notes of strace: which files were opened, listed, made and executed, and when.

Source for their form: strace(1), `-ttt` (the time in front), `-y` (paths of descriptors), `-z` (only what succeeded), `-ff` (a file a
process).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from sparki_daemon.model.dataclass import dataclass

_STRING = r'"((?:[^"\\]|\\.)*)"'
_PATH = r"<((?:[^>\\]|\\.)*)>"
_LINE = re.compile(r"(\d+\.\d+) (\w+)\((.*)")
_HERE = re.compile(rf"AT_FDCWD{_PATH}")
_NAMED = re.compile(rf"(?:(?:AT_FDCWD|-?\d+){_PATH}, )?{_STRING}")
_OPENED = re.compile(rf"= \d+{_PATH}$")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}
_MAKES = re.compile(r"\bO_(?:TRUNC|EXCL)\b")
_TWO_NAMES = ("rename", "renameat", "renameat2", "link", "linkat")  # what bore the first bears the second


class Did(Enum):
    """What was done with a path."""

    READ = auto()
    LISTED = auto()
    MADE = auto()  # with nothing left of what was there
    RAN = auto()


@dataclass(frozen=True, slots=True)
class Noted:
    """One thing that a process did."""

    time: float
    did: Did
    path: str  # absolute


def noted(folder: str, start: str) -> Iterator[Noted]:
    """What all processes did whose notes lie in a folder; `start`: where they began. Raises OSError."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as lines:
            yield from of_process(lines, start)


def cut_off(folder: str) -> int:
    """How many processes have notes that do not go on to their end. Raises OSError."""
    return sum(not _ends(os.path.join(folder, name)) for name in (os.listdir(folder) if os.path.isdir(folder) else ()))


def _ends(path: str) -> bool:
    with open(path, "rb") as notes:
        notes.seek(max(0, os.path.getsize(path) - 200))
        return b" +++ " in notes.read().rstrip().rpartition(b"\n")[2]


def of_process(lines: Iterable[str], start: str) -> Iterator[Noted]:
    """What one process did; `start`: its folder, where its notes do not tell.

    A link is given by its own path and by that of what it leads to. A program that is executed by a relative path is in the folder that
    the next note tells, as between fork and exec hardly anything is noted.
    """
    here = start
    waiting: list[tuple[float, str]] = []
    for line in lines:
        found = _LINE.match(line)
        if found is None:  # the end of a process, or a note that was cut off
            continue
        time, call, rest = float(found[1]), found[2], found[3].rstrip("\n")
        if told := _HERE.search(rest):
            here = _plain(told[1])
            yield from _ran(waiting, here)
            waiting.clear()
        if call == "execve":
            name = _NAMED.match(rest)
            waiting += [(time, _plain(name[2]))] if name else []
        else:
            yield from _done(time, call, rest, here)
    yield from _ran(waiting, here)


def _ran(programs: Iterable[tuple[float, str]], here: str) -> Iterator[Noted]:
    for time, name in programs:
        path = os.path.normpath(os.path.join(here, name))
        yield Noted(time, Did.RAN, path)
        yield Noted(time, Did.READ, path)


def _done(time: float, call: str, rest: str, here: str) -> Iterator[Noted]:
    names = [_absolute(name, here) for name in _NAMED.finditer(rest)]
    if call in _TWO_NAMES or call.startswith("mkdir"):
        yield from (Noted(time, Did.READ, path) for path in names[:-1])
        yield from (Noted(time, Did.MADE, path) for path in names[-1:])
        return
    opened = _OPENED.search(rest)
    if opened is None or "O_PATH" in rest:
        return
    paths = dict.fromkeys([*names[:1], _plain(opened[1])])
    if _MAKES.search(rest):
        did = Did.MADE
    elif "O_WRONLY" in rest:
        return
    else:
        did = Did.LISTED if "O_DIRECTORY" in rest else Did.READ
    yield from (Noted(time, did, path) for path in paths)


def _absolute(name: re.Match[str], here: str) -> str:
    return os.path.normpath(os.path.join(_plain(name[1]) if name[1] is not None else here, _plain(name[2])))


def _plain(text: str) -> str:
    """A path as it is, from strace's C notation of its bytes."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if found[1][0] in "01234567" else _LETTERS.get(found[1], found[1]), text)
    return os.fsdecode(raw.encode("latin-1", "replace"))
