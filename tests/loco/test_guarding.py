"""An adapter of others' that gives nonsense or calls exit: its step fails with a reason, and its deployment ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from twin import Died, TwinAdapter
from yard import Yard

from sparki_daemon.loco.guarding import Guarded
from sparki_daemon.loco.protocol import Work
from sparki_daemon.store import deployments


class Odd(TwinAdapter):
    """Gives at one step what the test says, or calls exit there."""

    step, gives, exits = "", None, False

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        given = await super().do(step, work)
        if step != self.step:
            return given
        if self.exits:
            raise SystemExit(3)
        return self.gives  # type: ignore[return-value]

    async def look(self, step: str, work: Work) -> Any:
        return self.gives if step == self.step else await super().look(step, work)


def odd(yard: Yard, step: str, gives: object = None, *, exits: bool = False) -> Odd:
    adapter = Odd(yard.platform)
    adapter.step, adapter.gives, adapter.exits = step, gives, exits  # type: ignore[assignment]
    return adapter


async def reason(yard: Yard, deployment: str) -> str:
    row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
    assert row is not None
    return row.reason


@pytest.mark.parametrize("gives", [{"x": object()}, ["a"], {"x": {1, 2}}, 5])
async def test_what_is_no_json_fails_the_step(yard: Yard, gives: object) -> None:
    deployment = await yard.deployment()

    assert (await yard.drive(deployment, Guarded(odd(yard, "ship", gives)))).state == "failed"
    assert (await reason(yard, deployment)).startswith("what the adapter gave of this step is no JSON: ")


async def test_nothing_is_as_good_as_an_empty_mapping(yard: Yard) -> None:
    assert (await yard.drive(await yard.deployment(), Guarded(odd(yard, "ship")))).state == "live"


async def test_exit_fails_the_step_and_not_loco(yard: Yard) -> None:
    deployment = await yard.deployment()

    assert (await yard.drive(deployment, Guarded(odd(yard, "start", exits=True)))).state == "failed"
    assert await reason(yard, deployment) == "the adapter called exit(3)"
    assert yard.platform.running == {}


async def test_a_look_that_gives_no_sight_is_left_to_a_person(yard: Yard) -> None:
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, Guarded(TwinAdapter(yard.platform, dies="after:start")))

    assert (await yard.drive(deployment, Guarded(odd(yard, "start", "done")))).state == "unknown"
    assert await reason(yard, deployment) == "the adapter's look gave no Sight, but str"
