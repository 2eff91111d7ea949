"""Turn a document into a plan: matrices expanded, names computed, ids made unique."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from sparki_daemon.model.plan import JobPlan, Plan, Template
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.document import Document, JobSource
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate
from sparki_daemon.pipeline.expression.references import used
from sparki_daemon.pipeline.expression.template import OPEN, condition, evaluate_template, trees
from sparki_daemon.pipeline.expression.values import Value, is_truthy, to_string
from sparki_daemon.pipeline.matrix import Leg, leg_name
from sparki_daemon.pipeline.strategy import Strategy, strategy_of

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._]+")
_MAX_SLUG = 60


def plan(
    document: Document,
    *,
    github: Mapping[str, Value],
    inputs: Mapping[str, Value] | None = None,
    variables: Mapping[str, Value] | None = None,
) -> Plan:
    """The plan of a document for one event: `github`, `inputs` and `vars` are the contexts that are known before any job.

    Raises SparkiError with everything that Sparki can't run (`unsupported_…`), else with each strategy, name and label that
    can't be computed.
    """
    if document.unsupported:
        raise SparkiError(*document.unsupported)
    planner = _Planner(document, {"github": github, "inputs": inputs or {}, "vars": variables or {}})
    jobs = tuple(job for source in document.jobs for job in planner.legs(source))
    if planner.problems:
        raise SparkiError(*planner.problems)
    return Plan(name=document.name, file=document.file, jobs=jobs, env=document.env, run_name=document.run_name)


class _Planner:
    def __init__(self, document: Document, contexts: Mapping[str, Value]) -> None:
        self.file = document.file
        self.contexts = contexts
        self.problems: list[Problem] = []
        self._bases = {job.id.lower(): job.id for job in document.jobs}
        self._ids = set(self._bases)  # in lower case: a leg must not bear another job's id

    def legs(self, job: JobSource) -> list[JobPlan]:
        """The plans of a job: one for each combination of its matrix, or one without where its `if` is false already."""
        try:
            strategy = strategy_of(job.strategy, self.file, Scope(self.contexts), with_matrix=job.strategy is None or not self._is_off(job))
        except SparkiError as error:
            self.problems.extend(error.problems)
            return []
        return [self._leg(job, strategy, index) for index in range(len(strategy.legs))]

    def _is_off(self, job: JobSource) -> bool:
        """Whether the job's `if` is false whatever other jobs do: GitHub then shows one skipped job, its matrix untouched."""
        if job.condition is None:
            return False
        tree = condition(job.condition.text)
        if any(path.split(".")[0] == "needs" for path in used([tree])):
            return False
        try:
            for success, failure, cancelled in itertools.product((True, False), repeat=3):
                values = {"success": success, "failure": failure, "cancelled": cancelled, "always": True}
                functions = {name: lambda *_, value=value: value for name, value in values.items()}
                if is_truthy(evaluate(tree, Scope(self.contexts, functions))):
                    return False
        except ExpressionError:
            return False  # whoever runs the job meets it again, and tells
        return True

    def _leg(self, job: JobSource, strategy: Strategy, index: int) -> JobPlan:
        leg, total = strategy.legs[index], len(strategy.legs)
        settings: dict[str, Value] = {
            "fail-fast": strategy.fail_fast,
            "job-index": index,
            "job-total": total,
            "max-parallel": strategy.max_parallel or total,
        }
        scope = Scope({**self.contexts, "matrix": leg.values or None, "strategy": settings})
        deferred: dict[str, None] = {}
        return JobPlan(
            id=self._id(job, leg, index),
            base=job.id,
            name=self._name(job, leg, scope, deferred),
            line=job.at.line,
            column=job.at.column,
            needs=tuple(dict.fromkeys(self._bases[need.text.lower()] for need in job.needs)),
            condition=job.condition,
            matrix=leg.values,
            strategy=settings,
            continue_on_error=job.continue_on_error,
            timeout_minutes=job.timeout_minutes,
            env=job.env,
            shell=job.shell,
            working_directory=job.working_directory,
            outputs=job.outputs,
            steps=job.steps,
            runs_on=tuple(label for template in job.runs_on for label in self._labels(template, scope, deferred)),
            deferred=tuple(deferred),
        )

    def _id(self, job: JobSource, leg: Leg, index: int) -> str:
        """The job's own id, or one that bears the combination: `test-3.12-linux`; a number keeps it unique."""
        if not leg.values:
            return job.id
        slug = "-".join(filter(None, (_NOT_IN_AN_ID.sub("-", text).strip("-.") for text in leg.shown)))[:_MAX_SLUG].rstrip("-.")
        wanted = f"{job.id}-{slug or index + 1}"
        numbered = (f"{wanted}-{number}" for number in itertools.count(2))
        ident = next(name for name in itertools.chain((wanted,), numbered) if name.lower() not in self._ids)
        self._ids.add(ident.lower())
        return ident

    def _name(self, job: JobSource, leg: Leg, scope: Scope, deferred: dict[str, None]) -> str:
        if job.name is None or OPEN not in job.name.text:
            return leg_name((job.name.text if job.name else "") or job.id, leg.shown)
        value = self._compute(job.name, scope, deferred)
        return (to_string(value) or leg_name(job.id, leg.shown)).strip()

    def _labels(self, template: Template, scope: Scope, deferred: dict[str, None]) -> list[str]:
        value = self._compute(template, scope, deferred)
        return [to_string(item) for item in value] if isinstance(value, list) else [to_string(value)]

    def _compute(self, template: Template, scope: Scope, deferred: dict[str, None]) -> Value:
        """The value of a template; the template itself where other jobs must end first, which `deferred` then tells."""
        if OPEN not in template.text:
            return template.text
        waiting = sorted(path for path in used(trees(template.text)) if path.split(".")[0] == "needs")
        if waiting:
            deferred.update(dict.fromkeys(waiting))
            return template.text
        try:
            return evaluate_template(template.text, scope)
        except ExpressionError as error:
            at = Position(self.file, template.line, template.column)
            message = f"the expression can't be computed: {error.message}"
            self.problems.append(Problem(code="expression_failed", message=message, at=at, hint=error.hint))
            return ""
