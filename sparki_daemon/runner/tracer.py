"""Puts the steps of a job whose reads are checked under strace. Source for its options: strace(1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

CALLS = "trace=open,openat,openat2,execve"


def traced(job: Job, command: list[str]) -> list[str]:
    """The command of a step, under the tracer where the job's reads are checked. Raises OSError."""
    tracer = job.run_file.spec.get("job_cache", {}).get("tracer")
    if not tracer or job.plan.cache is None:
        return command
    folder = notes_folder(job)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # -D: the step stays the runner's child, so that signals and its end are its own. -s 0: no argument of a program is noted.
    options = ["-D", "-A", "-ff", "-qq", "-y", "-z", "-s", "0", "--seccomp-bpf", "-e", CALLS, "-e", "signal=none"]
    return [tracer, *options, "-o", f"{folder}/of", "--", *command]


def notes_folder(job: Job) -> str:
    """Where the tracer's notes lie; gone with the job."""
    return f"{job.work}/reads"
