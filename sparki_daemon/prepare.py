"""From a folder to plans: the repository, its snapshot, the pipelines that are meant, each planned for its event.

Git is read here and nothing is written but the snapshot's own objects; the engine and `--plan` share it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.needs import select_jobs
from sparki_daemon.pipeline.plan import plan as make_plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.select import named, names_of, started
from sparki_daemon.source import files, github_context
from sparki_daemon.source.facts import Facts, facts
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.snapshot import Snapshot, at_revision, take


@dataclass(frozen=True, slots=True)
class Planned:
    """One pipeline, ready to be run. `github` still lacks what only a run has: its id, number and attempt."""

    plan: Plan
    github: dict[str, Any]
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a request comes to before anything runs."""

    repository: Repository
    snapshot: Snapshot
    facts: Facts
    planned: tuple[Planned, ...]

    @property
    def source(self) -> dict[str, Any]:
        """The `source` of the public shapes."""
        taken = self.snapshot
        return {"tree": taken.tree, "commit": taken.head or taken.commit, "dirty": taken.dirty, "branch": self.facts.branch_name}


def prepare(directory: str, *, pipelines: Sequence[str], jobs: Sequence[str], ref: str | None, objects: str) -> Prepared:
    """Everything that a run of `directory` needs, or the SparkiError that says what is wrong with which file.

    `pipelines`: words that name them, none: those that a push would start. `jobs`: those alone, with what they need. `ref`: a commit
    instead of the working tree. `objects`: a folder for the snapshot's new objects, made if there are any.
    """
    repository = find(directory)
    snapshot = at_revision(repository, ref, objects) if ref else take(repository, objects)
    known = facts(repository, snapshot)
    found = files.pipelines(repository, snapshot if ref else None)
    documents = _chosen(found, pipelines, known, directory)
    return Prepared(repository, snapshot, known, _all_planned(documents, known, jobs))


def _chosen(found: Mapping[str, bytes], words: Sequence[str], known: Facts, directory: str) -> list[Document]:
    if words:
        return _named(found, words, directory)
    if not found:
        message = "this repository has no pipeline"
        raise SparkiError(Problem(code="no_pipeline", message=message, hint="put a workflow into .github/workflows"))
    documents = _read_all(found)
    chosen, _ = started(documents, branch=known.branch_name, default_branch=known.default_branch)
    if not chosen:
        stems = ", ".join(names_of(document.file, document.name)[2] for document in documents)
        message = (
            f"neither a push of '{known.branch_name or known.ref}' nor a pull request to '{known.default_branch}' starts a pipeline here"
        )
        raise SparkiError(Problem(code="nothing_to_run", message=message, hint=f"name one: sparki run PIPELINE, of {stems}"))
    return chosen


def _named(found: Mapping[str, bytes], words: Sequence[str], directory: str) -> list[Document]:
    """The documents that `words` name; a broken file counts only when no word can do without it."""
    outside = {word: content for word in words if word not in found and (content := _file(directory, word)) is not None}
    documents: list[Document] = []
    broken: list[Problem] = []
    for path, content in {**found, **outside}.items():
        try:
            documents.append(read(content, path))
        except SparkiError as error:
            if any(word in names_of(path, "") for word in words):
                raise
            broken += error.problems
    try:
        return named(documents, words)
    except SparkiError as error:
        raise SparkiError(*error.problems, *broken) from None


def _file(directory: str, word: str) -> bytes | None:
    path = os.path.join(directory, word)
    if not word.endswith((".yml", ".yaml")) or not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {word}: {error.strerror}")) from error


def _read_all(found: Mapping[str, bytes]) -> list[Document]:
    documents: list[Document] = []
    problems: list[Problem] = []
    for path, content in found.items():
        try:
            documents.append(read(content, path))
        except SparkiError as error:
            problems += error.problems
    if problems:
        raise SparkiError(*problems)
    return documents


def _all_planned(documents: Sequence[Document], known: Facts, jobs: Sequence[str]) -> tuple[Planned, ...]:
    planned: list[Planned] = []
    problems: list[Problem] = []
    for document in documents:
        try:
            planned.append(_planned(document, known, jobs))
        except SparkiError as error:
            problems += error.problems
    if problems:
        if planned and not problems[-1].hint:
            able = " ".join(names_of(one.plan.file, one.plan.name)[2] for one in planned)
            problems[-1] = replace(problems[-1], hint=f"without it: sparki run {able}")
        raise SparkiError(*problems)
    return tuple(planned)


def _planned(document: Document, known: Facts, jobs: Sequence[str]) -> Planned:
    event = github_context.push_event(known)
    github = github_context.github_context(
        known, event_name="push", event=event, workflow=document.name, run_id="", run_number=0, workflow_file=document.file
    )
    plan = make_plan(document, github=github)
    return Planned(select_jobs(plan, jobs) if jobs else plan, github, event)
