"""Turn a document into a plan: matrices expanded, names computed, ids made unique; what other jobs decide is left to `expand`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from sparki_daemon.model.plan import JobPlan, Plan, Unexpanded
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document, JobSource
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate
from sparki_daemon.pipeline.expression.references import used
from sparki_daemon.pipeline.expression.template import OPEN, condition
from sparki_daemon.pipeline.expression.values import Value, is_truthy
from sparki_daemon.pipeline.legs import LegMaker, waits_for
from sparki_daemon.pipeline.pairs import is_insert
from sparki_daemon.pipeline.source_step import with_source
from sparki_daemon.pipeline.strategy import Strategy, strategy_of
from sparki_daemon.pipeline.yaml_node import Node, scalars_of, to_json


def plan(
    document: Document,
    *,
    github: Mapping[str, Value],
    inputs: Mapping[str, Value] | None = None,
    variables: Mapping[str, Value] | None = None,
    source_in_place: bool = False,
) -> Plan:
    """The plan of a document for one event: `github`, `inputs` and `vars` are the contexts that are known before any job.

    `source_in_place`: each job begins with a step that checks out the source.
    A job whose matrix reads `needs` is in it once, its `deferred` says what it waits for.
    Raises SparkiError with everything that Sparki can't run (`unsupported_…`), else with each strategy, name and label that
    can't be computed.
    """
    if document.unsupported:
        raise SparkiError(*document.unsupported)
    planner = _Planner(document, {"github": github, "inputs": inputs or {}, "vars": variables or {}}, source_in_place=source_in_place)
    jobs = tuple(job for source in document.jobs for job in planner.legs(source))
    problems = [*planner.problems, *planner.maker.problems]
    if problems:
        raise SparkiError(*problems)
    return Plan(name=document.name, file=document.file, jobs=jobs, env=document.env, run_name=document.run_name)


class _Planner:
    def __init__(self, document: Document, contexts: Mapping[str, Value], *, source_in_place: bool) -> None:
        self.file = document.file
        self.contexts = contexts
        self.source_in_place = source_in_place
        self.problems: list[Problem] = []
        self._bases = {job.id.lower(): job.id for job in document.jobs}
        self.maker = LegMaker(self.file, contexts, self._bases)

    def legs(self, source: JobSource) -> tuple[JobPlan, ...]:
        """The plans of a job: one for each combination of its matrix, or one without where its `if` is false already."""
        job = self._job(source)
        late = Unexpanded(name=source.name, runs_on=source.runs_on)
        paths = _paths(source.strategy)
        off = source.strategy is not None and self._is_off(source)
        if paths and not off:
            late = replace(late, strategy=to_json(source.strategy) if source.strategy else None)
            return (self.maker.waiting(job, late, paths),)
        try:
            strategy = Strategy() if paths else strategy_of(source.strategy, self.file, Scope(self.contexts), with_matrix=not off)
        except SparkiError as error:
            self.problems.extend(error.problems)
            return ()
        return self.maker.legs(job, late, strategy)

    def _job(self, source: JobSource) -> JobPlan:
        return JobPlan(
            id=source.id,
            base=source.id,
            name="",
            line=source.at.line,
            column=source.at.column,
            needs=tuple(dict.fromkeys(self._bases[need.text.lower()] for need in source.needs)),
            condition=source.condition,
            continue_on_error=source.continue_on_error,
            timeout_minutes=source.timeout_minutes,
            cache=source.cache,
            env=source.env,
            shell=source.shell,
            working_directory=source.working_directory,
            outputs=source.outputs,
            steps=with_source(source.steps, source.at) if self.source_in_place else source.steps,
        )

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


def _paths(strategy: Node | None) -> tuple[str, ...]:
    """The references to other jobs in a strategy."""
    if strategy is None:
        return ()
    return waits_for([item.text for item in scalars_of(strategy, keys=True) if OPEN in item.text and not is_insert(item.text)])
