"""Look at planning time into the local and mapped actions that jobs use, and into those that these use, as far as they are there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.plan import JobPlan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.actions import action_name, is_local, native
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.mapped import is_mapped
from sparki_daemon.pipeline.yaml_node import MappingNode, ScalarNode, SequenceNode
from sparki_daemon.pipeline.yaml_reader import load

ActionFile = Callable[[str], tuple[str, bytes] | None]
"""Path and content of the metadata of the local or mapped action that a `uses` names; None: there is none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A local or mapped action that a job comes to. `runs` is empty where it can't be read: the step that uses it will say so."""

    uses: str
    file: str
    runs: MappingNode
    by_job: bool = True  # a job's own step uses it, not only other actions


def reached(jobs: Iterable[JobPlan], action_file: ActionFile, mapped: Container[str] = ()) -> Iterator[Seen]:
    """Every local action that the jobs come to, each once. One that the source has not is none here: a step may bring it.

    `mapped`: keys of the repositories that folders stand for; their actions are looked into like local ones.
    """
    unseen = [step.uses for job in jobs for step in job.steps if is_local(step.uses) or is_mapped(step.uses, mapped)]
    by_jobs = frozenset(unseen)
    seen: set[str] = set()
    while unseen:
        uses = unseen.pop()
        if uses in seen:
            continue
        seen.add(uses)
        if found := action_file(uses):
            runs = _runs_of(*found)
            unseen += [inner.text for inner in _uses_of(runs) if is_local(inner.text) or is_mapped(inner.text, mapped)]
            yield Seen(uses, found[0], runs, uses in by_jobs)


def refused(jobs: Iterable[JobPlan], file: str, action_file: ActionFile, mapped: Container[str] = ()) -> Iterator[Problem]:
    """What of the actions that jobs of `file` come to can't run here: actions in them that nothing stands for, and images.

    An action that its mapped repository has not is refused too: no step can bring it.
    """
    jobs = tuple(jobs)
    for step in (step for job in jobs for step in job.steps if is_mapped(step.uses, mapped)):
        if action_file(step.uses) is None:
            yield _absent(step.uses, Position(file, step.line, step.column))
    for action in reached(jobs, action_file, mapped):
        using = action.runs.get("using")
        if isinstance(using, ScalarNode) and using.text.lower() == "docker":
            message = f"Sparki can't run '{action.uses}', a Docker action"
            yield _problem(message, "jobs run on this machine, with no container engine", action, using)
        for uses in _uses_of(action.runs):
            if is_mapped(uses.text, mapped):
                if action_file(uses.text) is None:
                    yield _absent(uses.text, Position(action.file, uses.line, uses.column))
            elif OPEN not in uses.text and uses.text and not is_local(uses.text) and native(uses.text) is None:
                known = action_name(uses.text) or uses.text.startswith(("docker://", "$/"))
                message = f"Sparki can't run the action '{uses.text}'" if known else f"'{uses.text}' names no action"
                able = "an action of this repository (./FOLDER), one that Sparki has, or one that --action gives can run here"
                hint = f"'{action.uses}' uses it: {able}"
                yield _problem(message, hint, action, uses)


def _absent(uses: str, at: Position) -> Problem:
    message = f"there is no action '{uses}': neither action.yml nor action.yaml is in the folder that stands for it"
    return Problem(code="no_such_action", message=message, at=at, hint="look at the folder that '--action' gives")


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
