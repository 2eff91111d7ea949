"""Rules over a whole file that no single key can break: ids, jobs that do nothing, filters, and names in expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.document import Document, JobSource, Read
from sparki_daemon.pipeline.expression.references import Reference
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.triggers import trigger_problems
from sparki_daemon.pipeline.yaml_node import MappingNode, ScalarNode, SequenceNode, scalars_of
from sparki_daemon.pipeline.yaml_node import Node as YamlNode

MAX_ID = 100
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Uses = Mapping[int, tuple[Reference, ...]]
"""The contexts that each scalar's expressions use, by the id of its node."""
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
        if isinstance(jobs, MappingNode):
            yield from _no_steps(job, jobs.get(job.id))
    yield from trigger_problems(document.triggers)


def _no_steps(job: JobSource, node: YamlNode | None) -> Iterator[Problem]:
    """A job that does nothing.

    Source: GitHub's service refuses the file: "No steps defined in `steps` and no workflow called in `uses`" (the open reader, of
    actions/runner and actions/languageservices, lets it pass).
    """
    steps = node.get("steps") if isinstance(node, MappingNode) else None
    empty = "runs-on" in job.keys if steps is None else isinstance(steps, SequenceNode) and not steps.items
    if empty and not {"uses", "deploy"} & job.keys.keys():
        message = f"job '{job.id}' has no steps, and calls no workflow"
        yield Problem(code="no_steps", message=message, at=job.at, hint="give it a step under 'steps'")


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


def empty_reads(root: MappingNode, uses: Uses, locate: Locate) -> Iterator[Read]:
    """Every expression that reads a secret or the token, in file order. What an `on` holds is the caller's to give."""
    if not any(_is_empty(use) for used in uses.values() for use in used):
        return
    for key, value in root.pairs:
        if key.text == "jobs" and isinstance(value, MappingNode):
            for job, node in value.pairs:
                yield from _reads_in(node, job.text, uses, locate)
        elif key.text != "on":
            yield from _reads_in(value, "", uses, locate)


def _reads_in(node: YamlNode, job: str, uses: Uses, locate: Locate) -> Iterator[Read]:
    for scalar in scalars_of(node, keys=True):
        for use in uses.get(id(scalar), ()):
            if _is_empty(use):
                yield Read(job, str(use), locate(scalar, use.offset))


def _is_empty(use: Reference) -> bool:
    """Whether it reads what is empty on this machine: a secret, or GitHub's token."""
    return use.path[0] == "secrets" or (use.path[0] == "github" and use.path[1:2] != () and use.path[1].lower() == "token")
