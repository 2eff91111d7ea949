"""The graph of jobs: what is wrong with it, whether a job runs, and what it sees of those that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import JobPlan, Plan, Template
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.document import JobSource, Name
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Function, Scope, evaluate
from sparki_daemon.pipeline.expression.template import condition, render
from sparki_daemon.pipeline.expression.values import Value, is_truthy, to_string
from sparki_daemon.pipeline.spelling import did_you_mean

_MOST_HINTS = 100  # no more problems are shown of a file; a hint is a look at every job
_WORST_FIRST = ("failure", "cancelled", "success", "skipped")


class Leg(Protocol):
    """How one leg of a job stands. `tolerated`: it may fail, by continue-on-error."""

    @property
    def state(self) -> JobState: ...
    @property
    def tolerated(self) -> bool: ...
    @property
    def outputs(self) -> Mapping[str, str]: ...


Results = Mapping[str, Sequence[Leg]]
"""By base, in the plan's order of its legs."""


def graph_problems(jobs: Sequence[JobSource]) -> Iterator[Problem]:
    """Every `needs` that names no job, and every circle of jobs that wait for each other, named in full.

    Ids are compared ignoring case. Source: actions/runner, WorkflowTemplateConverter.ConvertToJobs.
    """
    by_id = {job.id.lower(): job for job in jobs}
    told = 0
    for job in jobs:
        for need in job.needs:
            if need.text.lower() not in by_id:
                message = f"job '{job.id}' needs '{need.text}', and no job has that id"
                hint = did_you_mean(need.text, [other.id for other in jobs if other is not job]) if told < _MOST_HINTS else ""
                told += 1
                yield Problem(code="unknown_need", message=message, at=need.at, hint=hint)
    stuck = _stuck(by_id)
    for ident, job in by_id.items():
        for need in job.needs if ident in stuck else ():
            circle = _circle(by_id, need, ident)
            if circle:
                message = f"job '{job.id}' waits for itself: {' needs '.join(circle)}"
                yield Problem(code="needs_cycle", message=message, at=need.at, hint="take one 'needs' out of the circle")


def _stuck(jobs: Mapping[str, JobSource]) -> set[str]:
    """The jobs that can never start, though all that they need exist."""
    waiting = {ident: {need.text.lower() for need in job.needs} & jobs.keys() for ident, job in jobs.items()}
    dependants: dict[str, list[str]] = {}
    for ident, needs in waiting.items():
        for need in needs:
            dependants.setdefault(need, []).append(ident)
    free = [ident for ident, needs in waiting.items() if not needs]
    for ident in free:  # grows while it is walked
        for dependant in dependants.get(ident, ()):
            waiting[dependant].discard(ident)
            if not waiting[dependant]:
                free.append(dependant)
    return jobs.keys() - set(free)


def _circle(jobs: Mapping[str, JobSource], need: Name, start: str) -> list[str]:
    """The ids from `start` over `need` back to `start`, by the shortest way; empty where there is none."""
    before: dict[str, str] = {need.text.lower(): start}
    reached = list(before)
    for ident in reached:  # grows while it is walked
        if ident == start:
            way = [start]
            while (last := before[way[-1]]) != start:
                way.append(last)
            return [jobs[ident].id for ident in (start, *reversed(way))]
        for further in jobs[ident].needs if ident in jobs else ():
            if further.text.lower() not in before:
                before[further.text.lower()] = ident
                reached.append(further.text.lower())
    return []


class Graph:
    """The jobs of a plan by what they need: made once a run, asked for each `if`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.legs: dict[str, list[JobPlan]] = {}
        for job in plan.jobs:
            self.legs.setdefault(job.base, []).append(job)

    def ancestors(self, base: str) -> frozenset[str]:
        """All bases that a job needs, and those that they need. Not kept: a long chain's would take memory by its square."""
        found: set[str] = set()
        unseen = [base]
        while unseen:
            fresh = [need for need in self.legs[unseen.pop()][0].needs if need not in found]
            found.update(fresh)
            unseen.extend(fresh)
        return frozenset(found)


def result_of(legs: Sequence[Leg]) -> str:
    """What `needs.<job>.result` says of a job's legs together: a lost one has failed, a tolerated failure is a success."""
    words = {_word(leg) for leg in legs}
    return next(word for word in _WORST_FIRST if word in words)


def _word(leg: Leg) -> str:
    if leg.state in {JobState.FAILURE, JobState.LOST}:
        return "success" if leg.tolerated and leg.state is JobState.FAILURE else "failure"
    return leg.state.value


def needs_context(job: JobPlan, results: Results) -> dict[str, Any]:
    """The `needs` context of a job: result and outputs of each job that it names.

    Outputs of a matrix's legs are merged, the last leg that sets one wins; an empty one is as if it was not set.
    Source: GITHUB.md §1.
    """
    context = {}
    for need in job.needs:
        outputs: dict[str, str] = {}
        for leg in results[need]:
            outputs.update({name: value for name, value in leg.outputs.items() if value})
        context[need] = {"result": result_of(results[need]), "outputs": outputs}
    return context


def should_run(
    job: JobPlan,
    graph: Graph,
    results: Results,
    github: Mapping[str, Value],
    *,
    cancelling: bool = False,
    inputs: Mapping[str, Value] | None = None,
    variables: Mapping[str, Value] | None = None,
) -> bool:
    """Whether a job whose needs have ended is to run; False: it is skipped.

    Its `if` sees `success()` and `failure()` over all jobs that it depends on, near and far: a skip reaches past a job with
    `always()`. With names as arguments they look at those jobs alone.
    Raises SparkiError (`condition_failed`, with the place of the `if`) where it can't be evaluated.
    Source: GITHUB.md §1; actions/runner issues 491 and 2205.
    """
    if job.condition is None and not cancelling:
        return all(result_of(results[base]) == "success" for base in graph.ancestors(job.base))
    words = {base: result_of(results[base]) for base in graph.ancestors(job.base)}
    contexts: dict[str, Value] = {
        "github": github,
        "inputs": inputs or {},
        "vars": variables or {},
        "needs": needs_context(job, results),
    }
    text = job.condition or Template("")
    try:
        return is_truthy(evaluate(condition(text.text), Scope(contexts, _status_functions(words, cancelling=cancelling))))
    except ExpressionError as error:
        message = f"the 'if' of job '{job.id}' can't be evaluated: {error.message}"
        at = Position(graph.plan.file, text.line, text.column)
        raise SparkiError(Problem(code="condition_failed", message=message, at=at, hint=error.hint)) from None


def _status_functions(words: Mapping[str, str], *, cancelling: bool) -> Mapping[str, Function]:
    def looked_at(names: tuple[Value, ...]) -> list[str]:
        wanted = {to_string(name).lower() for name in names}
        return [word for base, word in words.items() if not wanted or base.lower() in wanted]

    return {
        "always": lambda: True,
        "cancelled": lambda: cancelling,
        "success": lambda *names: not cancelling and all(word == "success" for word in looked_at(names)),
        "failure": lambda *names: "failure" in looked_at(names),
    }


def display_name(job: JobPlan, contexts: Mapping[str, Value]) -> str:
    """The name of a job whose needs have ended; its id where the expression gives nothing or can't be evaluated.

    `contexts` are github, inputs, vars and needs; matrix and strategy are the job's own.
    """
    if not job.deferred:
        return job.name
    scope = Scope({**contexts, "matrix": job.matrix or None, "strategy": job.strategy})
    try:
        return render(job.name, scope) or job.base
    except ExpressionError:
        return job.id


def select_jobs(plan: Plan, names: Sequence[str]) -> Plan:
    """The plan with the named jobs and all that they need. A name is a job's id or a leg's.

    Raises SparkiError with `no_such_job` for each name that is neither.
    """
    graph = Graph(plan)
    wanted: set[str] = set()
    problems = []
    for name in names:
        legs = {job.id for job in plan.jobs if name in {job.id, job.base}}
        if not legs:
            known = [name for job in plan.jobs for name in (job.base, job.id)]
            hint = did_you_mean(name, known) or f"jobs: {', '.join(graph.legs)}"
            problems.append(Problem(code="no_such_job", message=f"pipeline '{plan.name}' has no job '{name}'", hint=hint))
        wanted |= legs
    if problems:
        raise SparkiError(*problems)
    needed = {base for job in plan.jobs if job.id in wanted for base in graph.ancestors(job.base)}
    kept = tuple(job for job in plan.jobs if job.id in wanted or job.base in needed)
    return Plan(name=plan.name, file=plan.file, jobs=kept, env=plan.env, run_name=plan.run_name)
