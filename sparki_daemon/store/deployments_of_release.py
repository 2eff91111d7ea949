"""What became of an environment's releases: what `sparki releases` and a rollback ask."""

from __future__ import annotations

from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.store.protocol import Tx

OF = "SELECT release, state FROM deployments WHERE project = :project AND environment = :environment ORDER BY seq DESC"
ONCE_LIVE = """
    SELECT release FROM deployments WHERE project = :project AND environment = :environment AND state = 'live'
    GROUP BY release ORDER BY max(seq) DESC
"""


async def states_of(tx: Tx, project: str, environment: str) -> dict[str, list[DeploymentState]]:
    """Release → how its deployments stand, the newest first; without those that were never to be deployed."""
    found: dict[str, list[DeploymentState]] = {}
    for row in await tx.all(OF, project=project, environment=environment):
        found.setdefault(row["release"], []).append(DeploymentState(row["state"]))
    return found


async def once_live(tx: Tx, project: str, environment: str) -> list[str]:
    """The releases that some deployment has brought live, the latest first."""
    return [row["release"] for row in await tx.all(ONCE_LIVE, project=project, environment=environment)]
