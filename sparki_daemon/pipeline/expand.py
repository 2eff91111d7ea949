"""Expand a job that other jobs decide on, once they have ended: its matrix, its name, its labels. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import JobPlan, Plan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.values import Value
from sparki_daemon.pipeline.legs import LegMaker, fits
from sparki_daemon.pipeline.strategy import strategy_of
from sparki_daemon.pipeline.yaml_node import from_json


def expand(job: JobPlan, *, file: str, contexts: Mapping[str, Value], taken: Collection[str]) -> tuple[JobPlan, ...]:
    """The legs of a `deferred` job whose needs have ended and whose `if` holds; without a deferred matrix it is one, with the same id.

    `file` is the plan's. `contexts` are github, inputs, vars and needs. `taken`: the ids of all jobs of the plan.
    None of the legs is deferred. A job that is not deferred is given back as it is.
    Raises SparkiError with each strategy, name and label that can't be computed, with the matrix's own mistakes, or with `no_such_leg`
    where none is left of those that were asked for.
    Source: GITHUB.md §1: needs, `if`, matrix, then name and runs-on.
    """
    late = job.unexpanded
    if not job.deferred or late is None:
        return (job,)
    maker = LegMaker(file, contexts, taken)
    if late.strategy is None:
        legs: tuple[JobPlan, ...] = (maker.renewed(job, late),)
    else:
        strategy = strategy_of(from_json(late.strategy), file, Scope(contexts))
        legs = maker.legs(replace(job, unexpanded=None), late, strategy)
        legs = tuple(leg for leg in legs if fits(leg, late.only))
        if not legs:
            wanted = " ".join(f"{name}={value}" for name, value in late.only)
            at = Position(file, job.line, job.column)
            raise SparkiError(Problem(code="no_such_leg", message=f"job '{job.base}' has no leg with {wanted}", at=at))
    if maker.problems:
        raise SparkiError(*maker.problems)
    return legs


def folded(legs: Sequence[JobPlan]) -> JobPlan:
    """The one job that stands for all legs of a matrix where none of them runs: GitHub tells such a job unexpanded, its name as written.

    Source: GITHUB.md §1; actions/runner issue 1215.
    """
    first = legs[0]
    return replace(first, id=first.base, name=first.whole, matrix={}, strategy={}, runs_on=(), deferred=(), unexpanded=None)


def is_folded(job: JobPlan) -> bool:
    """Whether a job stands for its legs, as `folded` makes it."""
    return bool(job.whole) and not job.matrix


def with_legs(plan: Plan, job: str, legs: Sequence[JobPlan]) -> Plan:
    """The plan with the legs in the place of the job with that id."""
    jobs = [found for one in plan.jobs for found in (legs if one.id == job else (one,))]
    return replace(plan, jobs=tuple(jobs))


def of_base(plan: Plan, base: str) -> list[JobPlan]:
    """The legs of a job, or the one that stands for them."""
    return [job for job in plan.jobs if job.base == base]


def with_jobs(plan: Plan, base: str, jobs: Sequence[JobPlan]) -> Plan:
    """The plan with other jobs in the place of all those of one base."""
    at = next(index for index, job in enumerate(plan.jobs) if job.base == base)
    others = [job for job in plan.jobs if job.base != base]
    return replace(plan, jobs=(*others[:at], *jobs, *others[at:]))
