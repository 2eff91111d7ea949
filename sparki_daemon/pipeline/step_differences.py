"""Say which steps ask for what this machine has not: versions, shells, and scripts of local actions that nobody runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparki_daemon.model.plan import JobPlan, Plan, StepPlan
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline import codes
from sparki_daemon.pipeline.actions import action_name
from sparki_daemon.pipeline.known_inputs import known_inputs, known_text
from sparki_daemon.pipeline.local_actions import reached
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.mapped import is_mapped

_VERSIONS = {
    "actions/setup-python": ("python-version", "python-version-file"),
    "actions/setup-node": ("node-version", "node-version-file"),
}


def absent_versions(jobs: Iterable[JobPlan], plan: Plan, machine: Machine, known: Mapping[str, Any]) -> Iterator[Problem]:
    """Each version that a step asks for and that is not on this machine, of all legs: each may ask for another."""
    if machine.lacking is None:
        return
    for job in jobs:
        for step in job.steps:
            names = _VERSIONS.get(action_name(step.uses), ())
            given = known_inputs(step, job, plan, known) if names else {}
            wanted = {name: given[name] for name in names if name in given}
            texts = {name: text for name, text in wanted.items() if text is not None}
            if names and len(texts) == len(wanted) and (why := machine.lacking(action_name(step.uses), texts)):
                place = next((template for name, template in step.inputs if name.lower() in wanted), step)
                yield Problem(code=codes.ABSENT_VERSION, message=why, at=Position(plan.file, place.line, place.column))


def unkept_environments(step: StepPlan, file: str) -> Iterator[Problem]:
    """A `cache` of virtual environments, which hold for one job's Python only."""
    for name, template in step.inputs if action_name(step.uses) == "actions/setup-python" else ():
        if name.lower() == "cache" and template.text.strip() in {"poetry", "pipenv"}:
            message = f"the virtual environments of '{template.text.strip()}' are not kept, and 'cache-hit' is always false"
            yield Problem(code=codes.UNKEPT_ENVIRONMENTS, message=message, at=Position(file, template.line, template.column))


def absent_shell(step: StepPlan, job: JobPlan, plan: Plan, machine: Machine, provided: Iterable[str]) -> Iterator[Problem]:
    """The shell that a step's script is for, where that is not here and no step before has brought it."""
    template = step.shell or job.shell
    if step.run is None or template is None or machine.exists is None:
        return
    words = (known_text(template, step, job, plan, {}) or "").split()
    if words and "/" not in words[0] and words[0] not in provided and not machine.exists(words[0]):
        message = f"the shell '{words[0]}' is not installed here"
        yield Problem(code=codes.ABSENT_SHELL, message=message, at=Position(plan.file, template.line, template.column))


def unrun_scripts(jobs: Iterable[JobPlan], machine: Machine) -> Iterator[Problem]:
    """Each `pre` of a local action that a job uses, and of those that these use; an action that the source has not is none here."""
    for action in reached(jobs, machine.action_file, machine.mapped) if machine.action_file else ():
        ours = is_mapped(action.uses, machine.mapped)
        for key, _ in action.runs.pairs:
            if key.text == "pre" and not (ours and action.by_job):
                why = "it is used within another action" if ours else "neither does GitHub run one of a local action"
                message = f"the 'pre' script of '{action.uses}' is not run: {why}"
                yield Problem(code=codes.LOCAL_PRE, message=message, at=Position(action.file, key.line, key.column))
