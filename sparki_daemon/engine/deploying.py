"""All that the engine does about deployments, put together: what the API asks, and what follows from events."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from sparki_daemon.engine.api.checks import with_defaults
from sparki_daemon.engine.api.shapes import START
from sparki_daemon.engine.subsystems.awaiting import Awaiting
from sparki_daemon.engine.subsystems.deploy_plan import DeployPlan
from sparki_daemon.engine.subsystems.environments import Environments
from sparki_daemon.engine.subsystems.keep_releases import KeepReleases
from sparki_daemon.engine.subsystems.loco import Deployments
from sparki_daemon.engine.subsystems.releasing import Releasing
from sparki_daemon.engine.subsystems.run import Runs
from sparki_daemon.loco.asking import Load
from sparki_daemon.queue.protocol import Queue
from sparki_daemon.store.protocol import Store


class Deploying:
    """Fills `DeployPort`. `load` gives an adapter by its name: the composition root picks it, since the engine performs no deployment."""

    def __init__(self, home: str, store: Store, queue: Queue, runs: Runs, load: Load) -> None:
        self._home = home
        releasing = Releasing(home, load)
        self._deployments = Deployments(store, queue, releasing)
        self._environments = Environments(store, releasing)
        self._plan = DeployPlan(store, releasing)
        self.awaiting = Awaiting(store, queue, releasing, lambda request: runs.start(with_defaults(START, request), None), home)
        self.keep = KeepReleases(store, releasing)

    async def deploy(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        """As the API has it. Inside the engine `request` may also name runs that must be green first: `awaits`, a list of ids."""
        answer = await self._deployments.deploy(request, idempotency_key, self.awaiting.artifact)
        await self.awaiting.settle()  # the run may have ended before the row said that it is waited for
        return answer

    async def plan(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._plan.of(request)

    async def rollback(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        return await self._deployments.rollback(request, idempotency_key)

    async def promote(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        return await self._deployments.promote(request, idempotency_key)

    async def listing(self, *, directory: str | None, environment: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._deployments.listing(directory=directory, environment=environment, limit=limit)

    async def show(self, deployment: str) -> dict[str, Any]:
        return await self._deployments.show(deployment)

    async def log(self, deployment: str) -> str:
        found = await self._deployments.show(deployment)
        return os.path.join(self._home, "logs", found["id"], "deployment.log")

    async def cancel(self, deployment: str, *, keep: bool) -> dict[str, Any]:
        return await self._deployments.cancel(deployment, keep=keep)

    async def approve(self, deployment: str) -> dict[str, Any]:
        return await self._deployments.approve(deployment)

    async def resolve(self, deployment: str, outcome: str) -> dict[str, Any]:
        return await self._deployments.resolve(deployment, outcome)

    async def environments(self, directory: str) -> list[dict[str, Any]]:
        return await self._environments.listing(directory)

    async def environment(self, directory: str, name: str) -> dict[str, Any]:
        return await self._environments.show(directory, name)

    async def releases(self, directory: str, name: str, limit: int) -> list[dict[str, Any]]:
        return await self._environments.releases(directory, name, limit)

    async def service_log(self, directory: str, name: str, *, release: str, follow: bool) -> AsyncIterator[str]:
        return await self._environments.logs(directory, name, release=release, follow=follow)

    async def execute(self, directory: str, name: str, command: Sequence[str]) -> Callable[[Callable[[str], None]], Awaitable[int]]:
        return await self._environments.execution(directory, name, command)

    async def maintenance(self, directory: str, name: str, *, on: bool) -> dict[str, Any]:
        return await self._environments.maintenance(directory, name, on=on)

    async def down(self, directory: str, name: str) -> dict[str, Any]:
        return await self._environments.down(directory, name)
