"""Rules over a whole file that no single key can break: ids, shells, filters, and names in expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sparki_daemon.model.plan import StepPlan, Template
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.actions import native
from sparki_daemon.pipeline.document import Document, JobSource, Read
from sparki_daemon.pipeline.expression.references import references
from sparki_daemon.pipeline.expression.syntax import Node
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.triggers import trigger_problems
from sparki_daemon.pipeline.yaml_node import MappingNode, ScalarNode, SequenceNode, scalars_of
from sparki_daemon.pipeline.yaml_node import Node as YamlNode

MAX_ID = 100
SHELLS = ("bash", "cmd", "powershell", "pwsh", "python", "sh")
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Expressions = Mapping[int, tuple[Node, ...]]
"""The trees of each scalar that holds expressions, by the id of its node."""
Locate = Callable[[ScalarNode, int], Position]
"""The place in the file of a character of a scalar."""


def rule_problems(document: Document, jobs: YamlNode | None) -> Iterator[Problem]:
    """Everything that GitHub refuses beyond the shape of single values. `jobs` is the value of that key."""
    if isinstance(jobs, MappingNode) and not jobs.pairs:
        at = Position(document.file, jobs.line, jobs.column)
        yield Problem(code="no_jobs", message="the workflow has no job", at=at, hint="add one under 'jobs'")
    for job in document.jobs:
        yield from _id_problems(job.id, job.at, "job")
        yield from _step_id_problems(job)
        for shell in _shells(job):
            yield from _shell_problems(shell, document.file)
    yield from trigger_problems(document.triggers)


def _id_problems(ident: str, at: Position, what: str) -> Iterator[Problem]:
    """Source: actions/runner, Sdk/WorkflowParser/Conversion/IdBuilder.cs."""
    code = f"bad_{what}_id"
    if not _ID.fullmatch(ident) or len(ident) >= MAX_ID:
        hint = f"letters, digits, '_' and '-', first a letter or '_', fewer than {MAX_ID} characters"
        yield Problem(code=code, message=f"'{ident}' can't be the id of a {what}", at=at, hint=hint)
    elif ident.startswith("__"):
        yield Problem(code=code, message=f"'{ident}' can't be the id of a {what}", at=at, hint="ids that begin with '__' are GitHub's own")


def _step_id_problems(job: JobSource) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for name in job.step_ids:
        first = seen.setdefault(name.text.lower(), name.at.line)
        if first != name.at.line:
            message = f"the id '{name.text}' is another step's already, in line {first}"
            yield Problem(code="duplicate_step_id", message=message, at=name.at)
        elif name.text and OPEN not in name.text:  # an expression has been told of
            yield from _id_problems(name.text, name.at, "step")


def _shells(job: JobSource) -> Iterator[Template]:
    shells = (job.shell, *(step.shell for step in job.steps))
    return (shell for shell in shells if shell is not None and shell.text)


def _shell_problems(shell: Template, file: str) -> Iterator[Problem]:
    """Source: actions/runner, Runner.Worker/Handlers/ScriptHandlerHelpers.cs."""
    if OPEN in shell.text or shell.text.strip().lower() in SHELLS or "{0}" in shell.text:
        return
    message = f"the shell '{shell.text}' has no '{{0}}' for the script's path"
    hint = did_you_mean(shell.text, SHELLS) or f"write '{shell.text} {{0}}', or one of {', '.join(SHELLS)}"
    yield Problem(code="bad_shell", message=message, at=Position(file, shell.line, shell.column), hint=hint)


def empty_reads(root: MappingNode, expressions: Expressions, locate: Locate) -> Iterator[Read]:
    """Every expression that reads a secret or the token, in file order. What an `on` holds is the caller's to give."""
    for key, value in root.pairs:
        if key.text == "jobs" and isinstance(value, MappingNode):
            for job, node in value.pairs:
                yield from _reads_in(node, job.text, expressions, locate)
        elif key.text != "on":
            yield from _reads_in(value, "", expressions, locate)


def _reads_in(node: YamlNode, job: str, expressions: Expressions, locate: Locate) -> Iterator[Read]:
    for scalar in scalars_of(node, keys=True):
        for use in (use for tree in expressions.get(id(scalar), ()) for use in references(tree)):
            context, name = use.path[0], use.path[1] if len(use.path) > 1 else ""
            if context == "secrets" or (context == "github" and name.lower() == "token"):
                yield Read(job, str(use), locate(scalar, use.offset))


def name_warnings(document: Document, root: MappingNode, expressions: Expressions, locate: Locate) -> Iterator[Problem]:
    """Names in expressions that nothing bears: GitHub reads them as empty, which is hardly ever meant."""
    jobs = root.get("jobs")
    nodes = {key.text: value for key, value in jobs.pairs} if isinstance(jobs, MappingNode) else {}
    for job in document.jobs:
        node = nodes.get(job.id)
        if not isinstance(node, MappingNode):
            continue
        if not job.steps:
            yield Problem(code="no_steps", message=f"job '{job.id}' has no steps", at=job.at)
        needs = [need.text for need in job.needs]
        known = {"needs": needs}
        for key, value in node.pairs:
            if key.text != "steps":
                known["steps"] = [name.text for name in job.step_ids]
                yield from _unknown_names(value, expressions, known, locate)
        yield from _step_warnings(node.get("steps"), job.steps, needs, expressions, locate, document.file)


def _step_warnings(
    steps: YamlNode | None, plans: Sequence[StepPlan], needs: list[str], expressions: Expressions, locate: Locate, file: str
) -> Iterator[Problem]:
    before: list[str] = []
    for step in plans:
        yield from _unknown_inputs(step, file)
    nodes = [node for node in steps.items if isinstance(node, MappingNode)] if isinstance(steps, SequenceNode) else []
    for node, step in zip(nodes, plans, strict=True):
        yield from _unknown_names(node, expressions, {"needs": needs, "steps": before}, locate)
        before = [*before, step.id] if step.id else before


def _unknown_inputs(step: StepPlan, file: str) -> Iterator[Problem]:
    """Inputs that a native action does not know: GitHub warns of them while it runs. Source: actions/runner, ActionRunner.cs."""
    action = native(step.uses)
    known = {name.lower() for name in action.inputs} if action else set()
    for name, template in step.inputs if action else ():
        if name and OPEN not in name and name.lower() not in known and action:
            message = f"'{step.uses}' has no input '{name}'"
            at = Position(file, template.line, template.column)
            yield Problem(code="unknown_action_input", message=message, at=at, hint=did_you_mean(name, action.inputs))


def _unknown_names(node: YamlNode, expressions: Expressions, known: Mapping[str, list[str]], locate: Locate) -> Iterator[Problem]:
    for scalar in scalars_of(node):
        for use in (use for tree in expressions.get(id(scalar), ()) for use in references(tree)):
            context, name = use.path[0], use.path[1] if len(use.path) > 1 else "*"
            names = known.get(context)
            if names is None or name == "*" or name.lower() in {other.lower() for other in names}:
                continue
            what = f"no step before it has the id '{name}'" if context == "steps" else f"the job does not need '{name}'"
            code = "unknown_step" if context == "steps" else "unknown_needed_job"
            at = locate(scalar, use.offset)
            yield Problem(code=code, message=f"'{use}' is always empty: {what}", at=at, hint=did_you_mean(name, names))
