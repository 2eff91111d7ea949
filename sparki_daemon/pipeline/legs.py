"""Make the legs of one job: ids, names and labels, computed as far as the contexts reach."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import JobPlan, Plan, Template, Unexpanded
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.references import used
from sparki_daemon.pipeline.expression.template import OPEN, evaluate_template, trees
from sparki_daemon.pipeline.expression.values import Value, lookup, loosely_equal, to_string
from sparki_daemon.pipeline.matrix import Leg, leg_name
from sparki_daemon.pipeline.strategy import Strategy

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._]+")
_MAX_SLUG = 60


def waits_for(texts: Sequence[str]) -> tuple[str, ...]:
    """The references of templates that have no value before other jobs have ended, such as `needs.build.outputs.version`."""
    found = (path for text in texts if OPEN in text for path in sorted(used(trees(text))))
    return tuple(dict.fromkeys(path for path in found if path.split(".")[0] == "needs"))


def fits(job: JobPlan, only: Sequence[tuple[str, str]]) -> bool:
    """Whether a leg has one of the values that are asked of each key of its matrix; keys that it has not are not asked."""
    for name in {name.lower() for name, _ in only}:
        found = lookup(job.matrix, name)
        wanted = [value for key, value in only if key.lower() == name]
        if found and not any(loosely_equal(found[0], value) or to_string(found[0]) == value for value in wanted):
            return False
    return True


def select_legs(plan: Plan, only: Sequence[tuple[str, str]]) -> Plan:
    """The plan with the legs alone that have the asked values; a job that keeps none is left out, with the jobs that need it.

    Jobs without such a key stay. Of a job that other jobs decide on it is remembered for `expand`.
    Raises SparkiError with `no_such_leg` for each key and value that no leg has.
    """
    problems = list(_unknown_legs(plan, only))
    if problems:
        raise SparkiError(*problems)
    kept = [job for job in plan.jobs if fits(job, only)]
    gone = {job.base for job in plan.jobs} - {job.base for job in kept}
    while gone:
        after = {job.base for job in kept if gone & set(job.needs)}
        kept = [job for job in kept if job.base not in after]
        gone = after
    if not kept:
        wanted = " ".join(f"--matrix {name}={value}" for name, value in only)
        raise SparkiError(Problem(code="no_such_leg", message=f"no job of '{plan.name}' has a leg with all of {wanted}"))
    return replace(plan, jobs=tuple(_remembering(job, only) for job in kept))


def _remembering(job: JobPlan, only: Sequence[tuple[str, str]]) -> JobPlan:
    late = job.unexpanded
    return job if late is None or late.strategy is None else replace(job, unexpanded=replace(late, only=tuple(only)))


def _unknown_legs(plan: Plan, only: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    if any(job.unexpanded is not None and job.unexpanded.strategy is not None for job in plan.jobs):
        return  # nobody knows yet what legs there will be
    for name, value in only:
        legs = [job for job in plan.jobs if lookup(job.matrix, name)]
        if any(fits(job, [(name, value)]) for job in legs):
            continue
        values = dict.fromkeys(to_string(found[0]) for job in legs if (found := lookup(job.matrix, name)))
        keys = dict.fromkeys(key for job in plan.jobs for key in job.matrix)
        hint = f"there are: {', '.join(values or keys)}" if values or keys else "no job has a matrix"
        message = f"no leg of '{plan.name}' has {name}={value}" if values else f"no matrix of '{plan.name}' has the key '{name}'"
        yield Problem(code="no_such_leg", message=message, hint=hint)


class LegMaker:
    """Makes legs of the jobs of one file, and keeps in `problems` what could not be computed.

    `contexts` are those that are known by now; without `needs` in them, what reads it is left as it is, and `deferred` tells.
    `ids`: those that no leg may bear.
    """

    def __init__(self, file: str, contexts: Mapping[str, Value], ids: Collection[str]) -> None:
        self.file = file
        self.contexts = contexts
        self.problems: list[Problem] = []
        self._ids = {ident.lower() for ident in ids}

    def legs(self, job: JobPlan, late: Unexpanded, strategy: Strategy) -> tuple[JobPlan, ...]:
        """`job` once for each leg of its strategy; `late` holds its name and labels as they are written."""
        return tuple(self._leg(job, late, strategy, index) for index in range(len(strategy.legs)))

    def waiting(self, job: JobPlan, late: Unexpanded, paths: Sequence[str]) -> JobPlan:
        """`job` as the one that stands for all its legs; `paths` are the references that its strategy waits for."""
        written = [template.text for template in (late.name, *late.runs_on) if template is not None]
        deferred = tuple(dict.fromkeys((*paths, *waits_for(written))))
        name = (late.name.text.strip() if late.name else "") or job.id
        labels = tuple(template.text for template in late.runs_on)
        return replace(job, name=name, runs_on=labels, deferred=deferred, unexpanded=late)

    def renewed(self, job: JobPlan, late: Unexpanded) -> JobPlan:
        """`job`, whose matrix was expanded before, with its name and labels computed from what is known now."""
        return self._computed(job, late, leg=None)

    def _leg(self, job: JobPlan, late: Unexpanded, strategy: Strategy, index: int) -> JobPlan:
        leg, total = strategy.legs[index], len(strategy.legs)
        settings: dict[str, Value] = {
            "fail-fast": strategy.fail_fast,
            "job-index": index,
            "job-total": total,
            "max-parallel": strategy.max_parallel or total,
        }
        whole = ((late.name.text.strip() if late.name else "") or job.base) if leg.values else ""
        made = replace(job, id=self._id(job.base, leg, index), matrix=leg.values, strategy=settings, whole=whole)
        return self._computed(made, late, leg)

    def _computed(self, job: JobPlan, late: Unexpanded, leg: Leg | None) -> JobPlan:
        scope = Scope({**self.contexts, "matrix": job.matrix or None, "strategy": job.strategy})
        deferred: dict[str, None] = {}
        name = self._name(job, late.name, leg, scope, deferred)
        labels = tuple(label for template in late.runs_on for label in self._labels(template, scope, deferred))
        unexpanded = Unexpanded(name=late.name, runs_on=late.runs_on) if deferred else None
        return replace(job, name=name, runs_on=labels, deferred=tuple(deferred), unexpanded=unexpanded)

    def _id(self, base: str, leg: Leg, index: int) -> str:
        """The job's own id, or one that bears the combination: `test-3.12-linux`; a number keeps it unique."""
        if not leg.values:
            return base
        slug = "-".join(filter(None, (_NOT_IN_AN_ID.sub("-", text).strip("-.") for text in leg.shown)))[:_MAX_SLUG].rstrip("-.")
        wanted = f"{base}-{slug or index + 1}"
        numbered = (f"{wanted}-{number}" for number in itertools.count(2))
        ident = next(name for name in itertools.chain((wanted,), numbered) if name.lower() not in self._ids)
        self._ids.add(ident.lower())
        return ident

    def _name(self, job: JobPlan, name: Template | None, leg: Leg | None, scope: Scope, deferred: dict[str, None]) -> str:
        if name is None or OPEN not in name.text:
            return leg_name((name.text if name else "") or job.base, leg.shown) if leg else job.name
        value = self._compute(name, scope, deferred)
        fallback = leg_name(job.base, leg.shown) if leg else job.id
        return (to_string(value) or fallback).strip()

    def _labels(self, template: Template, scope: Scope, deferred: dict[str, None]) -> list[str]:
        value = self._compute(template, scope, deferred)
        if isinstance(value, Mapping):  # {group, labels}
            found = lookup(value, "labels")
            value = found[0] if found else []
        return [to_string(item) for item in value] if isinstance(value, list) else [to_string(value)]

    def _compute(self, template: Template, scope: Scope, deferred: dict[str, None]) -> Value:
        """The value of a template; the template itself where other jobs must end first."""
        if OPEN not in template.text:
            return template.text
        waiting = waits_for([template.text]) if "needs" not in self.contexts else ()
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
