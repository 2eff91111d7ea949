"""How deployments, releases and environments are kept: one at a target, fenced, replayed from what was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sparki_daemon.model.deployment import STEPS, Act, DeploymentState, SagaEvent, next_act
from sparki_daemon.model.job import IllegalMove
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.store import deployments, environments, journal, releases
from sparki_daemon.store.deployments import DeploymentRow, Fenced, NewDeployment
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import NewRelease, ReleaseRow

E = SagaEvent
Maker = Callable[..., Awaitable[DeploymentRow]]


async def a_release(store: Store, ident: str = "v-1", environment: str = "staging", project: str = "p-1") -> ReleaseRow:
    new = NewRelease(
        id=ident,
        project=project,
        environment=environment,
        commit="c" * 40,
        tree="t" * 40,
        subject="fix tax",
        run="",
        artifact={"kind": "source", "digest": "d"},
        settings={"adapter": "process"},
        settings_digest="s",
        secrets=("DATABASE_URL",),
        author="ann",
    )
    return await store.write(lambda tx: releases.create(tx, new))


@pytest.fixture
def deploy(store: Store) -> Maker:
    async def make(ident: str = "d-1", environment: str = "staging", target: str = "", **more: Any) -> DeploymentRow:
        release = f"v-{ident[2:]}"
        await a_release(store, release, environment)
        new = NewDeployment(
            id=ident, project="p-1", environment=environment, target=target or f"p-1/{environment}", release=release, author="ann", **more
        )
        return await store.write(lambda tx: deployments.create(tx, new))

    return make


async def claim(store: Store, ident: str, holder: str = "l1", previous: str = "") -> Any:
    return await store.write(lambda tx: deployments.claim(tx, ident, holder, previous=previous))


async def does(store: Store, row: DeploymentRow, *events: SagaEvent, **more: Any) -> Any:
    async def work(tx: Tx) -> Any:
        return [await deployments.move(tx, row, event, **more) for event in events][-1]

    return await store.write(work)


async def state(store: Store, ident: str) -> DeploymentRow:
    row = await store.read(lambda tx: deployments.get(tx, ident))
    assert row is not None
    return row


async def kinds(store: Store, stream: str) -> list[str]:
    return [event.kind for event in await store.read(lambda tx: journal.since(tx, 0, stream=stream, limit=1000))]


async def test_a_deployment_in_which_all_goes_well_is_live_and_lets_its_target_go(store: Store, deploy: Maker) -> None:
    await deploy()
    row, _ = await claim(store, "d-1")
    for _ in STEPS:
        saga = await does(store, row, E.BEGUN, E.DONE)

    assert saga.state is DeploymentState.LIVE
    row = await state(store, "d-1")
    assert (row.state, row.reason, row.finished is not None) == (DeploymentState.LIVE, "", True)
    assert await store.read(lambda tx: deployments.target_holder(tx, "p-1/staging")) is None
    told = await kinds(store, "d-1")
    assert told[:2] == ["deployment.created", "deployment.claimed"]
    assert told[-1] == "deployment.finished"
    assert told.count("deployment.step") == 2 * len(STEPS)


async def test_only_one_deployment_has_a_target(store: Store, deploy: Maker) -> None:
    await deploy("d-1", "staging", target="shared")
    await deploy("d-2", "other", target="shared")
    assert await claim(store, "d-1")

    assert await claim(store, "d-2") is None
    assert (await state(store, "d-2")).state is DeploymentState.QUEUED


async def test_a_newer_deployment_replaces_an_older_one_that_waits(store: Store, deploy: Maker) -> None:
    await deploy("d-1")
    await deploy("d-2")
    await deploy("d-3", "production")
    await store.write(lambda tx: deployments.wait(tx, "d-2", [{"for": "approval"}]))
    await deploy("d-4")

    assert [(await state(store, ident)).state for ident in ("d-1", "d-2", "d-3", "d-4")] == ["cancelled", "cancelled", "queued", "queued"]
    assert (await state(store, "d-2")).reason == "superseded by d-4"
    assert "deployment.finished" in await kinds(store, "d-2")


async def test_one_that_has_begun_is_not_superseded(store: Store, deploy: Maker) -> None:
    await deploy("d-1")
    await claim(store, "d-1")
    await deploy("d-2")

    assert (await state(store, "d-1")).state is DeploymentState.RUNNING


async def test_whoever_claimed_it_before_is_fenced(store: Store, deploy: Maker) -> None:
    await deploy()
    old, _ = await claim(store, "d-1", "l1")
    await does(store, old, E.BEGUN)
    new, saga = await claim(store, "d-1", "l2")

    assert new.epoch > old.epoch
    assert (saga.at, next_act(saga)) == (0, Act.DO)
    with pytest.raises(Fenced):
        await does(store, old, E.DONE if saga.phase == "doing" else E.BEGUN)
    assert (await kinds(store, "d-1")).count("deployment.step") == 2  # begun, interrupted


async def test_a_new_holder_finds_the_saga_where_it_was(store: Store, deploy: Maker) -> None:
    await deploy()
    row, _ = await claim(store, "d-1", previous="v-0")
    for _ in range(4):
        await does(store, row, E.BEGUN, E.DONE)
    await does(store, row, E.BEGUN)
    row, saga = await claim(store, "d-1", "l2", previous="v-9")

    assert (saga.step.name, next_act(saga)) == ("start", Act.LOOK)
    assert row.previous == "v-0"


async def test_an_unknown_end_keeps_the_target_until_somebody_settles_it(store: Store, deploy: Maker) -> None:
    await deploy()
    row, _ = await claim(store, "d-1")
    for _ in range(3):
        await does(store, row, E.BEGUN, E.DONE)
    await does(store, row, E.BEGUN)
    row, _ = await claim(store, "d-1", "l2")
    await does(store, row, E.SEEN_UNCLEAR, reason="no record of its end")

    assert (await state(store, "d-1")).state is DeploymentState.UNKNOWN
    assert await store.read(lambda tx: deployments.target_holder(tx, "p-1/staging")) == "d-1"
    await does(store, row, E.RESOLVED_FAILED)
    assert (await state(store, "d-1")).state is DeploymentState.FAILED
    assert await store.read(lambda tx: deployments.target_holder(tx, "p-1/staging")) is None


async def test_the_first_reason_stays(store: Store, deploy: Maker) -> None:
    await deploy()
    row, _ = await claim(store, "d-1")
    await does(store, row, E.BEGUN, E.FAILED, reason="no such folder")
    await does(store, row, E.BEGUN, E.DONE)

    row = await state(store, "d-1")
    assert (row.state, row.reason) == (DeploymentState.FAILED, "no such folder")


async def test_an_illegal_move_changes_nothing(store: Store, deploy: Maker) -> None:
    await deploy()
    row, _ = await claim(store, "d-1")
    with pytest.raises(IllegalMove):
        await does(store, row, E.DONE)

    assert await store.read(lambda tx: deployments.moves_of(tx, "d-1")) == []


async def test_waiting_is_told_once_and_ends_with_a_wake(store: Store, deploy: Maker) -> None:
    await deploy()
    for _ in range(2):
        await store.write(lambda tx: deployments.wait(tx, "d-1", [{"for": "freeze", "until": "2026-11-30T08:00:00Z"}]))
    assert (await state(store, "d-1")).waits == ({"for": "freeze", "until": "2026-11-30T08:00:00Z"},)
    assert await store.write(lambda tx: deployments.wake(tx, "d-1"))
    assert not await store.write(lambda tx: deployments.wake(tx, "d-1"))

    assert await kinds(store, "d-1") == ["deployment.created", "deployment.waiting", "deployment.queued"]


async def test_an_approval_counts_once_a_person(store: Store, deploy: Maker) -> None:
    await deploy()
    for person in ("bob", "eve", "bob"):
        people = await store.write(lambda tx, person=person: deployments.approve(tx, "d-1", person))

    assert people == ["bob", "eve"]
    assert (await kinds(store, "d-1")).count("deployment.approved") == 2


async def test_one_that_has_ended_can_be_asked_nothing(store: Store, deploy: Maker) -> None:
    await deploy()
    assert await store.write(lambda tx: deployments.ask(tx, "d-1", "cancel"))
    assert await store.write(lambda tx: deployments.drop(tx, "d-1", "cancelled"))

    assert not await store.write(lambda tx: deployments.ask(tx, "d-1", "cancel"))
    assert not await store.write(lambda tx: deployments.drop(tx, "d-1", "cancelled"))
    assert await claim(store, "d-1") is None


async def test_deployments_are_found_by_a_prefix_and_listed_newest_first(store: Store, deploy: Maker) -> None:
    for ident in ("d-aa1", "d-aa2", "d-b1"):
        await deploy(ident, f"env-{ident}")

    assert [row.id for row in await store.read(lambda tx: deployments.listing(tx, project="p-1"))] == ["d-b1", "d-aa2", "d-aa1"]
    assert (await store.read(lambda tx: deployments.find(tx, "b"))).id == "d-b1"
    for word, code in (("aa", "ambiguous_deployment"), ("zz", "no_such_deployment")):
        with pytest.raises(SparkiError) as caught:
            await store.read(lambda tx, word=word: deployments.find(tx, word))
        assert caught.value.problems[0].code == code


async def test_releases_are_numbered_in_their_environment_and_found_by_id_prefix_or_number(store: Store) -> None:
    for ident, environment in (("v-a1", "staging"), ("v-a2", "staging"), ("v-b1", "production")):
        await a_release(store, ident, environment)

    async def found(word: str) -> str:
        return (await store.read(lambda tx: releases.find(tx, word, project="p-1", environment="staging"))).id

    assert [(row.id, row.number) for row in await store.read(lambda tx: releases.of_environment(tx, "p-1", "staging"))] == [
        ("v-a2", 2),
        ("v-a1", 1),
    ]
    assert [await found("2"), await found("a1"), await found("v-a2")] == ["v-a2", "v-a1", "v-a2"]
    for word in ("a", "b1", "7", "v-"):
        with pytest.raises(SparkiError):
            await found(word)


async def test_a_release_is_pruned_once(store: Store) -> None:
    await a_release(store)
    assert await store.write(lambda tx: releases.prune(tx, "v-1"))
    assert not await store.write(lambda tx: releases.prune(tx, "v-1"))

    row = await store.read(lambda tx: releases.get(tx, "v-1"))
    assert row is not None
    assert row.pruned


async def test_an_environment_knows_what_is_live_and_keeps_facts(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await environments.find_or_add(tx, "p-1", "staging", adapter="process")
        await environments.set_live(tx, "p-1", "staging", release="v-1", deployment="d-1")
        await environments.set_facts(tx, "p-1", "staging", {"folder": "/x"})
        await environments.set_maintenance(tx, "p-1", "staging", on=True)
        await environments.find_or_add(tx, "p-1", "staging", adapter="ssh")

    await store.write(work)
    (row,) = await store.read(lambda tx: environments.of_project(tx, "p-1"))
    assert (row.adapter, row.live, row.deployment, row.maintenance, row.facts) == ("ssh", "v-1", "d-1", True, {"folder": "/x"})
    assert row.since is not None
