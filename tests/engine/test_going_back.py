"""What a rollback goes back to, and what `sparki releases` tells of each release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparki_daemon.engine.deploy_views import release_line
from sparki_daemon.engine.subsystems.going_back import before_live
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.deployments import NewDeployment
from sparki_daemon.store.deployments_of_release import once_live, states_of
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.releases import NewRelease
from sparki_daemon.store.sqlite import SqliteStore

KIND = {"project": "p-1", "environment": "staging"}


class House:
    """Releases of an environment, and deployments of them that have ended in one way or the other."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.made = 0

    async def release(self, number: int) -> None:
        about = {"commit": "c", "tree": "t", "subject": "", "run": "", "settings_digest": "", "author": "ann"}
        new = NewRelease(id=f"v-{number}", **KIND, **about, artifact={}, settings={"adapter": "twin"}, secrets=())
        await self.store.write(lambda tx: environments.find_or_add(tx, "p-1", "staging", adapter="twin"))
        await self.store.write(lambda tx: releases.create(tx, new))

    async def deployed(self, number: int, how: DeploymentState) -> None:
        self.made += 1
        name = f"d-{self.made}"

        async def work(tx: Tx) -> None:
            await deployments.create(tx, NewDeployment(id=name, target="t", release=f"v-{number}", **KIND))
            if how.terminal:
                assert await deployments.drop(tx, name, "", state=how)
            if how is DeploymentState.LIVE:
                await environments.set_live(tx, "p-1", "staging", release=f"v-{number}", deployment=name)

        await self.store.write(work)

    async def down(self) -> None:
        await self.store.write(lambda tx: environments.set_live(tx, "p-1", "staging", release="", deployment=""))

    async def back(self) -> str:
        return (await self.store.read(lambda tx: before_live(tx, "p-1", "staging"))).id

    async def refusal(self) -> Problem:
        with pytest.raises(SparkiError) as caught:
            await self.back()
        return caught.value.problems[0]

    async def listed(self) -> dict[int, tuple[str, str | None]]:
        row = await self.store.read(lambda tx: environments.get(tx, "p-1", "staging"))
        states = await self.store.read(lambda tx: states_of(tx, "p-1", "staging"))
        rows = await self.store.read(lambda tx: releases.of_environment(tx, "p-1", "staging"))
        assert row is not None
        lines = [release_line(one, live=row.live, states=states.get(one.id, ())) for one in rows]
        return {line["number"]: (line["state"], line["status"]) for line in lines}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    made = House(store)
    for number in range(1, 6):
        await made.release(number)
    yield made
    await store.close()


async def test_the_release_that_was_live_last_before_the_present_one_is_gone_back_to(house: House) -> None:
    for number, how in ((1, DeploymentState.LIVE), (2, DeploymentState.LIVE), (3, DeploymentState.FAILED), (4, DeploymentState.LIVE)):
        await house.deployed(number, how)
    await house.deployed(5, DeploymentState.REVERTED)

    assert await house.back() == "v-2"
    assert await house.store.read(lambda tx: once_live(tx, "p-1", "staging")) == ["v-4", "v-2", "v-1"]


async def test_after_the_environment_is_down_the_one_that_was_live_last_is_named(house: House) -> None:
    await house.deployed(1, DeploymentState.LIVE)
    await house.deployed(2, DeploymentState.LIVE)
    await house.deployed(3, DeploymentState.FAILED)
    await house.down()

    problem = await house.refusal()
    assert (problem.code, problem.hint) == ("nothing_live", "to bring back what was live last: sparki rollback staging 2")
    await house.store.write(lambda tx: releases.prune(tx, "v-2"))
    assert (await house.refusal()).hint == "sparki deploy staging"


async def test_where_nothing_was_live_before_that_is_said(house: House) -> None:
    assert (await house.refusal()).code == "nothing_live"
    await house.deployed(1, DeploymentState.LIVE)
    assert (await house.refusal()).code == "nothing_before"


async def test_each_release_is_live_was_live_never_was_or_is_pruned_and_how_its_last_deployment_stands(house: House) -> None:
    await house.deployed(1, DeploymentState.LIVE)
    await house.deployed(2, DeploymentState.LIVE)
    await house.deployed(3, DeploymentState.REVERTED)
    await house.deployed(4, DeploymentState.LIVE)
    await house.deployed(2, DeploymentState.QUEUED)
    await house.store.write(lambda tx: releases.prune(tx, "v-1"))

    assert await house.listed() == {
        1: ("pruned", "live"),
        2: ("was_live", "queued"),
        3: ("never_live", "reverted"),
        4: ("live", "live"),
        5: ("never_live", None),
    }
