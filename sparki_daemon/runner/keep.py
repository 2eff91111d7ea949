"""Keeps the result of a job that succeeded, for later runs: its log, outputs, artifacts and declared files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.spec import KeepSpec
from sparki_daemon.runner.file_patterns import BadPattern, find
from sparki_daemon.runner.summary import summary_path
from sparki_daemon.store import job_cache
from sparki_daemon.store.artifacts import Artifacts
from sparki_daemon.store.job_cache import EntryDamaged, Offer, Result

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

_OF_A_STEP = ("step", "name", "outcome", "conclusion", "exit_code", "duration_ms", "from", "to", "reason", "annotations")


def keep(job: Job, spec: KeepSpec, ended: Sequence[Mapping[str, Any]], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Keep the result, and say what came of it: `files` (path, mode, bytes, digest), or `note`, why nothing was kept.

    Whatever goes wrong here, the job has succeeded.
    """
    try:
        files = list(declared(job.workspace, spec["outputs"]))
        log = f"{job.spec['log']}.log"
        result = Result(
            run=job.spec["run"],
            job=job.spec["key"],
            outputs=outputs,
            steps=[_step(job, record) for record in ended],
            duration_ms=sum(record["duration_ms"] for record in ended),
            log_digest="",
            log_bytes=job.output.size,
            summary_bytes=job.summary.size,
            tests=job.tests,
        )
        offer = Offer(
            result=result,
            parts=spec["parts"],
            log=log,
            summary=summary_path(job.spec["log"]),
            files=files,
            artifacts=list(_artifacts(job)),
        )
        kept = job_cache.keep(spec["slot"], spec["key"], offer)
        if "bring_to" in spec and (entry := job_cache.look(spec["slot"], spec["key"])):
            job_cache.bring_files(entry, spec["bring_to"])
    except EntryDamaged as damaged:
        return {"note": f"what was kept is damaged already: {damaged}"}
    except BadPattern as error:
        return {"note": f"nothing was kept: {error}"}
    except OSError as error:
        return {"note": f"nothing was kept: {error.strerror}: '{error.filename}'"}
    if kept is None:
        return {"note": "another run has kept this result meanwhile"}
    return {"files": [[one.path, one.mode, one.size_bytes, one.digest] for one in kept.files], "bytes": kept.size_bytes}


def declared(workspace: str, patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The files and links that a job's declared outputs are: paths in the workspace, and where they lie. Raises BadPattern."""
    seen: set[str] = set()
    for place in find("\n".join(patterns), workspace, folders=False) if patterns else ():
        path = os.path.relpath(place, workspace)
        if path not in seen and not path.startswith("..") and (os.path.islink(place) or os.path.isfile(place)):
            seen.add(path)
            yield path, place


def _step(job: Job, record: Mapping[str, Any]) -> dict[str, Any]:
    index = record["step"]
    ident = job.plan.steps[index].id if index < len(job.plan.steps) else ""
    return {**{name: record[name] for name in _OF_A_STEP}, "id": ident}


def _artifacts(job: Job) -> Iterator[str]:
    """The folders of the artifacts that this job has saved: those that name it."""
    if "artifacts" in job.spec and any("upload-artifact" in step.uses for step in job.plan.steps):
        for artifact in Artifacts(job.spec["artifacts"]).listing(job.spec["run"], up_to=job.spec["attempt"]):
            if artifact.job == job.spec["key"]:
                yield artifact.folder
