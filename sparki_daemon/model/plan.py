"""A plan: what a pipeline file means, before anything runs. Plain data that crosses to the runner as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field


@dataclass(frozen=True, slots=True)
class Template:
    """Text that may hold `${{ }}`, with its place in the pipeline's file (line and column from 1)."""

    text: str
    line: int = 0
    column: int = 0

    def to_json(self) -> list[Any]:
        return [self.text, self.line, self.column]


Pairs = tuple[tuple[str, Template], ...]
"""An ordered mapping of names to templates: env, with, outputs. A name that is empty stands for all the pairs of the object that its
template gives; a name with `${{ }}` is computed. `pipeline.pairs` turns them into texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One step: `run` or `uses`, never both."""

    index: int  # from 0
    line: int  # where the step begins in the file
    column: int
    id: str = ""  # empty: none was given
    name: Template | None = None
    condition: Template | None = None  # `if`; None is success()
    run: Template | None = None
    uses: str = ""
    inputs: Pairs = ()  # `with`
    shell: Template | None = None  # None: the job's default
    working_directory: Template | None = None
    env: Pairs = ()
    continue_on_error: Template | None = None
    timeout_minutes: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexpanded:
    """What of a job is computed once its needs have ended, as its file has it."""

    name: Template | None = None
    runs_on: tuple[Template, ...] = ()
    strategy: Any = None  # YAML with places, as `pipeline.yaml_node.to_json` writes it; None: the matrix is expanded already
    only: tuple[tuple[str, str], ...] = ()  # of its legs those alone whose matrix has these values


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCache:
    """What a job declares of itself, so that its result can be taken from an earlier run."""

    inputs: tuple[str, ...] = ()  # patterns over the source's files; none: all of them
    outputs: tuple[str, ...] = ()  # patterns over the workspace's files
    tools: tuple[str, ...] = ()  # programs whose versions count


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """One job, after its matrix was expanded; where its needs decide on the matrix, the one that stands for all its legs until then."""

    id: str  # unique in the plan; a matrix leg's id bears its combination
    base: str  # the key under `jobs:`; what `needs` names
    name: str  # what GitHub would show; may hold `${{ }}` where `deferred` says that needs must end first
    whole: str = ""  # of a matrix's leg: what GitHub shows where the job is skipped, its matrix unexpanded
    line: int
    column: int
    needs: tuple[str, ...] = ()  # bases
    condition: Template | None = None
    matrix: Mapping[str, Any] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)  # fail-fast, max-parallel, job-index, job-total
    continue_on_error: Template | None = None
    timeout_minutes: Template | None = None
    env: Pairs = ()
    shell: Template | None = None  # defaults.run of the job, else of the workflow
    working_directory: Template | None = None
    outputs: Pairs = ()
    steps: tuple[StepPlan, ...] = ()
    runs_on: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()  # references that have no value before the needs have ended; `pipeline.expand` makes it empty
    unexpanded: Unexpanded | None = None  # what those references stand in
    cache: JobCache | None = None  # None: it always runs
    junit: tuple[str, ...] = ()  # patterns of the test reports that its steps write, as JUnit XML


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pipeline file, read and expanded."""

    name: str  # `name:`, else the file's path
    file: str  # relative to the repository's root
    jobs: tuple[JobPlan, ...]  # in file order, legs of a matrix together
    env: Pairs = ()
    run_name: Template | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able data with every field; `plan_from_json` reads it back equal."""
        return _to_json(self)  # type: ignore[no-any-return]  # a dataclass becomes a dict


def _to_json(value: Any) -> Any:
    # By the exact type, the frequent first: a run waits for this, and a plan of 200 jobs has 7,000 values.
    kind = value.__class__
    if value is None or kind is str or kind is int:
        return value
    if kind is tuple:
        return [_to_json(item) for item in value]
    if kind is Template:
        return [value.text, value.line, value.column]
    if kind in _PARTS:
        names, values_of = _PARTS[kind]
        return dict(zip(names, map(_to_json, values_of(value)), strict=True))
    return value


_PARTS = {kind: (kind.__slots__, attrgetter(*kind.__slots__)) for kind in (Plan, JobPlan, JobCache, StepPlan, Unexpanded)}


def _template(data: Any) -> Template | None:
    return Template(*data) if data is not None else None


def _pairs(data: Any) -> Pairs:
    return tuple((name, Template(*template)) for name, template in data)


def step_from_json(data: Mapping[str, Any]) -> StepPlan:
    """Raises KeyError, TypeError for data that `Plan.to_json` didn't make."""
    return StepPlan(
        index=data["index"],
        line=data["line"],
        column=data["column"],
        id=data["id"],
        name=_template(data["name"]),
        condition=_template(data["condition"]),
        run=_template(data["run"]),
        uses=data["uses"],
        inputs=_pairs(data["inputs"]),
        shell=_template(data["shell"]),
        working_directory=_template(data["working_directory"]),
        env=_pairs(data["env"]),
        continue_on_error=_template(data["continue_on_error"]),
        timeout_minutes=_template(data["timeout_minutes"]),
    )


def _unexpanded(data: Any) -> Unexpanded | None:
    if data is None:
        return None
    runs_on = tuple(Template(*template) for template in data["runs_on"])
    only = tuple((name, value) for name, value in data["only"])
    return Unexpanded(name=_template(data["name"]), runs_on=runs_on, strategy=data["strategy"], only=only)


def _cache(data: Any) -> JobCache | None:
    if data is None:
        return None
    return JobCache(inputs=tuple(data["inputs"]), outputs=tuple(data["outputs"]), tools=tuple(data["tools"]))


def job_from_json(data: Mapping[str, Any]) -> JobPlan:
    """Raises KeyError, TypeError for data that `Plan.to_json` didn't make."""
    return JobPlan(
        id=data["id"],
        base=data["base"],
        name=data["name"],
        whole=data.get("whole", ""),  # a plan that an older program kept has none
        line=data["line"],
        column=data["column"],
        needs=tuple(data["needs"]),
        condition=_template(data["condition"]),
        matrix=data["matrix"],
        strategy=data["strategy"],
        continue_on_error=_template(data["continue_on_error"]),
        timeout_minutes=_template(data["timeout_minutes"]),
        env=_pairs(data["env"]),
        shell=_template(data["shell"]),
        working_directory=_template(data["working_directory"]),
        outputs=_pairs(data["outputs"]),
        steps=tuple(step_from_json(step) for step in data["steps"]),
        runs_on=tuple(data["runs_on"]),
        deferred=tuple(data["deferred"]),
        unexpanded=_unexpanded(data.get("unexpanded")),  # a plan that an older program kept has none
        cache=_cache(data.get("cache")),  # likewise
        junit=tuple(data.get("junit", ())),  # likewise
    )


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """Raises KeyError, TypeError for data that `Plan.to_json` didn't make."""
    return Plan(
        name=data["name"],
        file=data["file"],
        jobs=tuple(job_from_json(job) for job in data["jobs"]),
        env=_pairs(data["env"]),
        run_name=_template(data["run_name"]),
    )
