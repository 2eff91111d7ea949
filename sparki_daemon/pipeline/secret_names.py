"""Tells which secrets a job reads, from its plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from sparki_daemon.model.plan import JobPlan, Plan, Template
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.references import DYNAMIC, references
from sparki_daemon.pipeline.expression.template import OPEN, condition, trees

EVERY = DYNAMIC
"""In the place of a name: all of them, or one that only a run can tell."""


def secrets_of(plan: Plan, job: JobPlan) -> frozenset[str]:
    """The names, in upper case, of the secrets that a job reads; `EVERY` among them where it reads them as a whole.

    `GITHUB_TOKEN` stands for `github.token` too. What the workflow's own `env` reads, each of its jobs does.
    """
    return frozenset(name for template, is_condition in _templates(plan, job) for name in _names(template, is_condition=is_condition))


def secrets_of_plan(plan: Plan) -> frozenset[str]:
    """The same for all jobs of a plan."""
    return frozenset(name for job in plan.jobs for name in secrets_of(plan, job))


def _templates(plan: Plan, job: JobPlan) -> Iterator[tuple[Template, bool]]:
    """Each text of a job that its runner evaluates, and whether it is an `if`."""
    for pairs in (plan.env, job.env, job.outputs, *(pairs for step in job.steps for pairs in (step.env, step.inputs))):
        yield from ((text, False) for name, template in pairs for text in (Template(name), template))
    own = (job.timeout_minutes, job.shell, job.working_directory)
    yield from ((template, False) for template in own if template)
    for step in job.steps:
        if step.condition:
            yield step.condition, True
        texts = (step.name, step.run, step.shell, step.working_directory, step.continue_on_error, step.timeout_minutes)
        yield from ((template, False) for template in texts if template)


def _names(template: Template, *, is_condition: bool) -> Iterator[str]:
    text = template.text
    if not is_condition and (OPEN not in text or not ("secrets" in text.lower() or "github" in text.lower())):
        return
    try:
        nodes = (condition(text),) if is_condition else trees(text)
    except ExpressionError:  # told where the file is checked; nothing can be read by it
        return
    for node in nodes:
        for use in references(node):
            if use.path[0] == "secrets":
                yield use.path[1].upper() if len(use.path) > 1 else EVERY
            elif use.path[0] == "github" and len(use.path) > 1 and use.path[1].lower() == "token":
                yield "GITHUB_TOKEN"
