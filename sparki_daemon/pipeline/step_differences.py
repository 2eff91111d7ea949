"""Say which steps ask for what this machine has not: versions, shells, and scripts of local actions that nobody runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparki_daemon.model.plan import JobPlan, Plan, StepPlan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline import codes
from sparki_daemon.pipeline.actions import action_name, is_local
from sparki_daemon.pipeline.known_inputs import known_inputs, known_text
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.yaml_node import MappingNode
from sparki_daemon.pipeline.yaml_reader import load

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
    unseen = [step.uses for job in jobs for step in job.steps if is_local(step.uses)]
    seen: set[str] = set()
    while unseen and machine.action_file is not None:
        uses = unseen.pop()
        if uses in seen:
            continue
        seen.add(uses)
        if found := machine.action_file(uses):
            runs = _runs_of(*found)
            unseen += _used_by(runs)
            for key, _ in runs.pairs:
                if key.text == "pre":
                    message = f"the 'pre' script of '{uses}' is not run: neither does GitHub run one of a local action"
                    yield Problem(code=codes.LOCAL_PRE, message=message, at=Position(found[0], key.line, key.column))


def _runs_of(file: str, data: bytes) -> MappingNode:
    """The `runs` of an action's metadata; empty where that can't be read: the step that uses it will say so."""
    try:
        root, _ = load(data, file)
    except SparkiError:
        return MappingNode(0, 0)
    runs = root.get("runs") if isinstance(root, MappingNode) else None
    return runs if isinstance(runs, MappingNode) else MappingNode(0, 0)


def _used_by(runs: MappingNode) -> Iterator[str]:
    steps = runs.get("steps")
    for step in getattr(steps, "items", ()):
        uses = step.get("uses") if isinstance(step, MappingNode) else None
        text = str(getattr(uses, "text", ""))
        if is_local(text):
            yield text
