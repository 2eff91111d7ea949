"""What a release is made of: a commit, and the settings that this commit's sparki.yml has for an environment."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.environments import Environment
from sparki_daemon.pipeline.globs import matches
from sparki_daemon.pipeline.settings import FILE, Settings, read_settings
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.source import files, git
from sparki_daemon.source.bound import bound
from sparki_daemon.source.changes import STATUS, parse
from sparki_daemon.source.objects import read_commit
from sparki_daemon.source.push import Update
from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.scratch import Scratch
from sparki_daemon.source.snapshot import Snapshot, at_revision

SHOWN = 3  # changed files in a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A commit that is to be released to an environment."""

    repository: Repository
    snapshot: Snapshot
    settings: Settings
    environment: Environment
    commit: str
    subject: str
    notes: tuple[Problem, ...] = ()  # what is in the working tree and isn't shipped

    @property
    def branch(self) -> str:
        """The branch that it is of; empty: none."""
        return (self.snapshot.ref or "").removeprefix("refs/heads/")


def shipped(directory: str, environment: str, *, ref: str | None, objects: str, update: Update | None = None) -> Shipped:
    """The commit at HEAD, or at `ref`, with its settings for `environment`. `objects`: a folder for scratch files, gone afterwards.

    `update`: the push that brought `ref`, a commit of the repository that was pushed to.

    Raises SparkiError: `no_commit`, `unknown_environment`, `environment_not_committed`, `branch_not_allowed`, and what is wrong with
    the commit's sparki.yml.
    """
    repository = bound(update.git_dir) if update else find(directory)
    if repository.head is None and ref is None:
        raise SparkiError(Problem(code="no_commit", message="there is nothing to deploy yet: no commit", hint="git commit first"))
    snapshot = at_revision(repository, ref or "HEAD", objects)
    settings = read_settings(files.read(snapshot, FILE))
    chosen = _environment(repository, settings, environment, ref)
    commit = snapshot.head or snapshot.commit
    if update is None or not matches(update.name, chosen.settings.get("branches") or ("**",)):  # the branch may have moved on
        _refuse_branch(repository, chosen, commit, update.name if update else ref or (repository.branch or "HEAD"))
    notes = (*_uncommitted(repository, objects),) if ref is None else ()
    return Shipped(
        repository=repository,
        snapshot=snapshot,
        settings=settings,
        environment=chosen,
        commit=commit,
        subject=_subject(repository, commit),
        notes=notes,
    )


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of an environment's settings: equal ones have equal digests."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def working_settings(repository: Repository) -> Settings | None:
    """The settings of the working tree as it is now; None where they can't be read."""
    try:
        return read_settings(files.read_worktree(repository, FILE))
    except SparkiError:
        return None


def _environment(repository: Repository, settings: Settings, name: str, ref: str | None) -> Environment:
    known = settings.deploying.environments
    if name in known:
        return known[name]
    where = f"{FILE} at {ref or 'HEAD'}"
    working = working_settings(repository)
    if working is not None and name in working.deploying.environments:
        message = f"the environment '{name}' is in the working tree's {FILE} alone, not in {where}"
        problem = Problem(
            code="environment_not_committed",
            message=message,
            at=working.deploying.environments[name].at,
            hint=f"commit it: git add {FILE} && git commit",
        )
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    hint = did_you_mean(name, known) or (f"there are: {', '.join(known)}" if known else f"{FILE} has no `environments:`")
    raise SparkiError(
        Problem(code="unknown_environment", message=f"{where} has no environment '{name}'", hint=hint), exit_code=ExitCode.NOT_FOUND
    )


def _refuse_branch(repository: Repository, environment: Environment, commit: str, asked: str) -> None:
    """A commit may go where one of the branches or tags that have it in their history may."""
    patterns = environment.settings.get("branches")
    if not patterns:
        return
    listed = git.run(["for-each-ref", "--contains", commit, "--format=%(refname)", "refs/heads", "refs/tags"], cwd=repository.root)
    names = [ref.split("/", 2)[2] for ref in os.fsdecode(listed.checked()).split()]
    if any(matches(name, patterns) for name in names):
        return
    allowed = ", ".join(patterns)
    problem = Problem(
        code="branch_not_allowed",
        message=f"{asked.removeprefix('refs/heads/')} may not be deployed to '{environment.name}', only {allowed}",
        at=environment.where("branches"),
        hint="merge it into one of these first",
    )
    raise SparkiError(problem, exit_code=ExitCode.NOT_ALLOWED)


def _uncommitted(repository: Repository, objects: str) -> list[Problem]:
    with Scratch(repository, objects) as scratch:
        status = git.run(STATUS, cwd=repository.root, env=scratch.env(with_objects=True)).checked()
    changes = parse(status)
    paths = sorted({*(change.path for change in changes.files), *changes.unmerged})
    if not paths and not changes.staged:
        return []
    named = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
    message = f"uncommitted changes are not shipped: {named}" if paths else "staged changes are not shipped"
    return [Problem(code="uncommitted_changes", message=message, hint="commit them, and deploy again")]


def _subject(repository: Repository, commit: str) -> str:
    body = read_commit(repository.common_dir, repository.objects, commit)
    return body.partition(b"\n\n")[2].decode("utf-8", "replace").partition("\n")[0]
