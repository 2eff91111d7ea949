"""Which files of the source the steps of a job read without having declared them: the steps run under strace, and its notes are read.

Source for the form of the notes: strace(1), `-y` (paths of descriptors), `-z` (only what succeeded), `-ff` (a file a process).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sparki_daemon.pipeline.cache_inputs import SourceFiles
from sparki_daemon.runner.tracer import notes_folder
from sparki_daemon.source import files
from sparki_daemon.source.snapshot import from_json

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

_FOLDER = re.compile(r"AT_FDCWD<((?:[^>\\]|\\.)*)>")
_NAMED = re.compile(r'^(?:open|execve)\("((?:[^"\\]|\\.)*)"|^openat2?\([^<]*<((?:[^>\\]|\\.)*)>, "((?:[^"\\]|\\.)*)"')
_OPENED = re.compile(r"= \d+<((?:[^>\\]|\\.)*)>")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}


def undeclared(job: Job) -> list[str]:
    """Files of the source that the job's steps read, and that are declared neither as inputs nor as outputs.

    Raises OSError, SparkiError.
    """
    assert job.plan.cache is not None
    digests = files.digests(from_json(job.run_file.spec["source"]["snapshot"]))
    source = SourceFiles.of("", digests)
    known = {*(source.matching(job.plan.cache.inputs) if job.plan.cache.inputs else digests), *source.matching(job.plan.cache.outputs)}
    roots = {job.workspace, os.path.realpath(job.workspace)}
    read = {path[len(root) + 1 :] for path in _noted(notes_folder(job), job.workspace) for root in roots if path.startswith(f"{root}/")}
    return sorted((read & digests.keys()) - known)


def _noted(folder: str, start: str) -> Iterator[str]:
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as lines:
            yield from read_paths(lines, start)


def read_paths(lines: Iterable[str], start: str) -> Iterator[str]:
    """The absolute paths that one process opened to read or executed, by the lines of strace; `start`: its folder until one is noted.

    A link is given by its own path and by that of what it leads to.
    """
    here = start
    for line in lines:
        if found := _FOLDER.search(line):
            here = _plain(found[1])
        named = _NAMED.match(line)
        if named is None or "O_WRONLY" in line or "O_PATH" in line or "O_DIRECTORY" in line:
            continue
        base, name = (_plain(named[2]), named[3]) if named[3] is not None else (here, named[1])
        yield os.path.normpath(os.path.join(base, _plain(name)))
        if opened := _OPENED.search(line):
            yield _plain(opened[1])


def _plain(text: str) -> str:
    """A path as it is, from strace's C notation of its bytes."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if found[1][0] in "01234567" else _LETTERS.get(found[1], found[1]), text)
    return os.fsdecode(raw.encode("latin-1", "replace"))
