"""A deployment under faults: killed before and after each step, failing at each, cancelled at each, it ends with one release serving."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from twin import Died, TwinAdapter
from yard import Yard

from sparki_daemon.loco.driver import Asked
from sparki_daemon.loco.protocol import Work
from sparki_daemon.model.deployment import STEPS
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.store import deployments
from sparki_daemon.store.deployments import Fenced

NAMES = [rule.name for rule in STEPS]
UNDONE = [rule.name for rule in STEPS if rule.undone]


async def first_release(yard: Yard) -> None:
    """Something is live before."""
    assert (await yard.drive(await yard.deployment())).state == "live"


def check_one_serves(yard: Yard, live: str) -> None:
    """Exactly one release runs, it has the traffic, and nothing was started twice for one deployment."""
    assert yard.platform.traffic == live
    assert set(yard.platform.running) == {live}
    assert len(yard.platform.starts) == len(set(yard.platform.starts))
    assert len(yard.platform.commands) == len(set(yard.platform.commands))


async def test_a_deployment_goes_through_its_steps_in_order(yard: Yard) -> None:
    await first_release(yard)
    adapter = TwinAdapter(yard.platform)
    saga = await yard.drive(await yard.deployment(), adapter)

    assert (saga.state, adapter.done, adapter.undone) == ("live", NAMES, [])
    assert await yard.live() == "v-2"
    check_one_serves(yard, "v-2")


@pytest.mark.parametrize("step", NAMES)
async def test_a_step_that_fails_leaves_the_old_release_serving_or_the_new_one_for_good(yard: Yard, step: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    saga = await yard.drive(deployment, TwinAdapter(yard.platform, fails={step}))

    if step in ("retire", "done"):
        assert saga.state == "live"
        assert await yard.live() == "v-2"
        assert yard.platform.traffic == "v-2"
        return
    assert saga.state == ("reverted" if step in ("switch", "watch") else "failed")
    row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
    assert row is not None
    assert row.reason == f"{step} does not work"
    assert await yard.live() == "v-1"
    check_one_serves(yard, "v-1")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", NAMES)
async def test_killed_at_any_step_the_next_loco_looks_and_goes_on(yard: Yard, step: str, moment: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, TwinAdapter(yard.platform, dies=f"{moment}:{step}"))

    assert await yard.state(deployment) == "running"
    assert (await yard.drive(deployment)).state == "live"
    assert await yard.live() == "v-2"
    check_one_serves(yard, "v-2")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", UNDONE)
async def test_killed_while_it_goes_back_the_next_loco_goes_back_to_the_end(yard: Yard, step: str, moment: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, TwinAdapter(yard.platform, fails={"watch"}, dies=f"{moment}:undo:{step}"))

    assert (await yard.drive(deployment)).state == "reverted"
    assert await yard.live() == "v-1"
    check_one_serves(yard, "v-1")


@pytest.mark.parametrize("step", NAMES)
async def test_a_cancel_at_any_step_leads_to_a_clean_state(yard: Yard, step: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    asked = Asked()
    adapter = TwinAdapter(yard.platform, hangs={step} if step not in ("retire", "done") else set())
    driving = asyncio.create_task(yard.drive(deployment, adapter, asked))
    while step in adapter.hangs and [move.step for move in await moves(yard, deployment)][-1:] != [step]:
        await asyncio.sleep(0.001)
    if step not in adapter.hangs:
        adapter.hangs.clear()
        while step not in adapter.done:
            await asyncio.sleep(0)
    asked.ask("cancel")
    saga = await driving

    if step in ("retire", "done"):
        assert saga.state == "live"
        check_one_serves(yard, "v-2")
    else:
        assert saga.state == "cancelled"
        check_one_serves(yard, "v-1")


async def moves(yard: Yard, deployment: str) -> list[deployments.MoveRow]:
    return await yard.store.read(lambda tx: deployments.moves_of(tx, deployment))


async def test_asked_to_keep_what_it_watches_it_is_live_at_once(yard: Yard) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    asked = Asked()
    driving = asyncio.create_task(yard.drive(deployment, TwinAdapter(yard.platform, hangs={"watch"}), asked))
    while await yard.live() != "v-2":
        await asyncio.sleep(0.001)
    asked.ask("keep")

    assert (await driving).state == "live"
    check_one_serves(yard, "v-2")


@pytest.mark.parametrize("step", NAMES)
async def test_asked_to_keep_what_is_not_live_yet_it_is_cancelled_and_from_the_switch_on_it_stays(yard: Yard, step: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    asked, pause = Asked(), Pause(step)
    adapter = pause.around(TwinAdapter(yard.platform))
    driving = asyncio.create_task(yard.drive(deployment, adapter, asked))
    await pause.reached.wait()
    asked.ask("keep")
    await asyncio.sleep(0)
    pause.over.set()
    saga = await driving

    stays = NAMES.index(step) >= NAMES.index("switch")
    assert saga.state == ("live" if stays else "cancelled")
    assert await yard.live() == ("v-2" if stays else "v-1")
    check_one_serves(yard, "v-2" if stays else "v-1")
    assert ("watch" in adapter.done) == (step in ("retire", "done"))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["switch", "watch", "retire"])
async def test_a_rollback_that_was_asked_for_takes_back_a_watch_and_nothing_else(yard: Yard, step: str, moment: str) -> None:
    """What asks for it has seen a watch; by the time it is heard, its loco may have died, or have gone on."""
    await first_release(yard)
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, TwinAdapter(yard.platform, dies=f"{moment}:{step}"))
    saga = await yard.drive(deployment, asked=Asked("rollback:d-9"))

    assert saga.state == ("live" if step == "retire" else "reverted")
    check_one_serves(yard, "v-2" if step == "retire" else "v-1")


class Pause:
    """Holds an adapter up in the middle of one step."""

    def __init__(self, step: str) -> None:
        self.step, self.reached, self.over = step, asyncio.Event(), asyncio.Event()

    def around(self, adapter: TwinAdapter) -> TwinAdapter:
        do = adapter.do

        async def paused(step: str, work: Work) -> Mapping[str, Any]:
            if step == self.step:
                self.reached.set()
                await self.over.wait()
            return await do(step, work)

        adapter.do = paused  # type: ignore[method-assign]
        return adapter


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("word", ["cancel", "keep"])
@pytest.mark.parametrize("step", NAMES)
async def test_what_is_asked_while_no_loco_lives_the_next_one_does(yard: Yard, step: str, word: str, moment: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, TwinAdapter(yard.platform, dies=f"{moment}:{step}"))
    saga = await yard.drive(deployment, asked=Asked(word))

    switched = f"{moment}:{step}" == "after:switch" or NAMES.index(step) > NAMES.index("switch")
    stays = step in ("retire", "done") or (word == "keep" and switched)
    assert saga.state == ("live" if stays else "cancelled")
    assert await yard.live() == ("v-2" if stays else "v-1")
    check_one_serves(yard, "v-2" if stays else "v-1")


@pytest.mark.parametrize("word", ["cancel", "keep"])
async def test_a_switch_that_happens_while_a_cancel_arrives_ends_in_one_of_two_clean_states(yard: Yard, word: str) -> None:
    """Asked after each count of turns of the loop, from before the switch to after it."""
    await first_release(yard)
    for turns in range(40):
        deployment, before, asked = await yard.deployment(), await yard.live(), Asked()
        adapter = TwinAdapter(yard.platform)
        driving = asyncio.create_task(yard.drive(deployment, adapter, asked))
        while "health" not in adapter.done:
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.ask(word)
        saga = await driving
        assert saga.state in ("live", "cancelled")
        check_one_serves(yard, live := await yard.live())
        assert live == (before if saga.state == "cancelled" else f"v-{yard.made}")


async def test_the_first_word_that_was_asked_counts_for_a_later_loco_too(yard: Yard) -> None:
    deployment = await yard.deployment()
    for word in ("cancel", "keep"):
        assert await yard.store.write(lambda tx, word=word: deployments.ask(tx, deployment, word))  # type: ignore[misc]
    row = await yard.store.read(lambda tx: deployments.get(tx, deployment))

    assert row is not None
    assert row.asked == "cancel"


async def test_what_can_be_neither_repeated_nor_looked_up_is_unknown_and_keeps_the_target(yard: Yard) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, TwinAdapter(yard.platform, dies="before:release_command"))
    saga = await yard.drive(deployment, TwinAdapter(yard.platform, unclear={"release_command"}))

    assert saga.state == "unknown"
    assert await yard.store.read(lambda tx: deployments.target_holder(tx, "p-1/staging")) == deployment
    assert yard.platform.commands == ["d-1"]
    check_one_serves(yard, "v-1")


async def test_an_undo_that_fails_is_unknown(yard: Yard) -> None:
    await first_release(yard)
    saga = await yard.drive(await yard.deployment(), TwinAdapter(yard.platform, fails={"watch"}, undo_fails={"switch"}))

    assert saga.state == "unknown"


async def test_a_loco_that_was_overtaken_does_nothing_more(yard: Yard) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    adapter = TwinAdapter(yard.platform, hangs={"health"})
    old = asyncio.create_task((await yard.driver(deployment, adapter)).run())
    while [move.step for move in await moves(yard, deployment)][-1:] != ["health"]:
        await asyncio.sleep(0.001)
    assert (await yard.drive(deployment)).state == "live"
    adapter.hangs.clear()
    adapter.fails = {"switch"}
    old.cancel()
    with pytest.raises((asyncio.CancelledError, Fenced)):
        await old

    assert "switch" not in adapter.done
    check_one_serves(yard, "v-2")


async def test_a_loco_that_is_told_to_end_leaves_its_deployment_to_the_next(yard: Yard) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    driving = asyncio.create_task(yard.drive(deployment, TwinAdapter(yard.platform, hangs={"health"})))
    while [move.step for move in await moves(yard, deployment)][-1:] != ["health"]:
        await asyncio.sleep(0.001)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving

    assert await yard.state(deployment) == "running"
    assert (await yard.drive(deployment)).state == "live"


async def test_an_adapter_that_breaks_off_fails_its_step_with_what_it_said(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    await first_release(yard)
    adapter = TwinAdapter(yard.platform)

    async def broken(step: str, work: object) -> dict[str, str]:
        raise ValueError("a mistake of the adapter's own")

    monkeypatch.setattr(adapter, "do", broken)
    deployment = await yard.deployment()
    assert (await yard.drive(deployment, adapter)).state == "failed"
    row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
    assert row is not None
    assert row.reason == "ValueError: a mistake of the adapter's own"


async def test_what_the_daemon_itself_says_is_the_reason_with_what_to_do_and_without_its_class(yard: Yard) -> None:
    await first_release(yard)
    adapter = TwinAdapter(yard.platform)
    problem = Problem(code="secret_not_set", message="the secret 'TOKEN' has no value", hint="sparki secret set TOKEN")

    async def refusing(step: str, work: object) -> dict[str, str]:
        raise SparkiError(problem)

    adapter.do = refusing  # type: ignore[method-assign,assignment]
    deployment = await yard.deployment()
    assert (await yard.drive(deployment, adapter)).state == "failed"
    row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
    assert row is not None
    assert row.reason == "the secret 'TOKEN' has no value (sparki secret set TOKEN)"


async def test_the_very_first_deployment_that_is_reverted_leaves_nothing_live(yard: Yard) -> None:
    saga = await yard.drive(await yard.deployment(), TwinAdapter(yard.platform, fails={"watch"}))

    assert saga.state == "reverted"
    assert (await yard.live(), yard.platform.traffic, yard.platform.running) == ("", "", {})


async def test_killed_at_one_step_after_the_other_a_deployment_starts_its_release_once(yard: Yard) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    for step in NAMES:
        with pytest.raises(Died):
            await yard.drive(deployment, TwinAdapter(yard.platform, dies=f"after:{step}"))

    assert (await yard.drive(deployment)).state == "live"
    check_one_serves(yard, "v-2")


@pytest.mark.parametrize("step", NAMES)
async def test_a_step_that_never_comes_back_is_given_up_and_taken_back(yard: Yard, step: str) -> None:
    await first_release(yard)
    deployment = await yard.deployment()
    saga = await yard.drive(deployment, impatient(yard, hangs={step}))

    assert saga.state == ("live" if step in ("retire", "done") else "reverted" if step in ("switch", "watch") else "failed")
    if step not in ("retire", "done"):
        check_one_serves(yard, "v-1")
        row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
        assert row is not None
        assert row.reason == "it was not done within 0.05 s"


async def test_a_look_or_an_undoing_that_never_comes_back_is_left_to_a_person(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    await first_release(yard)

    async def never(step: str, work: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr("sparki_daemon.loco.driver.LOOK_S", 0.0)
    adapter = impatient(yard, fails={"health"})
    monkeypatch.setattr(adapter, "undo", never)
    undone = await yard.deployment()
    assert (await yard.drive(undone, adapter)).state == "unknown"
    row = await yard.store.read(lambda tx: deployments.get(tx, undone))
    assert row is not None
    assert row.reason == "health does not work"

    looked = await yard.deployment("production")
    with pytest.raises(Died):
        await yard.drive(looked, TwinAdapter(yard.platform, dies="after:start"))
    adapter = impatient(yard)
    monkeypatch.setattr(adapter, "look", never)
    assert (await yard.drive(looked, adapter)).state == "unknown"


def impatient(yard: Yard, **faults: set[str]) -> TwinAdapter:
    """An adapter whose every step has 50 ms."""
    adapter = TwinAdapter(yard.platform, **faults)  # type: ignore[arg-type]
    adapter.capabilities = replace(adapter.capabilities, limits_s=dict.fromkeys(NAMES, 0.05))
    return adapter
