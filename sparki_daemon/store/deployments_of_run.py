"""A run's deployments: what a run's own view asks for, which loads nothing of how deployments go."""

from __future__ import annotations

from collections.abc import Iterable

from sparki_daemon.store.protocol import Tx

OF_RUN = """
    SELECT d.id FROM deployment_runs r JOIN deployments d ON d.id = r.deployment WHERE r.run = :run ORDER BY d.seq DESC LIMIT 100
"""
ADD = "INSERT INTO deployment_runs (run, deployment) VALUES (:run, :deployment)"


async def deployments_of_run(tx: Tx, run: str) -> list[str]:
    """The deployments of what a run made or proved, the newest first."""
    return [row["id"] for row in await tx.all(OF_RUN, run=run)]


async def add_runs(tx: Tx, deployment: str, runs: Iterable[str]) -> None:
    """Note the runs that make or prove what a new deployment brings."""
    for run in dict.fromkeys(runs):
        await tx.execute(ADD, run=run, deployment=deployment)
