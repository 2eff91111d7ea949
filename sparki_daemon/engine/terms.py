"""What of a job's plan is evaluated when its needs have ended: whether it goes, its name, whether its failure is tolerated. Pure."""

from __future__ import annotations

from typing import Any

from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.model.plan import JobPlan
from sparki_daemon.pipeline import needs
from sparki_daemon.pipeline.expand import expand
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.template import evaluate_template
from sparki_daemon.pipeline.expression.values import is_truthy


def goes(live: Live, job: LiveJob) -> bool:
    """Whether a job whose needs have ended is to run. Raises SparkiError where its `if` can't be evaluated.

    A job without `if` asks only whether all before it went well, which is known of each base: a long chain stays cheap.
    """
    if job.plan.condition is None:
        return not live.cancelling and live.all_well_before(job.plan.base)
    return needs.should_run(job.plan, live.graph, live.results, live.github, cancelling=live.cancelling)


def legs(live: Live, job: LiveJob) -> tuple[JobPlan, ...]:
    """The legs of a deferred job whose needs have ended. Raises SparkiError for a matrix, name or label that can't be computed."""
    return expand(job.plan, file=live.plan.file, contexts=_contexts(live, job), taken=set(live.jobs))


def tolerated(live: Live, job: LiveJob) -> tuple[bool, str]:
    """Whether the failure of a job lets its run succeed, by its `continue-on-error`; and why that can't be told: then it doesn't."""
    text = job.plan.continue_on_error
    if text is None:
        return False, ""
    scope = Scope({**_contexts(live, job), "matrix": job.plan.matrix or None, "strategy": job.plan.strategy})
    try:
        return (is_truthy(evaluate_template(text.text, scope)) if "${{" in text.text else text.text == "true"), ""
    except ExpressionError as error:
        return False, f"{live.plan.file}:{text.line}:{text.column}: 'continue-on-error' can't be evaluated: {error.message}"


def _contexts(live: Live, job: LiveJob) -> dict[str, Any]:
    return {
        "github": live.github,
        "inputs": live.spec["inputs"],
        "vars": live.spec["vars"],
        "needs": needs.needs_context(job.plan, live.results),
    }
