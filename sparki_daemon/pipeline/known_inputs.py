"""What a step gives to its action, so far as that is known before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.plan import JobPlan, Pairs, Plan, StepPlan, Template
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.references import Reference, references
from sparki_daemon.pipeline.expression.template import OPEN, render, trees


def known_text(template: Template, step: StepPlan, job: JobPlan, plan: Plan, known: Mapping[str, Any]) -> str | None:
    """The text of a template; None where only the run can tell."""
    if OPEN not in template.text:
        return template.text
    contexts = _contexts(step, job, plan, known)
    try:
        if all(_is_known(reference, contexts) for tree in trees(template.text) for reference in references(tree)):
            return render(template.text, Scope(contexts))
    except ExpressionError:  # a function that only a run has, or what the run will say itself
        return None
    return None


def known_inputs(step: StepPlan, job: JobPlan, plan: Plan, known: Mapping[str, Any]) -> dict[str, str | None]:
    """Each input by its name in lower case; None where only the run can tell what it is."""
    return {name.lower(): known_text(template, step, job, plan, known) for name, template in step.inputs}


def _contexts(step: StepPlan, job: JobPlan, plan: Plan, known: Mapping[str, Any]) -> dict[str, Any]:
    env = _plain(plan.env) | _plain(job.env) | _plain(step.env)
    contexts = {**known, "env": env, "strategy": job.strategy}
    if job.unexpanded is None or job.unexpanded.strategy is None:
        contexts["matrix"] = job.matrix or None
    return contexts


def _plain(pairs: Pairs) -> dict[str, str | None]:
    return {name: None if OPEN in template.text else template.text for name, template in pairs}


def _is_known(reference: Reference, contexts: Mapping[str, Any]) -> bool:
    """A variable that is not set anywhere in the file may be set by a step before."""
    if reference.path[0] == "env":
        return len(reference.path) > 1 and contexts["env"].get(reference.path[1]) is not None
    return reference.path[0] in contexts
