"""Environments: what is live, whether it is well, how it differs from what was released; and what people do to one beside deploying."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from sparki_daemon.engine.deploy_views import release_line
from sparki_daemon.engine.subsystems.going_back import live_release, refused
from sparki_daemon.engine.subsystems.releasing import Releasing, no_such_environment
from sparki_daemon.loco.protocol import Adapter, Comparing, Observed, Place, Release, Reviving, StepFailed
from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.model.problem import ExitCode, SparkiError
from sparki_daemon.prepare.releasing import working_settings
from sparki_daemon.source import repository
from sparki_daemon.source.repository import Repository
from sparki_daemon.store import deployments, environments, projects, releases
from sparki_daemon.store.deployments_of_release import states_of
from sparki_daemon.store.environments import EnvironmentRow
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import ReleaseRow

OBSERVE_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class _Known:
    row: EnvironmentRow
    live: ReleaseRow | None
    deploying: str


class Environments:
    """Looks at environments by their adapters."""

    def __init__(self, store: Store, releasing: Releasing) -> None:
        self._store = store
        self._releasing = releasing

    async def listing(self, directory: str) -> list[dict[str, Any]]:
        """Those that something was deployed to, and those that the working tree's sparki.yml has."""
        found = await asyncio.to_thread(repository.find, directory)
        project = await self._store.read(lambda tx: projects.find(tx, found.common_dir))
        known = await self._store.read(lambda tx: _all(tx, project)) if project else {}
        await asyncio.gather(*(self._observed(one) for one in known.values() if self._may_be_gone(one)))  # who looks revives it
        settings = await asyncio.to_thread(working_settings, found)
        planned = settings.deploying.environments if settings else {}
        lines = [_line(name, planned[name].settings.get("adapter", ""), known.get(name)) for name in planned]
        return lines + [_line(name, one.row.adapter, one) for name, one in known.items() if name not in planned]

    async def show(self, directory: str, name: str) -> dict[str, Any]:
        """One, looked at now. Raises SparkiError `no_such_environment`."""
        found = await asyncio.to_thread(repository.find, directory)
        known = await self._known(found, name)
        settings = await asyncio.to_thread(working_settings, found)
        planned = settings.deploying.environments.get(name) if settings else None
        if known is None and planned is None:
            raise no_such_environment(name)
        adapter = known.row.adapter if known else str(planned.settings.get("adapter", "") if planned else "")
        observed = await self._observed(known) if known else Observed(release="", healthy=None)
        live = known.live if known else None
        return {
            "name": name,
            "adapter": adapter,
            "url": observed.url or None,
            "live": None
            if known is None or live is None
            else {
                "release": live.id,
                "number": live.number,
                "commit": live.commit,
                "subject": live.subject,
                "since": known.row.since,
                "healthy": observed.healthy,
            },
            "deploying": (known.deploying or None) if known else None,
            "maintenance": known.row.maintenance if known else False,
            "drift": await self._drift(known, observed) if known else [],
            "facts": dict(observed.facts),
        }

    async def releases(self, directory: str, name: str, limit: int) -> list[dict[str, Any]]:
        """The releases of one, the newest first. Raises SparkiError `no_such_environment`."""
        known = await self._known(await asyncio.to_thread(repository.find, directory), name)
        if known is None:
            raise no_such_environment(name)
        row = known.row
        rows, states = await self._store.read(lambda tx: _releases(tx, row.project, name, limit))
        return [release_line(one, live=row.live, states=states.get(one.id, ())) for one in rows]

    async def logs(self, directory: str, name: str, *, release: str, follow: bool) -> AsyncIterator[str]:
        """The service's own lines. Raises SparkiError: `nothing_live`, `not_supported`."""
        adapter, place, live = await self._live(directory, name, "logs")
        if release:
            found = await self._store.read(lambda tx: releases.find(tx, release, project=live.project, environment=name))
            return adapter.logs(place, release=found.id, follow=follow)
        return adapter.logs(place, release=live.id, follow=follow)

    async def execution(self, directory: str, name: str, command: Sequence[str]) -> Callable[[Callable[[str], None]], Awaitable[int]]:
        """What runs a command beside what is live, once it is called with who is told its lines: an awaitable of its exit code."""
        adapter, place, _ = await self._live(directory, name, "exec")

        async def run(tell: Callable[[str], None]) -> int:
            with _platform():
                return await adapter.execute(place, command, tell)

        return run

    async def maintenance(self, directory: str, name: str, *, on: bool) -> dict[str, Any]:
        """Answer everyone with a notice, or no longer."""
        adapter, place, _ = await self._live(directory, name, "maintenance")
        with _platform():
            await adapter.maintenance(place, on=on)
        await self._store.write(lambda tx: environments.set_maintenance(tx, place.project, name, on=on))
        return await self.show(directory, name)

    async def down(self, directory: str, name: str) -> dict[str, Any]:
        """End the service; releases stay. Raises SparkiError `deploying` while a deployment is under way."""
        known = await self._known(await asyncio.to_thread(repository.find, directory), name)
        if known is None:
            raise no_such_environment(name)
        if known.deploying:
            raise refused("deploying", f"{known.deploying} is under way in '{name}'", hint=f"sparki cancel {known.deploying}")
        adapter = self._able(known.row.adapter, "down")
        settings = known.live.settings if known.live else {}
        with _platform():
            await adapter.down(self._releasing.place(known.row.project, name, settings))
        row = known.row
        await self._store.write(lambda tx: environments.set_live(tx, row.project, name, release="", deployment=row.deployment))
        return await self.show(directory, name)

    async def _live(self, directory: str, name: str, what: str) -> tuple[Adapter, Place, ReleaseRow]:
        known = await self._known(await asyncio.to_thread(repository.find, directory), name)
        if known is None:
            raise no_such_environment(name)
        row = known.row
        live = await self._store.read(lambda tx: live_release(tx, row.project, name))
        return self._able(row.adapter, what), self._releasing.place(row.project, name, live.settings), live

    def _able(self, name: str, what: str) -> Adapter:
        adapter = self._releasing.adapter(name)
        if not getattr(adapter.capabilities, what):
            raise refused("not_supported", f"the adapter '{name}' has no `sparki env {what}`")
        return adapter

    async def _known(self, found: Repository, name: str) -> _Known | None:
        async def read(tx: Tx) -> _Known | None:
            project = await projects.find(tx, found.common_dir)
            row = await environments.get(tx, project, name) if project else None
            return await _known(tx, row) if row else None

        return await self._store.read(read)

    def _may_be_gone(self, known: _Known) -> bool:
        """Whether something is live that nobody but Sparki starts again. An adapter that can't be loaded is told where it is needed."""
        with contextlib.suppress(SparkiError):
            return known.live is not None and isinstance(self._releasing.adapter(known.row.adapter), Reviving)
        return False

    async def _observed(self, known: _Known) -> Observed:
        try:
            adapter = self._releasing.adapter(known.row.adapter)
            settings = known.live.settings if known.live else {}
            async with asyncio.timeout(OBSERVE_LIMIT_S):
                return await adapter.observe(self._releasing.place(known.row.project, known.row.name, settings))
        except (SparkiError, StepFailed) as error:
            return Observed(release="", healthy=None, facts={"error": str(error)})
        except TimeoutError:
            return Observed(release="", healthy=None, facts={"error": f"no answer within {OBSERVE_LIMIT_S:.0f} s"})

    async def _drift(self, known: _Known, observed: Observed) -> list[dict[str, Any]]:
        """How what is live differs from what was released; a platform that can't be asked has told so in its facts."""
        live, row = known.live, known.row
        if live is None or (not observed.release and "error" in observed.facts):
            return []
        found = drift(live, observed)
        with contextlib.suppress(SparkiError, StepFailed, TimeoutError):
            adapter = self._releasing.adapter(row.adapter)
            if isinstance(adapter, Comparing):
                async with asyncio.timeout(OBSERVE_LIMIT_S):
                    more = await adapter.drift(self._releasing.place(row.project, row.name, live.settings), _release(live))
                found += [{"what": one.what, "released": one.released, "live": one.live} for one in more]
        return found


def _release(row: ReleaseRow) -> Release:
    return Release(
        id=row.id, number=row.number, commit=row.commit, tree=row.tree, artifact=row.artifact, settings=row.settings, secrets=row.secrets
    )


@contextlib.contextmanager
def _platform() -> Iterator[None]:
    """What an adapter could not do is told as such. Raises SparkiError `not_done`."""
    try:
        yield
    except StepFailed as failed:
        raise refused("not_done", str(failed), exit_code=ExitCode.RED) from failed


def drift(live: ReleaseRow, observed: Observed) -> list[dict[str, Any]]:
    """How what is live differs from what was released, as far as the platform tells; variables one by one, by name."""
    found: list[dict[str, Any]] = []
    if observed.release and observed.release != live.id:
        found.append({"what": "release", "released": live.id, "live": observed.release})
    for key, value in observed.settings.items():
        released = live.settings.get(key)
        if isinstance(value, Mapping):
            was: Mapping[str, Any] = released if isinstance(released, Mapping) else {}
            names = sorted({*value, *was})
            found += [
                {"what": f"{key}.{name}", "released": was.get(name), "live": value.get(name)}
                for name in names
                if was.get(name) != value.get(name)
            ]
        elif value != released:
            found.append({"what": key, "released": released, "live": value})
    return found


async def _releases(tx: Tx, project: str, name: str, limit: int) -> tuple[list[ReleaseRow], dict[str, list[DeploymentState]]]:
    return await releases.of_environment(tx, project, name, limit=limit), await states_of(tx, project, name)


async def _all(tx: Tx, project: str) -> dict[str, _Known]:
    return {row.name: await _known(tx, row) for row in await environments.of_project(tx, project)}


async def _known(tx: Tx, row: EnvironmentRow) -> _Known:
    holder = await deployments.target_holder(tx, f"{row.project}/{row.name}")
    return _Known(row, await releases.get(tx, row.live) if row.live else None, holder or "")


def _line(name: str, adapter: str, known: _Known | None) -> dict[str, Any]:
    live = known.live if known else None
    return {
        "name": name,
        "adapter": adapter,
        "live": live.id if live else None,
        "number": live.number if live else None,
        "commit": live.commit if live else None,
        "since": known.row.since if known and live else None,
        "deploying": (known.deploying or None) if known else None,
        "maintenance": known.row.maintenance if known else False,
    }
