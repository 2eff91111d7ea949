"""Choose the pipelines that a run starts: the named ones, or those that a push of the branch would start on GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document, Trigger
from sparki_daemon.pipeline.globs import passes
from sparki_daemon.pipeline.spelling import did_you_mean

_PULL_REQUEST_TYPES = ("opened", "synchronize", "reopened")


def starts_on_push(document: Document, branch: str) -> bool:
    """Whether a push of the branch would start the pipeline, whichever files it changed.

    Filters on tags alone leave out branches. Source: GITHUB.md §4.
    """
    return any(trigger.event == "push" and _takes_branch(trigger, branch) for trigger in document.triggers)


def starts_on_pull_request(document: Document, base: str) -> bool:
    """Whether a pull request to `base` that was just opened or got new commits would start the pipeline."""
    for trigger in document.triggers:
        if trigger.event == "pull_request":
            types = trigger.filters.get("types", _PULL_REQUEST_TYPES) or _PULL_REQUEST_TYPES
            if set(types) & set(_PULL_REQUEST_TYPES) and _takes_branch(trigger, base):
                return True
    return False


def _takes_branch(trigger: Trigger, branch: str) -> bool:
    filters = trigger.filters
    if "branches" not in filters and "branches-ignore" not in filters:
        return "tags" not in filters and "tags-ignore" not in filters
    return passes(branch, filters.get("branches"), filters.get("branches-ignore"))


def started(documents: Sequence[Document], *, branch: str | None, default_branch: str) -> tuple[list[Document], str]:
    """The pipelines that `sparki run` without a name starts, and the event that starts them: `push` or `pull_request`.

    Those that a push of the branch would start; if none, those that a pull request to the default branch would.
    `branch` None: the HEAD is detached, and counts as the default branch. Both empty: nothing would be started.
    """
    pushed = [document for document in documents if starts_on_push(document, branch or default_branch)]
    if pushed:
        return pushed, "push"
    requested = [document for document in documents if starts_on_pull_request(document, default_branch)]
    return requested, "pull_request" if requested else ""


def names_of(file: str, name: str) -> tuple[str, ...]:
    """What a pipeline answers to: its file, the file's base name and stem, and its `name`."""
    base = file.rsplit("/", 1)[-1]
    stem = base.rsplit(".", 1)[0] if base.endswith((".yml", ".yaml")) else base
    return file, base, stem, name


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
