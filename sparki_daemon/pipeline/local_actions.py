"""Look at planning time into the local actions that jobs use, and into those that these use, as far as the source has them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sparki_daemon.model.plan import JobPlan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.actions import action_name, is_local, native
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.yaml_node import MappingNode, ScalarNode, SequenceNode
from sparki_daemon.pipeline.yaml_reader import load

ActionFile = Callable[[str], tuple[str, bytes] | None]
"""Path and content of the metadata of the local action that a `uses` names; None: the source has none there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A local action that a job comes to. `runs` is empty where it can't be read: the step that uses it will say so."""

    uses: str
    file: str
    runs: MappingNode


def reached(jobs: Iterable[JobPlan], action_file: ActionFile) -> Iterator[Seen]:
    """Every local action that the jobs come to, each once. One that the source has not is none here: a step may bring it."""
    unseen = [step.uses for job in jobs for step in job.steps if is_local(step.uses)]
    seen: set[str] = set()
    while unseen:
        uses = unseen.pop()
        if uses in seen:
            continue
        seen.add(uses)
        if found := action_file(uses):
            runs = _runs_of(*found)
            unseen += [inner.text for inner in _uses_of(runs) if is_local(inner.text)]
            yield Seen(uses, found[0], runs)


def refused(jobs: Iterable[JobPlan], action_file: ActionFile) -> Iterator[Problem]:
    """What of the local actions that jobs come to can't run here: other people's actions in them, and images."""
    for action in reached(jobs, action_file):
        using = action.runs.get("using")
        if isinstance(using, ScalarNode) and using.text.lower() == "docker":
            message = f"Sparki can't run '{action.uses}', a Docker action"
            yield _problem(message, "jobs run on this machine, with no container engine", action, using)
        for uses in _uses_of(action.runs):
            if OPEN not in uses.text and uses.text and not is_local(uses.text) and native(uses.text) is None:
                known = action_name(uses.text) or uses.text.startswith(("docker://", "$/"))
                message = f"Sparki can't run the action '{uses.text}'" if known else f"'{uses.text}' names no action"
                hint = f"'{action.uses}' uses it: an action of this repository (./FOLDER), or one that Sparki has, can run here"
                yield _problem(message, hint, action, uses)


def _problem(message: str, hint: str, action: Seen, node: ScalarNode) -> Problem:
    return Problem(code="unsupported_action", message=message, at=Position(action.file, node.line, node.column), hint=hint)


def _runs_of(file: str, data: bytes) -> MappingNode:
    try:
        root, _ = load(data, file)
    except SparkiError:
        return MappingNode(0, 0)
    runs = root.get("runs") if isinstance(root, MappingNode) else None
    return runs if isinstance(runs, MappingNode) else MappingNode(0, 0)


def _uses_of(runs: MappingNode) -> Iterator[ScalarNode]:
    steps = runs.get("steps")
    for step in steps.items if isinstance(steps, SequenceNode) else ():
        uses = step.get("uses") if isinstance(step, MappingNode) else None
        if isinstance(uses, ScalarNode):
            yield uses
