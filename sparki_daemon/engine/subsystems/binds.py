"""Binds a repository to its project: a remote whose pushes are run and deployed, and hooks; takes all of it away again."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from sparki_daemon.engine.subsystems.pushes import Pushes
from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.source import binding, repository
from sparki_daemon.source.binding import Starting
from sparki_daemon.source.bound import Bind, all_binds, git_dir_of, read_bind
from sparki_daemon.store import deployments, projects, runs
from sparki_daemon.store.protocol import Store, Tx

log = logging.getLogger("sparki.bind")


class Binds:
    """Fills `BindPort`."""

    def __init__(self, home: str, store: Store, pushes: Pushes) -> None:
        self._home = home
        self._store = store
        self._pushes = pushes
        self._changing = asyncio.Lock()  # two at once would write one config
        self._leaving: set[str] = {bind.project for bind in all_binds(home) if bind.unbound}

    async def bind(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Bind a repository, or mend its bind. Raises SparkiError as `binding.make` does, and `no_repository`."""
        own = await asyncio.to_thread(repository.find, request["directory"])
        project = await self._store.write(lambda tx: projects.find_or_add(tx, own.common_dir, fresh=f"p-{secrets.token_hex(4)}"))
        starting = Starting(command=request["command"], variables=request["variables"])
        async with self._changing:
            known = read_bind(git_dir_of(self._home, project))
            was = known is not None and not known.unbound
            made = await asyncio.to_thread(binding.make, self._home, project, own, request["remote"], request["pre_push"], starting)
            self._leaving.discard(project)
        await self._pushes.recover(older_than_s=1.0)
        return {**_view(made), "new": not was}

    async def unbind(self, directory: str) -> dict[str, Any]:
        """Take everything away again; the bare repository stays while something runs from it. Raises SparkiError `not_bound`."""
        own = await asyncio.to_thread(repository.find, directory)
        project = await self._store.read(lambda tx: projects.find(tx, own.common_dir))
        bind = read_bind(git_dir_of(self._home, project)) if project else None
        if bind is None or bind.unbound:
            problem = Problem(code="not_bound", message="this repository is not bound", hint="sparki bind binds it")
            raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
        await self._pushes.recover()
        async with self._changing:
            await asyncio.to_thread(binding.unmake, replace(bind, directory=own.root))
            self._leaving.add(bind.project)
        return {**_view(bind), "removed": not await self.sweep()}

    async def sweep(self) -> list[str]:
        """Remove the bare repositories of binds that are no more and that nothing runs from; those that are left."""
        if not self._leaving:
            return []
        async with self._changing:
            busy = await self._store.read(_busy)
            for project in sorted(self._leaving - busy):
                bind = read_bind(git_dir_of(self._home, project))
                left = await asyncio.to_thread(binding.remove, bind) if bind and bind.unbound else []
                if left:
                    log.warning("could not be removed: %s", "; ".join(left[:5]))
                self._leaving.discard(project)
            return sorted(self._leaving)


async def _busy(tx: Tx) -> set[str]:
    """The projects with something under way."""
    return {row.project for row in await runs.active(tx)} | {row.project for row in await deployments.unfinished(tx)}


def _view(bind: Bind) -> dict[str, Any]:
    return {"project": bind.project, "remote": bind.remote, "address": bind.git_dir, "pre_push": list(bind.pre_push)}
