"""Makes releases: a commit's own archive and settings, checked against what the adapter, the vault and the branch rules want first."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets as chance
import tarfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from sparki_daemon.loco.asking import Load, adapter_problems
from sparki_daemon.loco.protocol import Adapter, Place
from sparki_daemon.loco.settings import folder_of
from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.prepare.releasing import Shipped, settings_digest, shipped
from sparki_daemon.source import files, git
from sparki_daemon.source.export import add_stream, write_archive
from sparki_daemon.source.push import Update
from sparki_daemon.store.archives import Archive, Archives
from sparki_daemon.store.artifacts import Artifact
from sparki_daemon.store.releases import NewRelease
from sparki_daemon.system.links import outward
from sparki_daemon.vault.store import Secrets

SOURCE = "source"


def own_name() -> str:
    """Who asks: only this user's own processes reach the socket, so it is the name of the account that the engine runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account that no database knows
        return str(os.getuid())


@dataclass(frozen=True, slots=True)
class Wanted:
    """The artifact that an environment's settings ask for; `job` empty: the source itself."""

    job: str = ""
    name: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Wanted:
        word = settings.get("artifact") or SOURCE
        return cls() if word == SOURCE else cls(*word.split("/", 1))


class Releasing:
    """Turns a request into what a release is made of. `load` gives an adapter by its name."""

    def __init__(self, home: str, load: Load) -> None:
        self._home = home
        self._load = load
        self.archives = Archives(os.path.join(home, "releases"))
        self.keeping = asyncio.Lock()  # from the archive to the row that names it: what no row names is swept

    async def shipped(self, directory: str, environment: str, ref: str | None, update: Update | None = None) -> Shipped:
        """The commit with its settings, as `prepare.releasing.shipped` finds them."""
        objects = os.path.join(self._home, "snapshots", chance.token_hex(8))
        return await asyncio.to_thread(shipped, directory, environment, ref=ref, objects=objects, update=update)

    async def check(self, source: Shipped, project: str) -> None:
        """Refuse what can't go well. Raises SparkiError with every problem: `unknown_adapter`, `secret_not_set`, what the adapter says."""
        found = await asyncio.to_thread(self._problems, source, project)
        if found:
            raise SparkiError(*found)

    def adapter(self, name: str) -> Adapter:
        """Raises SparkiError `unknown_adapter`."""
        return self._load(name)

    def place(self, project: str, environment: str, settings: Mapping[str, Any]) -> Place:
        return Place(project=project, environment=environment, folder=folder_of(self._home, project, environment), settings=settings)

    def _problems(self, source: Shipped, project: str) -> list[Problem]:
        environment = source.environment
        found = adapter_problems(environment, self.place(project, environment.name, environment.settings), self._load)
        if not Wanted.of(environment.settings).job:  # an artifact of a run has no links in it
            found += [_leads_out(path, target) for path, target in outward(files.links(source.snapshot)).items()]
        names = environment.settings.get("secrets") or ()
        known = Secrets(self._home).places(source.repository.project_dir) if names else {}
        for index, name in enumerate(names):
            if name not in known:
                message = f"the secret '{name}' of environment '{environment.name}' has no value"
                at = environment.where(f"secrets.{index}")
                found.append(Problem(code="secret_not_set", message=message, at=at, hint=f"sparki secret set {name}"))
        return found

    async def source_artifact(self, source: Shipped) -> dict[str, Any]:
        """The commit's files, kept in an archive of the release's own. Raises SparkiError: `missing_submodule`, `disk_full`."""
        kept = await asyncio.to_thread(self._keep, lambda out: write_archive(source.snapshot, out))
        return artifact_json(SOURCE, kept)

    async def run_artifact(self, artifact: Artifact) -> dict[str, Any]:
        """An artifact of a run, kept in an archive of the release's own: the run may be swept."""
        kept = await asyncio.to_thread(self._keep, lambda out: _write_files(artifact, out))
        return {**artifact_json("artifact", kept), "job": artifact.job, "name": artifact.name}

    def _keep(self, write: Callable[[BinaryIO], None]) -> Archive:
        try:
            return self.archives.keep(write)
        except OSError as error:
            raise git.os_problem(error, "the release can't be kept") from error


def _leads_out(path: str, target: str) -> Problem:
    message = f"a release has everything in it, and '{path}' is a symbolic link that leads out of it, to '{target}'"
    hint = "commit what it leads to, or have `release_command` or `command` make the link"
    return Problem(code="link_leads_out", message=message, hint=hint)


def new_release(source: Shipped, *, project: str, artifact: Mapping[str, Any], run: str, author: str) -> NewRelease:
    """The row of a release that is made of `source`."""
    settings = source.environment.settings
    return NewRelease(
        id=fresh("v"),
        project=project,
        environment=source.environment.name,
        commit=source.commit,
        tree=source.snapshot.tree,
        subject=source.subject,
        run=run,
        artifact=artifact,
        settings=settings,
        settings_digest=settings_digest(settings),
        secrets=tuple(settings.get("secrets") or ()),
        author=author,
    )


def fresh(kind: str) -> str:
    """A new id of that kind."""
    return f"{kind}-{chance.token_hex(4)}"


def artifact_json(kind: str, kept: Archive) -> dict[str, Any]:
    return {"kind": kind, "digest": kept.digest, "path": kept.path, "bytes": kept.size_bytes}


def _write_files(artifact: Artifact, out: BinaryIO) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for index, (path, size, _) in enumerate(artifact.files):
            with open(artifact.file(index), "rb") as file:
                add_stream(archive, path, file, size)


def no_such_environment(name: str) -> SparkiError:
    problem = Problem(
        code="no_such_environment", message=f"nothing was ever deployed to '{name}' here", hint=f"sparki deploy {name}, or sparki env ls"
    )
    return SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
