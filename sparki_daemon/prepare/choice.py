"""Read the pipeline files of a repository, and choose those that a request means."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.dialect import SUFFIXES, dialect_of, replaced
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.select import Occurrence, Paths, Started, has_path_filter, named, names_of, started, starts
from sparki_daemon.prepare.remembered import read
from sparki_daemon.source.facts import Facts


def by_name(found: Mapping[str, bytes], words: Sequence[str], directory: str) -> list[Document]:
    """The documents that `words` name; a broken file counts only when no word can do without it."""
    found = in_force(found, words)
    outside = {word: content for word in words if word not in found and (content := _file(directory, word)) is not None}
    documents: list[Document] = []
    broken: list[Problem] = []
    for path, content in _needed({**found, **outside}, words).items():
        try:
            documents.append(read(content, path, dialect_of(os.path.normpath(os.path.join(directory, path)))))
        except SparkiError as error:
            if any(word in names_of(path, "") for word in words):
                raise
            broken += error.problems
    try:
        return named(documents, words)
    except SparkiError as error:
        raise SparkiError(*error.problems, *broken) from None


def in_force(found: Mapping[str, bytes], words: Sequence[str] = ()) -> Mapping[str, bytes]:
    """The files without those that one of Sparki's stands for; such a one still answers to its path."""
    hidden = replaced(found).keys() - set(words)
    return {path: content for path, content in found.items() if path not in hidden}


def _needed(files: Mapping[str, bytes], words: Sequence[str]) -> Mapping[str, bytes]:
    """The files that must be read to know what `words` name: those whose file name says it, all where a word may be a `name`."""
    chosen: dict[str, bytes] = {}
    for word in words:
        ranked = ([path for path in files if names_of(path, "")[rank] == word] for rank in range(3))
        hits = next((hits for hits in ranked if hits), [])
        if len(hits) != 1:
            return files
        chosen[hits[0]] = files[hits[0]]
    return chosen


def by_push(found: Mapping[str, bytes], known: Facts, paths: Paths) -> Started:
    """What a push would start, else what a pull request would. `paths`: the files that such an event changes.

    Raises SparkiError: `no_pipeline`, `nothing_to_run` with the reason for each.
    """
    documents = _all(found)
    first = started(documents, branch=known.branch_name, default_branch=known.default_branch, paths=paths)
    if not first.chosen:
        tried = f"neither a push of '{known.branch_name or known.ref}' nor a pull request to '{known.default_branch}'"
        reasons = {one.file: _why_not(one, first, known.branch_name or known.default_branch) for one in documents}
        raise _nothing(f"{tried} starts a pipeline here", documents, reasons)
    return first


def not_started(first: Started) -> tuple[Problem, ...]:
    """What to say of the pipelines that only their `paths` keep from being started."""
    return tuple(
        Problem(
            code="not_started",
            message=f"'{_stem(one)}' is not started: no changed file is among its 'paths' (`sparki run {_stem(one)}` runs it)",
        )
        for one in first.unchanged
    )


def _why_not(document: Document, first: Started, branch: str) -> str:
    if document in first.unchanged:
        return "no changed file is among its 'paths'"
    events = {trigger.event: trigger for trigger in document.triggers}
    filters = events["push"].filters if "push" in events else {}
    if "push" in events and {"branches", "branches-ignore"} & filters.keys():
        return f"its 'branches' leave out '{branch}'"
    if "push" in events:
        return "it starts on pushed tags alone"
    if "pull_request" in events:
        return "no pull request here is of its 'branches' or 'types'"
    return f"it starts on {', '.join(events) or 'nothing'}"


def by_event(
    found: Mapping[str, bytes], event: str, payload: Mapping[str, Any], paths: Callable[[], tuple[str, ...] | None]
) -> list[Document]:
    """The documents that an event with this payload would start, all filters obeyed. `paths` is asked where a filter needs it.

    Raises SparkiError: `no_pipeline`, `nothing_to_run`.
    """
    documents = _all(found)
    wanted = any(has_path_filter(document, event) for document in documents)
    occurrence = occurrence_of(event, payload, paths() if wanted else None)
    chosen = [document for document in documents if starts(document, occurrence)]
    if not chosen:
        raise _nothing(f"no pipeline here starts on this '{event}'", documents)
    return chosen


def occurrence_of(event: str, payload: Mapping[str, Any], paths: tuple[str, ...] | None = None) -> Occurrence:
    """What the filters of `on` ask of an event, from its payload."""
    ref = str(payload.get("ref") or "")
    branch, tag = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else "", ""
    if ref.startswith("refs/tags/"):
        tag = ref.removeprefix("refs/tags/")
    request, workflow_run = payload.get("pull_request"), payload.get("workflow_run")
    if isinstance(request, Mapping) and isinstance(request.get("base"), Mapping):
        branch = str(request["base"].get("ref") or "")
    elif isinstance(workflow_run, Mapping):
        branch = str(workflow_run.get("head_branch") or "")
    action = str(payload.get("action") or "")
    bound = event in ("push", "pull_request", "pull_request_target", "workflow_run", "merge_group")
    return Occurrence(
        event=event,
        branch=branch if bound else "",
        tag=tag if event == "push" else "",
        types=(action,) if action else (),
        paths=paths,
    )


def _nothing(message: str, documents: Sequence[Document], reasons: Mapping[str, str] | None = None) -> SparkiError:
    told = (f"{_stem(one)} ({reasons[one.file]})" if reasons else _stem(one) for one in documents)
    return SparkiError(Problem(code="nothing_to_run", message=message, hint=f"name one: sparki run PIPELINE, of {', '.join(told)}"))


def _stem(document: Document) -> str:
    return names_of(document.file, document.name)[2]


def _all(found: Mapping[str, bytes]) -> list[Document]:
    if not found:
        message = "this repository has no pipeline"
        raise SparkiError(
            Problem(code="no_pipeline", message=message, hint="put one into .sparki/pipelines, or a workflow into .github/workflows")
        )
    documents: list[Document] = []
    problems: list[Problem] = []
    for path, content in in_force(found).items():
        try:
            documents.append(read(content, path))
        except SparkiError as error:
            problems += error.problems
    if problems:
        raise SparkiError(*problems)
    return documents


def is_outside(directory: str, words: Sequence[str]) -> bool:
    """Whether words name pipeline files that lie elsewhere, so that a repository without any has one to run."""
    return any(word.endswith(SUFFIXES) and os.path.isfile(os.path.join(directory, word)) for word in words)


def _file(directory: str, word: str) -> bytes | None:
    path = os.path.join(directory, word)
    if not word.endswith(SUFFIXES) or not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {word}: {error.strerror}")) from error
