"""Puts the steps of a job whose reads are checked under strace, and lets it finish. Source for its options: strace(1)."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from sparki_daemon.system.process import children, name_of
from sparki_daemon.system.tree import end_children, reap

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

LAST_NOTES_S = 10.0
CALLS = "trace=open,openat,openat2,execve,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"


def traced(job: Job, command: list[str]) -> list[str]:
    """The command of a step, under the tracer where the job's reads are checked. Raises OSError."""
    tracer = _tracer(job)
    if not tracer:
        return command
    folder = notes_folder(job)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return [tracer, *options(folder), *command]


def options(folder: str) -> list[str]:
    """What strace is told, for notes in `folder`; the command comes behind.

    -D: the step stays the runner's child, so that signals and its end are its own. -s 0: no argument of a program is noted.
    """
    form = ["-ttt", "-y", "-z", "-s", "0", "-e", "signal=none", "-e", CALLS]
    return ["-D", "-A", "-ff", "-q", *form, "--seccomp-bpf", "-o", f"{folder}/of", "--"]


def end_all(job: Job, keep: Collection[int], *, term_s: float) -> list[str]:
    """`end_children`, but tracers end by themselves once what they trace has: killed, they would take their last notes with them."""
    name = os.path.basename(_tracer(job))[:15]
    tracers = {child for child in children() if child not in keep and name_of(child) == name} if name else set()
    left = end_children({*keep, *tracers}, term_s=term_s)
    if tracers:
        deadline = time.monotonic() + LAST_NOTES_S
        while tracers & {*children()} and time.monotonic() < deadline:
            time.sleep(0.002)
            reap(keep)
        left += end_children(keep, term_s=0)
    return left


def _tracer(job: Job) -> str:
    """The program that the job's steps are traced with; empty: they are not."""
    if not hasattr(job, "plan") or job.plan.cache is None:  # one that was broken before its plan was read
        return ""
    return job.run_file.spec.get("job_cache", {}).get("tracer", "")


def notes_folder(job: Job) -> str:
    """Where the tracer's notes lie; gone with the job."""
    return f"{job.work}/reads"
