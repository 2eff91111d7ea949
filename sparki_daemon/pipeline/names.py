"""Find the names in expressions, and the inputs of actions, that nothing bears: GitHub reads them as empty, which is hardly ever meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sparki_daemon.model.plan import StepPlan, Template
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.actions import native
from sparki_daemon.pipeline.document import Document, JobSource, steps_of
from sparki_daemon.pipeline.expression.references import Reference
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.rules import Locate, Uses
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.triggers import CALL, DISPATCH
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, SequenceNode, scalars_of

Names = dict[str, str]
"""Names by their lower case: contexts don't mind it."""


def _names(names: Iterable[str]) -> Names:
    return {name.lower(): name for name in names}


# Source: GitHub's docs, "Contexts reference".
_FIXED: Mapping[str, Names] = {
    "github": _names(
        """
        action action_path action_ref action_repository action_status actor actor_id api_url artifact_cache_size_limit base_ref env event
        event_name event_path graphql_url head_ref job job_workflow_sha output path ref ref_name ref_protected ref_type repository
        repository_id repository_owner repository_owner_id repository_visibility repositoryUrl retention_days run_attempt run_id run_number
        secret_source server_url sha state step_summary token triggering_actor workflow workflow_ref workflow_sha workspace
        """.split()  # noqa: SIM905  a list of fifty quoted words is harder to read
    ),
    "runner": _names(("arch", "debug", "environment", "name", "os", "temp", "tool_cache", "workspace")),
    "job": _names(
        ("check_run_id", "container", "services", "status", "workflow_file_path", "workflow_ref", "workflow_repository", "workflow_sha")
    ),
    "strategy": _names(("fail-fast", "job-index", "job-total", "max-parallel")),
}
SHELLS = ("bash", "cmd", "powershell", "pwsh", "python", "sh")
_GAP = re.compile(r"(?<!\$)\{\s*\{")
_NEED = _names(("result", "outputs"))
_STEP = _names(("conclusion", "outcome", "outputs"))
_WHY = {
    "steps": ("unknown_step", "no step before it has the id '{}'"),
    "needs": ("unknown_needed_job", "the job does not need '{}'"),
    "inputs": ("unknown_input", "the pipeline declares no input '{}'"),
    "matrix": ("unknown_matrix_key", "the job's matrix has no key '{}'"),
}


def name_warnings(document: Document, root: MappingNode, uses: Uses, locate: Locate) -> Iterator[Problem]:
    """Every use of a name that is not there, with what it may have been meant to be."""
    nodes: dict[str, Node] = {}
    check = _Check(document, uses, locate)
    for key, value in root.pairs:
        if key.text == "jobs" and isinstance(value, MappingNode):
            nodes = {job.text: node for job, node in value.pairs}
        elif key.text != "on":
            yield from check.uses(value, {})
    for job in document.jobs:
        node = nodes.get(job.id)
        if not isinstance(node, MappingNode):
            continue
        yield from check.job(job, node)
        for step in job.steps:
            yield from _unknown_inputs(step, document.file)
        for shell in (job.shell, *(step.shell for step in job.steps)):
            yield from _shell_without_script(shell, document.file)


def _shell_without_script(shell: Template | None, file: str) -> Iterator[Problem]:
    """A shell of one's own that has no place for the script: GitHub reads the file, and fails each step that it is the shell of.

    Source: actions/runner, Runner.Worker/Handlers/ScriptHandlerHelpers.cs (ParseShellOptionString) and ScriptHandler.cs.
    """
    if shell is None or not shell.text or OPEN in shell.text or shell.text.strip().lower() in SHELLS or "{0}" in shell.text:
        return
    message = f"the shell '{shell.text}' has no '{{0}}' for the script's path: its steps will fail"
    hint = did_you_mean(shell.text, SHELLS) or f"write '{shell.text} {{0}}', or one of {', '.join(SHELLS)}"
    yield Problem(code="bad_shell", message=message, at=Position(file, shell.line, shell.column), hint=hint)


def gap_warnings(root: Node, text: str, file: str) -> Iterator[Problem]:
    """Gaps that the author of a template left: `{{ name }}` without a `$`, and not in quotes."""
    if _GAP.search(text) is None:
        return
    for scalar in scalars_of(root):
        if scalar.start == scalar.end and isinstance(scalar.value, str) and scalar.value.startswith("{{ "):
            message = f"'{scalar.value}' is a gap to fill in: GitHub refuses it as it stands"
            hint = "an expression begins with '${{'"
            yield Problem(code="unfilled_gap", message=message, at=Position(file, scalar.line, scalar.column), hint=hint)


class _Check:
    """The names that one file knows, and the uses of others."""

    def __init__(self, document: Document, uses: Uses, locate: Locate) -> None:
        self._uses = uses
        self._locate = locate
        self._inputs = _names(one.name for trigger in document.triggers if trigger.event in (CALL, DISPATCH) for one in trigger.inputs)
        self._outputs = {job.id.lower(): _outputs(job) for job in document.jobs}

    def job(self, job: JobSource, node: MappingNode) -> Iterator[Problem]:
        known: dict[str, Names] = {"needs": _names(need.text for need in job.needs)}
        matrix = _matrix_keys(job.strategy)
        if matrix is not None:
            known["matrix"] = matrix
        for key, value in node.pairs:
            if key.text != "steps":
                yield from self.uses(value, {**known, "steps": _names(name.text for name in job.step_ids)})
        before: Names = {}
        for item, step in zip(steps_of(node), job.steps, strict=True):
            yield from self.uses(item, {**known, "steps": before})
            if step.id:
                before[step.id.lower()] = step.id

    def uses(self, node: Node, known: Mapping[str, Names]) -> Iterator[Problem]:
        """The uses under a node that name nothing; `known` are the names of contexts that differ from job to job."""
        for scalar in scalars_of(node, keys=True):
            for use in self._uses.get(id(scalar), ()):
                found = self._unknown(use, known)
                if found is not None:
                    code, why, hint = found
                    at = self._locate(scalar, use.offset)
                    yield Problem(code=code, message=f"'{use}' is always empty: {why}", at=at, hint=hint)

    def _unknown(self, use: Reference, known: Mapping[str, Names]) -> tuple[str, str, str] | None:
        """(code, why, hint) of a use that names nothing."""
        context, name, deeper, deepest = (*use.path, "*", "*", "*")[:4]
        names = self._inputs if context == "inputs" else known.get(context, _FIXED.get(context))
        if names is None or name == "*":
            return None
        if name.lower() not in names:
            code, why = _WHY.get(context, ("unknown_property", f"the {context} context has no '{{}}'"))
            return code, why.format(name), did_you_mean(name, names.values())
        below = {"needs": _NEED, "steps": _STEP}.get(context)
        if below is None or deeper == "*":
            return None
        if deeper.lower() not in below:
            return "unknown_property", f"'{context}.{name}' has no '{deeper}'", did_you_mean(deeper, below.values())
        outputs = self._outputs.get(name.lower()) if context == "needs" and deeper.lower() == "outputs" else None
        if outputs is None or deepest == "*" or deepest.lower() in outputs:
            return None
        return "unknown_output", f"job '{name}' has no output '{deepest}'", did_you_mean(deepest, outputs.values())


def _outputs(job: JobSource) -> Names | None:
    """The outputs of a job; None where they are computed, or those of a called workflow."""
    if job.call is not None or any(not name or OPEN in name for name, _ in job.outputs):
        return None
    return _names(name for name, _ in job.outputs)


def _matrix_keys(strategy: Node | None) -> Names | None:
    """The keys that legs may have; None where an expression gives them."""
    if strategy is None:
        return {}
    matrix = strategy.get("matrix") if isinstance(strategy, MappingNode) else None
    if isinstance(strategy, MappingNode) and matrix is None and not any(OPEN in key.text for key, _ in strategy.pairs):
        return {}
    if not isinstance(matrix, MappingNode):
        return None
    include = matrix.get("include") or SequenceNode(0, 0)
    rows = [matrix, *(include.items if isinstance(include, SequenceNode) else [include])]
    names: list[str] = []
    for row in rows:
        if not isinstance(row, MappingNode) or any(OPEN in key.text for key, _ in row.pairs):
            return None
        names += [key.text for key, _ in row.pairs if row is not matrix or key.text not in ("include", "exclude")]
    return _names(names)


def _unknown_inputs(step: StepPlan, file: str) -> Iterator[Problem]:
    """Inputs that a native action does not know: GitHub warns of them while it runs. Source: actions/runner, ActionRunner.cs."""
    action = native(step.uses)
    if action is None:
        return
    known = {name.lower() for name in action.inputs}
    for name, template in step.inputs:
        if name and OPEN not in name and name.lower() not in known:
            message = f"'{step.uses}' has no input '{name}'"
            at = Position(file, template.line, template.column)
            yield Problem(code="unknown_action_input", message=message, at=at, hint=did_you_mean(name, action.inputs))
