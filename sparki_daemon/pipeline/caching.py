"""What a job may declare so that its result can come from the cache: the key `cache`, in pipeline files and in `sparki.yml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.plan import JobCache, Plan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.schema import Key, ListOf, Record, Text
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode

_NAMES = ListOf(item=Text(nonempty=True))

CACHE = Record(
    keys={
        "inputs": Key(_NAMES, "Patterns of the source's files that the job reads; none: all files."),
        "outputs": Key(_NAMES, "Patterns of the files that the job makes, relative to the workspace."),
        "tools": Key(_NAMES, "Programs whose versions count, such as node."),
    }
)


@dataclass(frozen=True, slots=True)
class Declared:
    """What `sparki.yml` says of one job's cache, and where."""

    cache: JobCache
    at: Position


def cache_of(node: Node | None) -> JobCache | None:
    """The declaration that a checked value is; None where there is none."""
    if not isinstance(node, MappingNode):
        return None
    return JobCache(inputs=texts_of(node.get("inputs")), outputs=texts_of(node.get("outputs")), tools=texts_of(node.get("tools")))


def texts_of(node: Node | None) -> tuple[str, ...]:
    """The texts of a checked list; none where there is no list."""
    items = node.items if isinstance(node, SequenceNode) else ()
    return tuple(item.text for item in items if isinstance(item, ScalarNode))


def pattern_problems(node: Node | None, file: str) -> Iterator[Problem]:
    """Every pattern of a declaration that leads out of the source, where no file of it can be."""
    for key in ("inputs", "outputs"):
        yield from leading_out(node.get(key) if isinstance(node, MappingNode) else None, file)


def leading_out(patterns: Node | None, file: str) -> Iterator[Problem]:
    """Every pattern of a list that leads out of the source."""
    for item in patterns.items if isinstance(patterns, SequenceNode) else ():
        text = item.text.removeprefix("!") if isinstance(item, ScalarNode) else ""
        if text.startswith(("/", "~")) or ".." in text.split("/"):
            message = f"'{text}' leads out of the source"
            at = Position(file, item.line, item.column)
            yield Problem(code="bad_pattern", message=message, at=at, hint="patterns begin at the root of the repository")


def with_declared(plan: Plan, declared: Mapping[str, Declared]) -> Plan:
    """The plan with the caches that `sparki.yml` declares for its jobs; it rules over the pipeline's own word.

    Raises SparkiError `no_such_job` for each id that the pipeline has not.
    """
    if not declared:
        return plan
    bases = {job.base for job in plan.jobs}
    problems = [_no_such_job(plan, base, one.at, sorted(bases)) for base, one in declared.items() if base not in bases]
    if problems:
        raise SparkiError(*problems)
    return replace(plan, jobs=tuple(replace(job, cache=declared[job.base].cache) if job.base in declared else job for job in plan.jobs))


def _no_such_job(plan: Plan, base: str, at: Position, known: Sequence[str]) -> Problem:
    hint = did_you_mean(base, known) or f"jobs: {', '.join(known)}"
    return Problem(code="no_such_job", message=f"pipeline '{plan.name}' has no job '{base}'", at=at, hint=hint)
