"""All that the engine does about bound repositories, put together: what the API asks, and what follows from events."""

from __future__ import annotations

from typing import Any

from sparki_daemon.engine.subsystems.binds import Binds
from sparki_daemon.engine.subsystems.pushes import FORGOTTEN_S, Ask, Pushes
from sparki_daemon.store.protocol import Store


class Binding:
    """Fills `BindPort`. `start_runs` and `deploy` are those of the engine."""

    def __init__(self, home: str, store: Store, start_runs: Ask, deploy: Ask) -> None:
        self._pushes = Pushes(home, store, start_runs, deploy)
        self._binds = Binds(home, store, self._pushes)

    async def bind(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._binds.bind(request)

    async def unbind(self, directory: str) -> dict[str, Any]:
        return await self._binds.unbind(directory)

    async def receive(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._pushes.receive(request["project"], request["push"], request["env"])

    async def recover(self) -> None:
        """At a start: see to what was pushed while nobody was there."""
        await self._pushes.recover()
        await self._binds.sweep()

    async def settle(self) -> None:
        """Something has ended: what waited for that may go; pushes whose hook was killed are seen to."""
        await self._binds.sweep()
        await self._pushes.recover(older_than_s=FORGOTTEN_S)
