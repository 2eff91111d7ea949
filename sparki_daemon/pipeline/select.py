"""Choose the pipelines that a run starts: the named ones, or those that a push of the branch would start on GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.globs import passes
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.triggers import DISPATCH, Trigger

if TYPE_CHECKING:
    from sparki_daemon.pipeline.environments import BranchRule

Filters = Mapping[str, tuple[str, ...]]
_PULL_REQUESTS = frozenset({"pull_request", "pull_request_target"})
_PULL_REQUEST_TYPES = ("opened", "synchronize", "reopened")
_MOST_PATHS = 300

Paths = Callable[[str], tuple[str, ...] | None]
"""The files that an event of that name changed; None: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One event, as far as filters ask. All is empty that the event does not have."""

    event: str
    branch: str = ""  # of a push; of a pull request its base
    tag: str = ""
    types: tuple[str, ...] = ()  # the activity; several: any of them will do
    paths: tuple[str, ...] | None = None  # the files that changed; None: not asked

    def on(self, trigger: Trigger) -> bool:
        """Whether the event passes a trigger's filters. Source: GITHUB.md §4."""
        if trigger.event != self.event:
            return False
        wanted = trigger.filters.get("types") or (_PULL_REQUEST_TYPES if self.event in _PULL_REQUESTS else ())
        if wanted and self.types and not set(wanted) & set(self.types):
            return False
        if self.tag:
            return _takes(self.tag, trigger.filters, "tags", other="branches")
        if self.branch and not _takes(self.branch, trigger.filters, "branches", other="tags"):
            return False
        return self.paths is None or _takes_paths(self.paths, trigger.filters)


def starts(document: Document, occurrence: Occurrence) -> bool:
    """Whether the event starts the pipeline."""
    return any(occurrence.on(trigger) for trigger in document.triggers)


def has_path_filter(document: Document, event: str) -> bool:
    """Whether the files that an event changed decide about the pipeline."""
    return any(trigger.event == event and {"paths", "paths-ignore"} & trigger.filters.keys() for trigger in document.triggers)


def _takes(name: str, filters: Filters, kind: str, *, other: str) -> bool:
    """Whether a branch or tag passes; filters on the `other` alone leave it out."""
    if kind not in filters and f"{kind}-ignore" not in filters:
        return other not in filters and f"{other}-ignore" not in filters
    return passes(name, filters.get(kind), filters.get(f"{kind}-ignore"))


def _takes_paths(paths: Sequence[str], filters: Filters) -> bool:
    """Whether one of the first 300 files is meant, which are all that GitHub looks at."""
    only, ignore = filters.get("paths"), filters.get("paths-ignore")
    if only is None and ignore is None:
        return True
    return any(passes(path, only, ignore) for path in paths[:_MOST_PATHS])


def event_for(document: Document) -> str:
    """The event that a pipeline that was named runs on when none is asked for: the first of its own that Sparki can make up."""
    own = {trigger.event for trigger in document.triggers}
    return next(
        (event for event in ("push", "pull_request", DISPATCH, "schedule", "release", "pull_request_target") if event in own), "push"
    )


@dataclass(frozen=True, slots=True)
class Started:
    """What `sparki run` without a name starts, and on which event (empty: nothing). `unchanged`: whose `paths` no changed file is among."""

    chosen: tuple[Document, ...] = ()
    event: str = ""
    unchanged: tuple[Document, ...] = ()


def started(documents: Sequence[Document], *, branch: str | None, default_branch: str, paths: Paths) -> Started:
    """The pipelines that a push of the branch would start; if none, those that a pull request to the default branch would.

    `branch` None: the HEAD is detached, and counts as the default branch. `paths`: the files that an event of that name would bring,
    asked only where they decide; None: unknown, so that no filter on them keeps anything out.
    """
    push = Occurrence(event="push", branch=branch or default_branch)
    request = Occurrence(event="pull_request", branch=default_branch, types=_PULL_REQUEST_TYPES)
    unchanged: list[Document] = []
    for occurrence in (push, request):
        meant = [document for document in documents if starts(document, occurrence)]
        decide = any(has_path_filter(document, occurrence.event) for document in meant)
        brought = replace(occurrence, paths=paths(occurrence.event) if decide else None)
        chosen = [document for document in meant if starts(document, brought)]
        unchanged += [document for document in meant if document not in chosen and document not in unchanged]
        if chosen:
            return Started(tuple(chosen), occurrence.event, tuple(one for one in unchanged if one not in chosen))
    return Started(unchanged=tuple(unchanged))


def names_of(file: str, name: str) -> tuple[str, ...]:
    """What a pipeline answers to: its file, the file's base name and stem, and its `name`."""
    base = file.rsplit("/", 1)[-1]
    stem = base.rsplit(".", 1)[0] if base.endswith((".yml", ".yaml")) else base
    return file, base, stem, name


def rule_problems(rules: Iterable[BranchRule], documents: Sequence[Document]) -> Iterator[Problem]:
    """What is wrong with the pipelines that push rules run, each at the rule's `run`: there is none of that name, or there are several."""
    for rule in rules:
        try:
            named(documents, rule.run)
        except SparkiError as error:
            yield from (replace(problem, at=rule.run_at) for problem in error.problems)


def named(documents: Sequence[Document], wanted: Iterable[str]) -> list[Document]:
    """The pipelines that the words name, each once, in the words' order. A file's path is preferred to a `name`.

    Raises SparkiError with `no_such_pipeline` or `ambiguous_pipeline` for each word that names none, or several.
    """
    found: dict[str, Document] = {}
    problems = []
    for word in wanted:
        ranked = [[document for document in documents if names_of(document.file, document.name)[rank] == word] for rank in range(4)]
        hits = next((hits for hits in ranked if hits), [])
        if len(hits) == 1:
            found.setdefault(hits[0].file, hits[0])
        elif hits:
            hint = f"name the file: {' or '.join(document.file for document in hits)}"
            problems.append(Problem(code="ambiguous_pipeline", message=f"several pipelines are called '{word}'", hint=hint))
        else:
            known = {name for document in documents for name in names_of(document.file, document.name)}
            stems = ", ".join(names_of(document.file, document.name)[2] for document in documents)
            hint = did_you_mean(word, known) or (f"there are: {stems}" if stems else "this repository has no pipelines")
            problems.append(Problem(code="no_such_pipeline", message=f"no pipeline is called '{word}'", hint=hint))
    if problems:
        raise SparkiError(*problems)
    return list(found.values())
