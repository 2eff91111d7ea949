"""Where deployments are driven by hand: a store with deployments in it, and drivers over a platform's twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin import Platform, TwinAdapter

from sparki_daemon.loco.driver import Asked, Driver
from sparki_daemon.loco.protocol import Place, Release, Steps, Work
from sparki_daemon.model.deployment import Saga
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.deployments import DeploymentRow, NewDeployment
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import NewRelease, ReleaseRow


@dataclass
class Yard:
    """Where deployments are driven by hand. The platform and the store outlive every driver."""

    store: Store
    platform: Platform
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)  # of every release
    artifact: Mapping[str, Any] = field(default_factory=lambda: {"kind": "source"})
    made: int = 0

    async def deployment(self, environment: str = "staging") -> str:
        """A new deployment of a new release; their ids bear the same number."""
        self.made += 1
        number = self.made

        async def work(tx: Tx) -> str:
            await environments.find_or_add(tx, "p-1", environment, adapter="twin")
            await releases.create(
                tx,
                NewRelease(
                    id=f"v-{number}",
                    project="p-1",
                    environment=environment,
                    commit=f"{number:040}",
                    tree="t",
                    subject="",
                    run="",
                    artifact=self.artifact,
                    settings=self.settings,
                    settings_digest="",
                    secrets=(),
                    author="ann",
                ),
            )
            new = NewDeployment(
                id=f"d-{number}", project="p-1", environment=environment, target=f"p-1/{environment}", release=f"v-{number}"
            )
            return (await deployments.create(tx, new)).id

        return await self.store.write(work)

    async def drive(self, deployment: str, adapter: Steps | None = None, asked: Asked | None = None) -> Saga:
        """Claim a deployment and bring it on, as a loco that has just started does. Raises what the adapter dies of."""
        driver = await self.driver(deployment, adapter, asked)
        return await driver.run()

    async def driver(
        self, deployment: str, adapter: Steps | None = None, asked: Asked | None = None, *, kind: type[Driver] = Driver
    ) -> Driver:
        async def work(tx: Tx) -> tuple[DeploymentRow, Saga, ReleaseRow, ReleaseRow | None, Mapping[str, Any]]:
            known = await deployments.get(tx, deployment)
            assert known is not None
            live = await environments.get(tx, "p-1", known.environment)
            claimed = await deployments.claim(tx, deployment, "l1", previous=live.live if live else "")
            assert claimed is not None
            row, saga = claimed
            release, previous = await releases.get(tx, row.release), await releases.get(tx, row.previous)
            assert release is not None
            return row, saga, release, previous, {move.step: move.data for move in await deployments.moves_of(tx, deployment)}

        row, saga, release, previous, results = await self.store.write(work)

        async def secrets() -> Mapping[str, str]:
            return {}

        place = Place(project="p-1", environment=row.environment, folder=str(self.folder), settings=release.settings)
        made = Work(
            deployment=deployment,
            epoch=row.epoch,
            place=place,
            release=_release(release),
            previous=_release(previous) if previous else None,
            results=results,
            secrets=secrets,
            tell=lambda _: None,
            log=str(self.folder / "log"),
        )
        return kind(self.store, adapter or TwinAdapter(self.platform), row, saga, made, asked or Asked(row.asked))

    async def state(self, deployment: str) -> str:
        row = await self.store.read(lambda tx: deployments.get(tx, deployment))
        assert row is not None
        return row.state.value

    async def live(self, environment: str = "staging") -> str:
        row = await self.store.read(lambda tx: environments.get(tx, "p-1", environment))
        return row.live if row else ""


def _release(row: ReleaseRow) -> Release:
    return Release(
        id=row.id, number=row.number, commit=row.commit, tree=row.tree, artifact=row.artifact, settings=row.settings, secrets=row.secrets
    )
