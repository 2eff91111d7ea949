"""Brings an environment back after its machine was restarted: its keeper starts what ran, and is given the values that only memory had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sparki_daemon.loco.adapters.process.door import ask_anyhow, state_of


async def revive(folder: str, values: Callable[[str], Awaitable[Mapping[str, str]]]) -> Sequence[str]:
    """Have the keeper run, and every service that its file tells of; those that waited for values. Raises StepFailed."""
    if not (await asyncio.to_thread(state_of, folder)).services:
        return []
    status = await asyncio.to_thread(ask_anyhow, folder, lambda keeper: keeper.status())
    waiting = [release for release, service in status.services.items() if service.condition == "needs_values"]
    for release in waiting:
        secrets = await values(release)
        await asyncio.to_thread(ask_anyhow, folder, lambda keeper, of=release, secrets=secrets: keeper.give_values(of, secrets))
    return waiting
