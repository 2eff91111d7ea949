"""Put a request's parts together: each pipeline that is meant, planned for its event, with all that its run needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.dataclass import dataclass, field, replace
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.caching import with_declared
from sparki_daemon.pipeline.differences import differences, in_short
from sparki_daemon.pipeline.document import Document, with_mapped
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.template import render
from sparki_daemon.pipeline.legs import select_legs
from sparki_daemon.pipeline.local_actions import refused
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.needs import select_jobs
from sparki_daemon.pipeline.pairs import by_hand
from sparki_daemon.pipeline.plan import plan as make_plan
from sparki_daemon.pipeline.reports import with_reports
from sparki_daemon.pipeline.schema import Dialect
from sparki_daemon.pipeline.select import event_for, names_of
from sparki_daemon.pipeline.settings import FILE, Settings, read_settings
from sparki_daemon.pipeline.triggers import DISPATCH
from sparki_daemon.prepare.asked import Asked
from sparki_daemon.prepare.choice import by_event, by_name, by_push, is_outside, not_started
from sparki_daemon.prepare.machine import machine_for, reader
from sparki_daemon.source import files
from sparki_daemon.source.bound import bound
from sparki_daemon.source.changed import base_sha, changed_paths, pushed_paths
from sparki_daemon.source.early import EarlySource
from sparki_daemon.source.events import merged, payload
from sparki_daemon.source.facts import Facts, facts
from sparki_daemon.source.github_context import github_context
from sparki_daemon.source.push import Push, Update, push_of, received
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.snapshot import Snapshot, at_revision, take

if TYPE_CHECKING:
    from sparki_daemon.proposal import Proposal

_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Planned:
    """One pipeline, ready to be run. `github` still lacks what only a run has: its id, number and attempt."""

    plan: Plan
    github: dict[str, Any]
    event: dict[str, Any]
    inputs: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Problem, ...] = ()
    subject: str = ""  # what a run is called where no run-name says otherwise
    detached: bool = False  # the source is of no branch, and the context's ref only stands in for one

    @property
    def branch(self) -> str | None:
        """The branch that a checkout is on; None: detached, as for a pull request or a tag."""
        ref = str(self.github["ref"])
        return ref.removeprefix(_HEADS) if ref.startswith(_HEADS) and not self.detached else None

    def title(self, *, variables: Mapping[str, str], run_id: str = "", run_number: int = 0) -> str:
        """What a run is called: `run-name`, else what brought it. Raises SparkiError (`expression_failed`) with the place of the name."""
        name = self.plan.run_name
        if name is None:
            return self.subject
        github = {**self.github, "run_id": run_id, "run_number": str(run_number)}
        try:
            text = render(name.text, Scope({"github": github, "inputs": self.inputs, "vars": dict(variables)}))
        except ExpressionError as error:
            at = Position(self.plan.file, name.line, name.column)
            message = f"'run-name' can't be computed: {error.message}"
            raise SparkiError(Problem(code="expression_failed", message=message, at=at, hint=error.hint)) from None
        return " ".join(text.split()) or self.subject


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a request comes to before anything runs."""

    repository: Repository
    snapshot: Snapshot
    facts: Facts
    planned: tuple[Planned, ...]
    settings: Settings = field(default_factory=Settings)
    variables: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[Problem, ...] = ()  # the pipelines that only their `paths` keep from being started
    actions: Mapping[str, str] = field(default_factory=dict)  # the copies of folders that stand for others' repositories
    proposal: Proposal | None = None  # the repository has no pipeline, and this one is planned

    @property
    def source(self) -> dict[str, Any]:
        """The `source` of the public shapes."""
        taken = self.snapshot
        return {"tree": taken.tree, "commit": taken.head or taken.commit, "dirty": taken.dirty, "branch": self.facts.branch_name}

    @property
    def beginning(self) -> tuple[Problem, ...]:
        """What to say before anything else: what the snapshot left out, what is proposed, which pipelines don't start."""
        if self.proposal is None:
            return (*self.snapshot.notes, *self.left_out)
        from sparki_daemon.prepare.proposed import told  # noqa: PLC0415  few repositories have no pipeline, and it is much to load

        return (*self.snapshot.notes, *told(self.proposal), *self.left_out)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What to say at the head of the runs: what was left out, and a line for each kind of difference."""
        return (*self.beginning, *in_short([found for one in self.planned for found in one.differences]))


def prepare(
    directory: str,
    *,
    pipelines: Sequence[str],
    jobs: Sequence[str],
    ref: str | None,
    objects: str,
    event: str = "",
    event_payload: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    matrix: Sequence[tuple[str, str]] = (),
    workspace: str = "",
    client_env: Mapping[str, str] | None = None,
    secrets: Callable[[Repository], Collection[str]] | None = None,
    actions: Mapping[str, str] | None = None,
    update: Update | None = None,
    early: EarlySource | None = None,
) -> Prepared:
    """Everything that a run of `directory` needs, or the SparkiError that says what is wrong with which file.

    `pipelines`: words that name them, none: those that a push would start, or that `event` would. `jobs`: those alone, with what they
    need. `ref`: a commit instead of the working tree. `objects`: a folder for the snapshot's new objects, made if there are any.
    `event_payload`: laid over the payload that is made up. `inputs`: of a workflow_dispatch, as texts. `env`: the lowest layer of `env`.
    `matrix`: (key, value) pairs that legs must have. `workspace`: "source", each job begins with the source in place; "empty"; "": as each
    file's dialect has it. `client_env`: the variables by which programs are looked for; None: don't look. `secrets`: tells which secrets
    have a value; asked only where a pipeline reads some. `actions`: the folders that stand for others' repositories, by owner/repository
    in lower case; they are copied to a folder beside `objects`. `update`: the real push that brings `ref`, its commit.
    `early`: the source of `directory`, for which git was asked before.
    """
    asked = Asked(
        pipelines=pipelines,
        jobs=jobs,
        matrix=matrix,
        event=event,
        payload=event_payload,
        inputs=inputs or {},
        variables=variables or {},
        env=env or {},
        workspace=workspace,
    )
    asked_event = asked.checked_event()
    repository, snapshot = _source(directory, ref, objects, update, early)
    snapshot = replace(snapshot, ref=update.ref) if update else snapshot
    here = repository.root if update else directory  # of a push, what lies in the working tree counts for nothing
    known = facts(repository, snapshot)
    settings = read_settings(_settings_file(repository, snapshot, at_commit=ref is not None))
    found = files.pipelines(repository, snapshot if ref else None)
    proposal = None
    if not found and not is_outside(here, pipelines):
        from sparki_daemon.prepare.proposed import proposal_for, proposed_file  # noqa: PLC0415  as above

        proposal = proposal_for(snapshot, client_env)
        found = proposed_file(proposal)
    copies = _copied(actions, objects) if actions else {}
    machine = machine_for(known, settings, client_env, reader(repository, snapshot if ref else None), copies)
    machine = replace(machine, secrets=lambda: secrets(repository) if secrets else ())
    maker = _Maker(asked, repository, snapshot, known, machine, settings, update)
    left_out: tuple[Problem, ...] = ()
    if pipelines:
        chosen = [(one, asked_event or event_for(one)) for one in by_name(found, pipelines, here)]
    elif asked_event:
        made_up = maker.payload(asked_event)
        documents = by_event(found, asked_event, made_up, lambda: maker.changed(made_up))
        chosen = [(one, asked_event) for one in documents]
    else:
        first = by_push(found, known, maker.paths)
        chosen = [(one, first.event) for one in first.chosen]
        left_out = not_started(first)
    return Prepared(repository, snapshot, known, maker.all(chosen), settings, asked.variables, left_out, copies, proposal)


def _source(directory: str, ref: str | None, objects: str, update: Update | None, early: EarlySource | None) -> tuple[Repository, Snapshot]:
    bound_to = update.git_dir if update else ""
    repository = bound(bound_to) if bound_to else early.repository() if early else find(directory)
    if ref:
        return repository, at_revision(repository, ref, objects)
    return repository, early.snapshot() if early else take(repository, objects)


def _copied(actions: Mapping[str, str], objects: str) -> dict[str, str]:
    """Copies in a new folder beside that of a snapshot's objects: named as those are, it is kept and swept as they are."""
    from sparki_daemon.source.action_copies import copied  # noqa: PLC0415  # few runs are given folders for others' actions

    return copied(actions, os.path.join(os.path.dirname(os.path.abspath(objects)), os.urandom(8).hex()))


def _settings_file(repository: Repository, snapshot: Snapshot, *, at_commit: bool) -> bytes | None:
    if at_commit:
        return files.read(snapshot, FILE)
    try:
        with open(os.path.join(repository.root, FILE), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {FILE}: {error.strerror}")) from error


class _Maker:
    """Plans documents for their events, all of one request."""

    def __init__(
        self,
        asked: Asked,
        repository: Repository,
        snapshot: Snapshot,
        known: Facts,
        machine: Machine,
        settings: Settings,
        update: Update | None = None,
    ) -> None:
        self.asked = asked
        self.repository = repository
        self.snapshot = snapshot
        self.known = known
        self.machine = machine
        self.settings = settings
        self.update = update

    @cached_property
    def push(self) -> Push:
        """The push that brought this source, or would bring it; git is asked for it once."""
        if self.update:
            return received(self.repository, self.snapshot, self.update)
        return push_of(self.repository, self.snapshot, self.known)

    def paths(self, event: str) -> tuple[str, ...] | None:
        """The files that an event which nobody asked for would bring; None where it would bring nothing, so that none would happen."""
        if event == "push":
            return pushed_paths(self.snapshot, self.push) if self.push.told else None
        return changed_paths(self.repository, self.snapshot, self.known, self.payload(event)) or None

    def changed(self, event: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The files that the event with this payload changes; None where GitHub would not compare."""
        if self.update:
            return pushed_paths(self.snapshot, self.push)
        return changed_paths(self.repository, self.snapshot, self.known, event)

    def payload(self, event: str, document: Document | None = None, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The payload of an event: what can be made up, and what was given laid over it."""
        base = ""
        if event.startswith("pull_request"):
            base = base_sha(self.repository, self.known, self.known.default_branch)
        crons = [cron.text for trigger in (document.triggers if document else ()) for cron in trigger.crons]
        file = document.file if document else ""
        push = self.push if event == "push" else None
        made_up = payload(self.known, event, push=push, base_sha=base, inputs=inputs, workflow_file=file, cron=crons[0] if crons else "")
        given = {key: value for key, value in (self.asked.payload or {}).items() if inputs is None or key != "inputs"}
        return merged(made_up, given)

    def all(self, chosen: Sequence[tuple[Document, str]]) -> tuple[Planned, ...]:
        """Raises SparkiError with the problems of all of them."""
        planned: list[Planned] = []
        problems: list[Problem] = []
        for document, event in chosen:
            try:
                planned.append(self._one(document, event))
            except SparkiError as error:
                problems += error.problems
        if problems:
            if planned and not problems[-1].hint:
                able = " ".join(names_of(one.plan.file, one.plan.name)[2] for one in planned)
                problems[-1] = replace(problems[-1], hint=f"without it: sparki run {able}")
            raise SparkiError(*problems)
        return tuple(planned)

    def _one(self, document: Document, event: str) -> Planned:
        inputs: dict[str, Any] = {}
        if event == DISPATCH:
            declared = [one for trigger in document.triggers if trigger.event == DISPATCH for one in trigger.inputs]
            from sparki_daemon.pipeline.inputs import input_values  # noqa: PLC0415  # few runs are dispatched, or have --action

            inputs = input_values(declared, self.asked.dispatch_inputs())
        about = self.payload(event, document, inputs if event == DISPATCH else None)
        github = github_context(
            self.known, event_name=event, event=about, workflow=document.name, run_id="", run_number=0, workflow_file=document.file
        )
        workspace = self.asked.workspace
        in_place = workspace == "source" or (not workspace and document.dialect is Dialect.SPARKI)
        document = with_mapped(document, self.machine.mapped) if self.machine.mapped else document
        made = make_plan(document, github=github, inputs=inputs, variables=self.asked.variables, source_in_place=in_place)
        made = replace(made, env=(*by_hand(self.asked.env), *made.env))
        stem = names_of(document.file, document.name)[2]
        made = with_declared(made, self.settings.caches.get(stem, {}))
        made = with_reports(made, self.settings.junit.get(stem, ()))
        made = select_jobs(made, self.asked.jobs) if self.asked.jobs else made
        made = select_legs(made, self.asked.matrix) if self.asked.matrix else made
        if self.machine.action_file and (
            problems := list(refused(made.jobs, document.file, self.machine.action_file, self.machine.mapped))
        ):
            raise SparkiError(*problems)
        return Planned(
            made,
            github,
            about,
            inputs,
            tuple(differences(made, document, self.machine, known={"github": github, "inputs": inputs, "vars": self.asked.variables})),
            self._subject(document, event, about),
            detached=self.known.detached and github["ref"] == self.known.ref,
        )

    def _subject(self, document: Document, event: str, about: Mapping[str, Any]) -> str:
        """What GitHub calls a run: the commit's message, the pull request's title, the release's name, else the workflow's name."""
        request, release = about.get("pull_request"), about.get("release")
        if isinstance(request, Mapping):
            return str(request.get("title") or document.name)
        if isinstance(release, Mapping):
            return str(release.get("name") or document.name)
        return self.known.commit.message.partition("\n")[0] if event == "push" else document.name
