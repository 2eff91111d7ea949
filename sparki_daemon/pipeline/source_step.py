"""The step that puts the source in place before a job's own steps, where a pipeline or a request wants no checkout step for that."""

from __future__ import annotations

from collections.abc import Sequence

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import StepPlan, Template
from sparki_daemon.model.problem import Position
from sparki_daemon.pipeline.actions import action_name

_CHECKOUT = "actions/checkout"
_INPUTS = {"fetch-depth": "0", "submodules": "recursive"}  # all of it is on this machine: leaving some out would save nothing


def with_source(steps: Sequence[StepPlan], at: Position) -> tuple[StepPlan, ...]:
    """The steps behind one that checks out the source; as they are, where they begin by doing so. `at`: the job's place, for that step."""
    if not steps or _takes_source(steps[0]):
        return tuple(steps)
    first = StepPlan(
        index=0,
        line=at.line,
        column=at.column,
        name=Template("Get the source", at.line, at.column),
        uses=f"{_CHECKOUT}@v7",
        inputs=tuple((name, Template(value, at.line, at.column)) for name, value in _INPUTS.items()),
    )
    return (first, *(replace(step, index=step.index + 1) for step in steps))


def _takes_source(step: StepPlan) -> bool:
    """Whether a step checks out this repository, always, and into the workspace itself."""
    given = {name.lower() for name, _ in step.inputs}
    return action_name(step.uses) == _CHECKOUT and step.condition is None and not given & {"repository", "path", "ref", ""}
