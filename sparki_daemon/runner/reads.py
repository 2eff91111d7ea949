"""What the steps of a job read without having declared it: the steps run under strace, and its notes are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sparki_daemon.pipeline.cache_inputs import SourceFiles
from sparki_daemon.runner.trace_notes import Did, Noted, cut_off, noted
from sparki_daemon.runner.tracer import notes_folder
from sparki_daemon.source import files
from sparki_daemon.source.snapshot import from_json

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

# What a machine is made of (Filesystem Hierarchy Standard 3.0, and where Nix and snap put theirs): `runs-on` and `tools` stand for it.
MACHINE = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/proc", "/run", "/sbin", "/snap", "/sys", "/usr")
MOST = 1000  # paths outside of the source that are told: a package manager's own cache may have any number
_PROGRAMS = ("bin", "sbin", "libexec")


def check(job: Job) -> dict[str, Any]:
    """Files of the source that the job's steps read, and that are declared neither as inputs nor as outputs: `undeclared`.

    Beside them, where the declaration can't tell or must not: folders of the source that were `listed` and hold what is no input,
    and what was read `outside` of the source. What the job itself had made before is nowhere among them.
    `note`: what it could not see. Raises OSError, SparkiError.
    """
    assert job.plan.cache is not None
    digests = files.digests(from_json(job.run_file.spec["source"]["snapshot"]))
    source = SourceFiles.of("", digests)
    inputs = source.matching(job.plan.cache.inputs) if job.plan.cache.inputs else digests
    known = {*inputs, *source.matching(job.plan.cache.outputs)}
    told = sorted(noted(notes_folder(job), job.workspace), key=lambda one: one.time)
    read, listed = looked_at(told)
    inside, outside = _parted(read, job.workspace)
    of_source = {path for name in inside for path in _with_links(name, digests)}
    own = (job.work, job.temp, *_tools(told, job.workspace))
    beyond = {path for path in outside if not _is_within(path, (*MACHINE, *own)) and not os.path.isdir(path)}
    if any(_is_within(path, (".git",)) for path in inside):
        beyond.add(".git")  # no key holds the commit or the history
    lost = cut_off(notes_folder(job))
    folders = {os.path.dirname(path) for path in digests.keys() - known}
    return {
        "undeclared": sorted(of_source - known),
        "listed": sorted(path or "." for path in _parted(listed, job.workspace)[0] if path in folders),
        "outside": [job.output.masker.mask_text(path) for path in sorted(beyond)[:MOST]],
        **({"note": f"the tracer was ended before {lost} of the processes: what they read is not known whole"} if lost else {}),
    }


def looked_at(told: Iterable[Noted]) -> tuple[set[str], set[str]]:
    """The files that were read, and the folders that were listed, by notes in the order of their time; without what was made before."""
    read: set[str] = set()
    listed: set[str] = set()
    made: set[str] = set()
    for one in told:
        if one.did is Did.MADE:
            made.add(one.path)
        elif not _is_within(one.path, made):
            (listed if one.did is Did.LISTED else read).add(one.path)
    return read, listed


def _parted(paths: Iterable[str], workspace: str) -> tuple[set[str], set[str]]:
    """Paths in the workspace, relative to it, and the other ones."""
    roots = {workspace, os.path.realpath(workspace)}
    inside: set[str] = set()
    outside: set[str] = set()
    for path in paths:
        root = next((root for root in roots if _is_within(path, (root,))), None)
        if root is None:
            outside.add(path)
        else:
            inside.add(path[len(root) + 1 :])
    return inside, outside


def _with_links(path: str, digests: Iterable[str]) -> Iterator[str]:
    """The file of the source that a path is, and the links of the source that it leads through."""
    while path:
        if path in digests:
            yield path
        path = os.path.dirname(path)


def _tools(told: Iterable[Noted], workspace: str) -> set[str]:
    """The folders where the programs that were executed are installed; one in the workspace is the job's own."""
    programs = {path for one in told if one.did is Did.RAN for path in (one.path, os.path.realpath(one.path))}
    return {folder for path in programs if not _is_within(path, (workspace,)) and (folder := _installed(path))}


def _installed(program: str) -> str:
    folder = os.path.dirname(program)
    above = os.path.dirname(folder)
    known = above.count("/") > 1 and above != os.path.expanduser("~")  # `/x/bin` and `~/bin` are in no folder of their own
    return above if os.path.basename(folder) in _PROGRAMS and known else folder


def _is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of some others, or in one of them."""
    known = folders if isinstance(folders, set) else {*folders}
    while path and path != "/":
        if path in known:
            return True
        path = os.path.dirname(path)
    return False
