"""Which jobs ask for another operating system than this machine's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sparki_daemon.model.plan import JobPlan, Plan

# How GitHub's hosted labels begin. Source: GitHub's docs, "GitHub-hosted runners reference".
_SYSTEMS = {"ubuntu": "Linux", "macos": "macOS", "windows": "Windows"}
_BARE = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}  # labels that self-hosted runners bear
OTHER_SYSTEM = "SPK001"


def foreign_label(labels: Sequence[str], system: str) -> str | None:
    """The label that asks for another system than `system` ("Linux", "macOS", "Windows"); None: the job can run here."""
    for label in labels:
        word = label.lower()
        asked = _BARE.get(word) or _SYSTEMS.get(word.partition("-")[0])
        if asked is not None and asked != system:
            return label
    return None


def skip_reason(job: JobPlan, system: str) -> str:
    """Why a job is skipped on this machine; empty where it can run."""
    label = foreign_label(job.runs_on, system)
    return f"runs-on '{label}': this machine runs {system}" if label else ""


def differences(plan: Plan, system: str) -> Iterator[dict[str, Any]]:
    """An entry of `differences` in the plan's JSON for each job that is skipped here."""
    for job in plan.jobs:
        if reason := skip_reason(job, system):
            message = f"job '{job.id}' is skipped: {reason}"
            yield {"code": OTHER_SYSTEM, "message": message, "file": plan.file, "line": job.line, "column": job.column}
