"""A loco that starts has what was live run again; tests/slow has it with a machine that loses its power."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from twin import TwinAdapter

from sparki_daemon.loco.protocol import Place, StepFailed
from sparki_daemon.loco.revival import revive_all
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.store import environments


class Local(TwinAdapter):
    """A platform whose services end with the machine."""

    revived: list[tuple[str, Mapping[str, str]]]

    async def revive(self, place: Place, values: Callable[[str], Awaitable[Mapping[str, str]]]) -> Sequence[str]:
        if place.environment == "broken":
            raise StepFailed("its folder can't be read")
        self.revived.append((place.environment, await values("v-1")))
        return ["v-1"]


async def secrets(project: str, environment: str, names: tuple[str, ...]) -> Mapping[str, str]:
    if environment == "locked":
        raise SparkiError(Problem(code="secret_not_set", message="the keyring is locked"))
    return {"of": f"{project}/{environment}"}


@pytest.fixture
def local(yard: Any) -> Local:
    adapter = Local(yard.platform)
    adapter.revived = []
    return adapter


async def test_what_is_live_is_revived_with_its_values_and_one_that_fails_holds_up_no_other(yard: Any, local: Local, caplog: Any) -> None:
    for name in ("broken", "locked", "staging", "unused"):
        deployment = await yard.deployment(name)
        if name != "unused":
            await yard.store.write(
                lambda tx, name=name, by=deployment: environments.set_live(tx, "p-1", name, release="v-1", deployment=by)
            )

    await revive_all(yard.store, lambda _: local, secrets, str(yard.folder))

    assert local.revived == [("staging", {"of": "p-1/staging"})]
    assert "its folder can't be read" in caplog.text
    assert "the keyring is locked" in caplog.text


async def test_a_platform_of_others_needs_no_revival(yard: Any) -> None:
    await yard.deployment()
    await yard.store.write(lambda tx: environments.set_live(tx, "p-1", "staging", release="v-1", deployment="d-1"))
    await revive_all(yard.store, lambda _: TwinAdapter(yard.platform), secrets, str(yard.folder))
