"""Rows of the store as the public JSON shapes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sparki_daemon.store.jobs import JobRow
from sparki_daemon.store.runs import RunRow
from sparki_daemon.store.steps import StepRow


def run_summary(row: RunRow) -> dict[str, Any]:
    """One entry of `sparki runs --json`."""
    return {
        "id": row.id,
        "pipeline": row.pipeline,
        "file": row.file,
        "status": row.state.value,
        "reason": row.reason,
        "source": row.source,
        "number": row.number,
        "attempt": row.attempt,
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "directory": row.options.get("directory", ""),
        "title": row.title,
    }


def run_view(
    row: RunRow, jobs: Iterable[JobRow], steps: Mapping[str, list[StepRow]], plan: Mapping[str, Any], summaries: Mapping[str, str]
) -> dict[str, Any]:
    """`sparki show RUN --json`. `steps` and `summaries`: by job uid, of the present attempts; `plan`: as the run's documents hold it."""
    planned = {job["id"]: job for job in plan["jobs"]}
    return {
        **run_summary(row),
        "jobs": [job_view(job, steps.get(job.uid, []), planned[job.key], summaries.get(job.uid, "")) for job in jobs],
    }


def job_view(job: JobRow, steps: Iterable[StepRow], planned: Mapping[str, Any], summary: str = "") -> dict[str, Any]:
    """One job of `sparki show RUN --json`. `summary`: the Markdown that its steps wrote."""
    return {
        "id": job.key,
        "uid": job.uid,
        "name": job.name,
        "status": job.state.public,
        "reason": job.reason,
        "cached": job.cached,
        "cache": json.loads(job.cache) if job.cache else None,
        "tolerated": job.tolerated,
        "attempt": job.attempt,
        "needs": planned["needs"],
        "outputs": job.outputs,
        "log": job.log_bytes,
        "summary": summary,
        "tests": json.loads(job.tests) if job.tests else None,
        "started": job.started,
        "finished": job.finished,
        "steps": [step_view(step) for step in steps],
    }


def step_view(step: StepRow) -> dict[str, Any]:
    """One step of `sparki show RUN --json`."""
    return {
        "index": step.index,
        "id": step.id,
        "name": step.name,
        "status": step.state,
        "outcome": step.outcome,
        "conclusion": step.conclusion,
        "exit_code": step.exit_code,
        "reason": step.reason,
        "annotations": step.annotations,
        "duration_ms": step.duration_ms,
        "started": step.started,
        "from": step.log_from,
        "to": step.log_to,
    }
