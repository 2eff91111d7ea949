"""What all jobs of a run share, put together from its request and its plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.model.spec import CacheSpec
from sparki_daemon.prepare import Planned, Prepared
from sparki_daemon.runner.environment import choose


def run_spec(
    request: dict[str, Any], prepared: Prepared, planned: Planned, project: str, run: str, number: int, *, home: str
) -> dict[str, Any]:
    """What all jobs of the run share: a RunSpec without the plan. `home`: the state folder."""
    return {
        **({"hold": os.path.join(home, "holds", request["hold"])} if request.get("hold") else {}),
        "run": run,
        "project": project,
        "github": {**planned.github, "run_id": number_of(run), "run_number": str(number)},
        "event": planned.event,
        "inputs": planned.inputs,
        "vars": dict(prepared.variables),
        "source": {
            "worktree": prepared.repository.root,
            "branch": planned.branch,
            "snapshot": prepared.snapshot.to_json(),
        },
        "env": _without(choose(request["env"]), request.get("secrets", {})),
        **({"actions": dict(prepared.actions)} if prepared.actions else {}),
        "home": prepared.settings.home,
        "user_home": request["env"].get("HOME", ""),
        "job_cache": _job_cache(request, prepared),
    }


def _job_cache(request: dict[str, Any], prepared: Prepared) -> CacheSpec:
    checks = request.get("check_inputs") or request.get("copy_outputs_to")
    spec = CacheSpec(use=not (request.get("no_cache") or checks), limit_bytes=prepared.settings.cache_bytes)
    if request.get("check_inputs"):
        spec["tracer"] = _tracer(request["env"])
    if request.get("copy_outputs_to"):
        spec["copy_to"] = request["copy_outputs_to"]
    if request.get("outputs"):
        spec["bring_to"] = prepared.repository.root
    return spec


def _tracer(env: Mapping[str, str]) -> str:
    """The strace of this machine. Raises SparkiError `no_tracer` where there is none."""
    import shutil  # noqa: PLC0415  # few runs need it

    found = shutil.which("strace", path=env.get("PATH"))
    if found is None:
        message = "--check-inputs sees what a job reads with strace, and there is no 'strace' in PATH"
        raise SparkiError(
            Problem(code="no_tracer", message=message, hint="install it: apt install strace, dnf install strace, apk add strace")
        )
    return found


def _without(env: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The client's variables but those that bear a secret that was given: they would be kept with the run."""
    hidden = [value for value in secrets.values() if value.strip()]
    names = {name.upper() for name in secrets}
    return {name: text for name, text in env.items() if name.upper() not in names and not any(value in text for value in hidden)}


def number_of(run: str) -> str:
    """GITHUB_RUN_ID is a number on GitHub."""
    return str(int(run.removeprefix("r-"), base=16))
