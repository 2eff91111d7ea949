"""Finds what pipeline files call: workflows of the repository, and others' workflows and actions in folders that stand for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import StepPlan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.actions import action_name
from sparki_daemon.pipeline.document import Document, Name
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.yaml_node import MappingNode
from sparki_daemon.pipeline.yaml_reader import load


class Called:
    """Finds the workflows of one repository that others call, and those of mapped repositories, each read once."""

    def __init__(self, here: str, folders: Mapping[str, str]) -> None:
        self._here = self._root = here
        self._folders = folders
        while not os.path.exists(os.path.join(self._root, ".git")) and os.path.dirname(self._root) != self._root:
            self._root = os.path.dirname(self._root)
        self._known: dict[str, Document | None] = {}
        self._broken: dict[str, tuple[Problem, ...]] = {}

    def find(self, uses: str) -> Document | None:
        """The workflow that a `uses` names; None for one that is not at hand, or is broken."""
        if uses not in self._known:
            self._known[uses] = self._own(uses.removeprefix("./")) if uses.startswith("./") else self._other(uses)
        return self._known[uses]

    def problems(self, document: Document) -> Iterator[Problem]:
        """What is wrong with mapped workflows that the document calls, down to the deepest: they are missing, or broken."""
        unseen, seen = [document], set[str]()
        while unseen:
            for job in unseen.pop().jobs:
                uses = job.call.uses if job.call else None
                if uses is None or uses.text in seen:
                    continue
                seen.add(uses.text)
                found = self.find(uses.text)
                if found is not None:
                    unseen.append(found)
                yield from self._broken.get(uses.text, ())
                if (place := self._place(uses.text)) and not os.path.isfile(os.path.join(self._here, place)):
                    message = f"'{uses.text}' is not there: {place} is no file"
                    yield Problem(code="no_such_workflow", message=message, at=uses.at, hint="look at the folder that '--action' gives")

    def warnings(self, document: Document) -> Iterator[Problem]:
        """What a step will miss of the mapped actions that it uses: the action itself, or an input that it gives."""
        for step in (step for job in document.jobs for step in job.steps):
            place = self._place(step.uses) if action_name(step.uses) else ""
            if place:
                yield from self._of_action(step, place, Position(document.file, step.line, step.column))

    def _of_action(self, step: StepPlan, place: str, at: Position) -> Iterator[Problem]:
        tried = (self._inputs(os.path.join(place, file)) for file in ("action.yml", "action.yaml"))
        names = next((names for names in tried if names is not None), None)
        if names is None:
            message = f"'{step.uses}' is no action: neither action.yml nor action.yaml in {place} can be read"
            yield Problem(code="no_such_action", message=message, at=at, hint="look at the folder that '--action' gives")
            return
        for name, value in step.inputs:
            if OPEN not in name and name.lower() not in {known.lower() for known in names}:
                message = f"'{step.uses}' has no input '{name}'"
                where = Position(at.file, value.line, value.column)
                yield Problem(code="unknown_action_input", message=message, at=where, hint=did_you_mean(name, names))

    def _inputs(self, path: str) -> list[str] | None:
        try:
            with open(os.path.join(self._here, path), "rb") as file:
                root, _ = load(file.read(), path)
        except (OSError, SparkiError):
            return None
        inputs = root.get("inputs") if isinstance(root, MappingNode) else None
        return [key.text for key, _ in inputs.pairs] if isinstance(inputs, MappingNode) else []

    def _place(self, uses: str) -> str:
        """Where the folder of a mapped repository has what a `uses` names; empty: it isn't mapped."""
        owner, _, rest = uses.partition("@")[0].partition("/")
        repository, _, path = rest.partition("/")
        folder = self._folders.get(f"{owner}/{repository}".lower())
        return "" if folder is None else os.path.normpath(os.path.join(folder, path))

    def _own(self, name: str) -> Document | None:
        try:
            with open(os.path.join(self._root, name), "rb") as file:
                return read(file.read(), name)
        except (OSError, SparkiError):  # it is checked by itself, too
            return None

    def _other(self, uses: str) -> Document | None:
        place = self._place(uses)
        if not place:
            return None
        try:
            with open(os.path.join(self._here, place), "rb") as file:
                return _of_its_own_repository(read(file.read(), place), uses)
        except SparkiError as error:
            self._broken[uses] = error.problems
        except OSError:
            pass  # `problems` tells
        return None


def _of_its_own_repository(document: Document, uses: str) -> Document:
    """A called workflow whose own local calls name its repository: `./x` is a file beside it, not of the first caller."""
    path, _, ref = uses.partition("@")
    repository = "/".join(path.split("/")[:2])
    jobs = []
    for job in document.jobs:
        if job.call and job.call.uses.text.startswith("./"):
            text = f"{repository}/{job.call.uses.text.removeprefix('./')}@{ref}"
            jobs.append(replace(job, call=replace(job.call, uses=Name(text, job.call.uses.at))))
        else:
            jobs.append(job)
    return replace(document, jobs=tuple(jobs))
