"""One fault at one step of a deployment, and a loco that meets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from stands import Stand
from twin import Died
from yard import Yard

from sparki_daemon.loco.driver import Driver
from sparki_daemon.loco.protocol import Capabilities, Sight, StepFailed, Work
from sparki_daemon.model.deployment import INDEX, STEPS, SWITCH, Direction, SagaEvent
from sparki_daemon.store import deployments


class Fault(StrEnum):
    """What goes wrong, once."""

    NONE = "none"
    DIES_BEFORE_INTENT = "loco dies before its intent is written"
    DIES_BEFORE_EFFECT = "loco dies when its intent is written"
    DIES_AFTER_EFFECT = "loco dies when it has had its effect"
    DIES_AFTER_RESULT = "loco dies when its result is written"
    RAISES = "the adapter says that it failed"
    BREAKS = "the adapter breaks off when it has had its effect"
    HANGS = "the adapter never comes back, without effect"
    HANGS_AFTER = "the adapter never comes back, with effect"
    LOSES = "the platform dies before it"
    LOSES_AND_DIES = "platform and loco die when it has had its effect"


DEATHS = (Fault.DIES_BEFORE_INTENT, Fault.DIES_BEFORE_EFFECT, Fault.DIES_AFTER_EFFECT, Fault.DIES_AFTER_RESULT, Fault.LOSES_AND_DIES)
FAILURES = (Fault.RAISES, Fault.BREAKS, Fault.HANGS, Fault.HANGS_AFTER)


@dataclass
class Faulty:
    """Fills `Steps` over a stand's adapter. `where` is a step, or `undo:STEP`; `fails` names a step that fails whenever it is done."""

    stand: Stand
    fault: Fault = Fault.NONE
    where: str = ""
    fails: str = ""
    met: bool = False
    capabilities: Capabilities = field(init=False)
    limits_s: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        own = self.stand.adapter.capabilities
        hangs = self.fault in (Fault.HANGS, Fault.HANGS_AFTER)
        self.limits_s = {**own.limits_s, self.where.removeprefix("undo:"): self.stand.patience_s} if hangs else {**own.limits_s}
        self.capabilities = replace(own, limits_s=self.limits_s)

    def meets(self, where: str, *faults: Fault) -> bool:
        """Whether one of these goes wrong here, and has not yet."""
        if self.met or where != self.where or self.fault not in faults:
            return False
        self.met = True
        return True

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        if step == self.fails:
            raise StepFailed(f"{step} is to fail")
        return await self._meeting(step, lambda: self.stand.adapter.do(step, work))

    async def undo(self, step: str, work: Work) -> None:
        await self._meeting(f"undo:{step}", lambda: self.stand.adapter.undo(step, work))

    async def look(self, step: str, work: Work) -> Sight:
        return await self.stand.adapter.look(step, work)

    async def _meeting(self, where: str, act: Callable[[], Awaitable[Any]]) -> Any:
        if self.meets(where, Fault.RAISES):
            raise StepFailed("it is of no use")
        if self.meets(where, Fault.LOSES):
            await asyncio.to_thread(self.stand.lose)
        if self.meets(where, Fault.HANGS):
            await self._hang(where)
        try:
            given = await act()
        except asyncio.CancelledError:  # so slow that it is as one that hangs
            self.met = True
            raise
        if self.meets(where, Fault.BREAKS):
            raise RuntimeError("a mistake of its own")
        if self.meets(where, Fault.HANGS_AFTER):
            await self._hang(where)
        return given

    async def _hang(self, where: str) -> None:
        self.limits_s[where.removeprefix("undo:")] = 60.0  # the next time that it is done, it has time
        await asyncio.sleep(3600)


class Mortal(Driver):
    """A driver that dies where its adapter's fault says so."""

    async def _move(self, event: SagaEvent, *, reason: str = "", data: Mapping[str, Any] | None = None) -> None:
        adapter, step = self._adapter, self._saga.step.name
        assert isinstance(adapter, Faulty)
        where = f"undo:{step}" if self._saga.direction is Direction.BACK else step
        begun = event is SagaEvent.BEGUN
        if adapter.meets(where, *((Fault.DIES_BEFORE_INTENT,) if begun else (Fault.DIES_AFTER_EFFECT, Fault.LOSES_AND_DIES))):
            if adapter.fault is Fault.LOSES_AND_DIES:
                await asyncio.to_thread(adapter.stand.lose)
            raise Died
        await super()._move(event, reason=reason, data=data)
        if adapter.meets(where, Fault.DIES_BEFORE_EFFECT if begun else Fault.DIES_AFTER_RESULT):
            raise Died


async def bring(yard: Yard, adapter: Faulty) -> str:
    """A new deployment, taken to its end by one loco after the other; its id."""
    deployment = await yard.deployment()
    while True:
        row = await yard.store.read(lambda tx: deployments.get(tx, deployment))
        assert row is not None
        if row.state.terminal or row.state == "unknown":
            assert adapter.met or adapter.fault is Fault.NONE, "the fault was never met"
            return deployment
        try:
            await (await yard.driver(deployment, adapter, kind=Mortal)).run()
        except Died:
            await asyncio.sleep(0)


def end_of(fault: Fault, step: str) -> str:
    """How a deployment ends that meets this fault while it goes forward."""
    if fault not in FAILURES or STEPS[INDEX[step]].final:
        return "live"
    return "reverted" if INDEX[step] >= SWITCH else "failed"
