"""Keeps the workspace of a job that has failed, with what its steps had set, so that another attempt can begin at a step of it.

The folder moves as a whole, with what is needed to go on in the file `RESUME`: whoever dies, it lies at one of two places. It is
taken out of that file's reach, by removing the file, only once it is told that the attempt has begun and before its first step.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.system.digest import sha256
from sparki_daemon.system.files import write_atomic

if TYPE_CHECKING:
    from sparki_daemon.model.plan import StepPlan
    from sparki_daemon.runner.job import Job

RESUME = "resume.json"  # beside workspace, home and tmp
WHY_NOT = ".why"  # behind the name of a folder that was not kept: a file that says why


@dataclass(frozen=True, slots=True)
class Mark:
    """How a job stood when one of its steps began. What is counted only grows, and is never changed."""

    env: dict[str, str]
    paths: int
    contexts: int


def mark(job: Job) -> Mark:
    return Mark(job.env, len(job.added_paths), len(job.scope.steps))


def digest(steps: Sequence[StepPlan]) -> str:
    """What steps do, in short."""
    from dataclasses import asdict  # noqa: PLC0415  # it loads `inspect`, 8 ms, and most jobs do not fail

    return sha256(json.dumps([asdict(step) for step in steps], sort_keys=True, default=str).encode()).hexdigest()


def keep(job: Job, ended: Sequence[dict[str, Any]]) -> None:
    """Keep the work folder at `spec["kept"]`, or note there why not, for whoever wants to go on in it.

    One that may hold secrets is not kept: they belong into no file that outlives the job.
    """
    if why := _kept_or_why(job, ended):
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(job.spec["kept"]), mode=0o700, exist_ok=True)
            write_atomic(job.spec["kept"] + WHY_NOT, why.encode())


def _kept_or_why(job: Job, ended: Sequence[dict[str, Any]]) -> str:
    planned = {record["step"]: record for record in ended if not record.get("post")}
    failed = next((index for index, record in sorted(planned.items()) if record["conclusion"] == "failure"), None)
    if failed is None or failed >= len(job.marks):
        return "none of its steps had failed"
    if job.output.masker.hides:
        return "the job was given secrets, or hid a value, and its files may hold them"
    try:
        return _keep(job, planned, failed)
    except (OSError, KeyError, ValueError, TypeError) as error:
        return f"it could not be kept: {error}"


def _keep(job: Job, planned: dict[int, dict[str, Any]], failed: int) -> str:
    from dataclasses import asdict  # noqa: PLC0415  # as above

    place = job.spec["kept"]
    before = job.before | {index: planned[index] for index in planned if index < failed}
    state = {
        "failed": failed,
        "names": [planned[index]["name"] if index in planned else before[index]["name"] for index in range(failed + 1)],
        "digests": [digest(job.plan.steps[:index]) for index in range(failed + 1)],
        "marks": [asdict(one) for one in job.marks[: failed + 1]],
        "paths": job.added_paths,
        "contexts": list(job.scope.steps.items()),
        "states": {index: state for index, state in job.states.items() if index < failed},
        "steps": [
            {name: before[index][name] for name in ("step", "name", "outcome", "conclusion", "exit_code")} for index in range(failed)
        ],
        "attempt": job.spec["attempt"],
        "work": job.work,
    }
    write_atomic(f"{job.work}/{RESUME}", json.dumps(state).encode())
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    os.rename(job.work, place)
    return ""


def bring_back(job: Job) -> None:
    """Put the kept folder where it was: paths into it are in files and variables. Raises OSError where it is gone."""
    place = job.spec["resume"]["kept"]
    if os.path.exists(place):
        os.makedirs(os.path.dirname(job.work), mode=0o700, exist_ok=True)
        os.rename(place, job.work)
    if not os.path.exists(f"{job.work}/{RESUME}"):  # else another runner has brought it back, and died before it began
        raise OSError("the kept workspace is gone: `sparki retry --failed` begins at the first step")


def go_on(job: Job) -> list[StepPlan]:
    """Have the job stand as it did when the step began that it is to begin at, and tell so; gives the steps that are left."""
    at = job.spec["resume"]["step"]
    with open(f"{job.work}/{RESUME}", "rb") as file:
        state = json.load(file)
    job.marks = [Mark(**one) for one in state["marks"][:at]]
    now = Mark(**state["marks"][at])
    job.env = now.env
    job.added_paths += state["paths"][: now.paths]
    job.scope.steps.update(dict(state["contexts"][: now.contexts]))
    job.states |= {int(index): one for index, one in state["states"].items() if int(index) < at}
    for record in state["steps"][:at]:
        job.before[record["step"]] = record
        done = {"duration_ms": 0, "from": 0, "to": 0, "reason": f"done in attempt {state['attempt']}", "left": [], "annotations": []}
        job.hold({"kind": "step.finished", **record, **done})
    job.tell()
    os.unlink(f"{job.work}/{RESUME}")
    return list(job.plan.steps[at:])
