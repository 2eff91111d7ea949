"""A run's deployments: what a run's own view asks for, which loads nothing of how deployments go."""

from __future__ import annotations

from sparki_daemon.store.protocol import Tx

OF_RUN = "SELECT id FROM deployments WHERE run = :run ORDER BY seq DESC LIMIT 100"


async def deployments_of_run(tx: Tx, run: str) -> list[str]:
    """The deployments of what a run made or proved, the newest first."""
    return [row["id"] for row in await tx.all(OF_RUN, run=run)]
