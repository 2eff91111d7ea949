"""What a check of a job's cache has to tell at the job's end: undeclared reads, or a copy of the declared outputs to compare."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.runner import reads
from sparki_daemon.runner.file_patterns import BadPattern
from sparki_daemon.runner.keep import declared

if TYPE_CHECKING:
    from sparki_daemon.model.spec import CacheSpec
    from sparki_daemon.runner.job import Job


def check(job: Job, spec: CacheSpec) -> dict[str, Any]:
    """What `reads.check` gives (paths), or `copied` (how many files), whichever is asked for; else `note`: why not."""
    try:
        if spec.get("tracer"):
            return reads.check(job)
        return {"copied": _copy(job, os.path.join(spec["copy_to"], job.spec["key"]))}
    except (SparkiError, BadPattern, OSError) as error:
        return {"note": f"the check could not be done: {error}"}


def _copy(job: Job, folder: str) -> int:
    count = 0
    for path, place in declared(job.workspace, job.plan.cache.outputs if job.plan.cache else ()):
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        shutil.copy2(place, target, follow_symlinks=False)
        count += 1
    return count
