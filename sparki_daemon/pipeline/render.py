"""Show a plan: as JSON for scripts, and as lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparki_daemon.model.plan import JobCache, JobPlan, Plan, StepPlan
from sparki_daemon.model.problem import Problem

_MAX_WIDTH = 100


def plan_json(plan: Plan, source: Mapping[str, Any], differences: Sequence[Problem] = ()) -> dict[str, Any]:
    """The document of `sparki run --plan --json`; `source` has tree, commit and dirty. Its shape is the public interface's."""
    return {
        "pipeline": {"name": plan.name, "file": plan.file},
        "source": dict(source),
        "jobs": [_job_json(job) for job in plan.jobs],
        "differences": [difference.to_json() for difference in differences],
    }


def _job_json(job: JobPlan) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "needs": list(job.needs),
        "matrix": _finite(dict(job.matrix)),
        "cache": _cache_json(job.cache),
        "deferred": list(job.deferred),
        "steps": [_step_json(step) for step in job.steps],
    }


def _cache_json(cache: JobCache | None) -> dict[str, Any] | None:
    return None if cache is None else {"inputs": list(cache.inputs), "outputs": list(cache.outputs), "tools": list(cache.tools)}


def _step_json(step: StepPlan) -> dict[str, Any]:
    does = {"run": step.run.text} if step.run is not None else {"uses": step.uses}
    return {"id": step.id or None, "name": step_name(step), **does}


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become the strings that GitHub shows."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def step_name(step: StepPlan) -> str:
    """What GitHub calls a step before its name is computed: `name`, else `Run` and the action or the first line."""
    if step.name is not None and step.name.text.strip():
        return step.name.text.strip().splitlines()[0].rstrip()
    script = step.run.text.strip() if step.run is not None else step.uses
    return f"Run {script.splitlines()[0] if script else ''}".strip()


def plan_text(plan: Plan) -> list[str]:
    """The plan as a compact tree, without colour: each job with what it needs, its steps under it."""
    lines = [f"{plan.name}  {plan.file}" if plan.name != plan.file else plan.file]
    for index, job in enumerate(plan.jobs):
        last = index == len(plan.jobs) - 1
        lines.append(_cut(f"{'└─' if last else '├─'} {_job_line(job)}"))
        lines.extend(_cut(f"{'   ' if last else '│  '}   {line}") for line in _step_lines(job))
    return lines


def _job_line(job: JobPlan) -> str:
    name = " ".join(job.name.split())
    shown = job.id if name in {job.id, job.base} else f"{job.id}  {name}"
    needs = f"  ← {', '.join(job.needs)}" if job.needs else ""
    condition = f"  if {' '.join(job.condition.text.split())}" if job.condition is not None else ""
    waits = f"  (waits for {', '.join(job.deferred)})" if job.deferred else ""
    cached = "  (cached)" if job.cache is not None else ""
    return f"{shown}{needs}{condition}{waits}{cached}"


def _step_lines(job: JobPlan) -> Iterator[str]:
    if not job.steps:
        yield "no steps"
    for number, step in enumerate(job.steps, 1):
        yield f"{number} {' '.join(step_name(step).split())}"


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_WIDTH else f"{line[: _MAX_WIDTH - 1]}…"
