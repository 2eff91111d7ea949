"""Turn a document into a plan: matrices expanded, names computed, ids made unique; what other jobs decide is left to `expand`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import JobPlan, Plan, Unexpanded
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document, JobSource
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Function, Scope, evaluate
from sparki_daemon.pipeline.expression.references import used
from sparki_daemon.pipeline.expression.template import OPEN, condition
from sparki_daemon.pipeline.expression.values import Value, is_truthy
from sparki_daemon.pipeline.legs import LegMaker, waits_for
from sparki_daemon.pipeline.pairs import is_insert
from sparki_daemon.pipeline.source_step import with_source
from sparki_daemon.pipeline.strategy import strategy_of
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
        self._by_id = {job.id.lower(): job for job in document.jobs}
        self._bases = {ident: job.id for ident, job in self._by_id.items()}
        self._off: dict[str, bool] = {}  # of the jobs that were looked at: skipped for certain?
        self._after_off: set[str] = set()  # of those, the ones with a skipped job before them, near or far
        self.maker = LegMaker(self.file, contexts, self._bases)

    def legs(self, source: JobSource) -> tuple[JobPlan, ...]:
        """The plans of a job: one for each combination of its matrix, or one without where its `if` is false already."""
        job = self._job(source)
        if source.strategy is not None and self._is_off(source):
            return (replace(job, name=(source.name.text.strip() if source.name else "") or source.id),)
        late = Unexpanded(name=source.name, runs_on=source.runs_on)
        paths = _paths(source.strategy)
        if paths:
            late = replace(late, strategy=to_json(source.strategy) if source.strategy else None)
            return (self.maker.waiting(job, late, paths),)
        try:
            strategy = strategy_of(source.strategy, self.file, Scope(self.contexts))
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
            junit=source.junit,
            env=source.env,
            shell=source.shell,
            working_directory=source.working_directory,
            outputs=source.outputs,
            steps=with_source(source.steps, source.at) if self.source_in_place else source.steps,
        )

    def _is_off(self, job: JobSource) -> bool:
        """Whether a job is skipped whatever other jobs do, by its `if` or those before it: GitHub leaves its matrix untouched then."""
        waiting = [job]
        while waiting:  # no recursion: a chain may be thousands long
            now = waiting[-1]
            needs = [self._by_id[need.text.lower()] for need in now.needs]
            if unknown := [need for need in needs if need.id not in self._off]:
                waiting += unknown
                continue
            waiting.pop()
            off = {need.id for need in needs if self._off[need.id]}
            after_off = bool(off) or any(need.id in self._after_off for need in needs)
            if after_off:
                self._after_off.add(now.id)
            self._off[now.id] = self._never(now, off) if now.condition is not None else after_off
        return self._off[job.id]

    def _never(self, job: JobSource, off: Collection[str]) -> bool:
        """Whether no end of the jobs before it makes a job's `if` true; those of its needs that are `off` are skipped for certain."""
        tree = condition(job.condition.text if job.condition else "")
        read = [path.split(".") for path in used([tree]) if path.split(".")[0] == "needs"]
        known = {name.lower() for name in off}
        if any(len(path) == 1 or path[1].lower() not in known for path in read):
            return False
        skipped: dict[str, Value] = {name: {"result": "skipped", "outputs": {}} for name in off}
        contexts = {**self.contexts, "needs": skipped}
        beside_skipped = job.id in self._after_off
        try:
            for success, failure, cancelled in itertools.product((True, False), repeat=3):
                functions: dict[str, Function] = {
                    "success": lambda *names, value=success: value and (bool(names) or not beside_skipped),
                    "failure": lambda *_, value=failure: value,
                    "cancelled": lambda value=cancelled: value,
                    "always": lambda: True,
                }
                if is_truthy(evaluate(tree, Scope(contexts, functions))):
                    return False
        except ExpressionError:
            return False  # whoever runs the job meets it again, and tells
        return True


def _paths(strategy: Node | None) -> tuple[str, ...]:
    """The references to other jobs in a strategy."""
    if strategy is None:
        return ()
    return waits_for([item.text for item in scalars_of(strategy, keys=True) if OPEN in item.text and not is_insert(item.text)])
