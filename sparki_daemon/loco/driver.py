"""Takes one deployment through its steps: intent and result of each in the journal, whatever was interrupted looked at first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from sparki_daemon.loco.limits import LOOK_S, limit_s
from sparki_daemon.loco.protocol import Seen, StepFailed, Steps, Work
from sparki_daemon.loco.settings import is_asked
from sparki_daemon.model.deployment import SWITCH, WATCH, Act, Direction, Phase, Saga, SagaEvent, next_act
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.store import deployments, environments
from sparki_daemon.store.deployments import ROLLBACK, DeploymentRow
from sparki_daemon.store.protocol import Store, Tx

log = logging.getLogger("sparki.loco")
AGAIN_S = 0.5
OF_NEW = ("release_command", "watch")  # not of a rollback to what serves already: its command has run, and there is nothing to go back to
SKIPPED = {"skipped": "the release serves already"}
_SEEN = {
    Seen.DONE: SagaEvent.SEEN_DONE,
    Seen.ABSENT: SagaEvent.SEEN_ABSENT,
    Seen.FAILED: SagaEvent.FAILED,
    Seen.UNCLEAR: SagaEvent.SEEN_UNCLEAR,
}


class Asked:
    """What is asked of a deployment while it is under way: to `cancel` it, to `keep` what is live and end, or a rollback (by its id)."""

    def __init__(self, asked: str = "") -> None:
        self._asked = asked
        self._event = asyncio.Event()
        if asked:
            self._event.set()

    def ask(self, asked: str) -> None:
        """Hear it; the first word counts."""
        if asked and not self._asked:
            self._asked = asked
            self._event.set()

    def of(self, saga: Saga) -> SagaEvent | None:
        """What it means for the saga where it stands; None: nothing, or nothing any more."""
        if not self._asked or saga.direction is Direction.BACK or saga.step.final:
            return None
        if self.rollback:
            return SagaEvent.ROLLED_BACK if saga.at == WATCH else None
        if self._asked != "keep" or saga.at < SWITCH:
            return SagaEvent.CANCELLED  # before the switch there is nothing live to be kept
        if saga.at > SWITCH:
            return SagaEvent.KEPT
        return SagaEvent.CANCELLED if saga.phase is Phase.READY else None  # whether traffic has been moved shows when the switch is over

    @property
    def rollback(self) -> str:
        """The deployment that brings back what served before this one; empty: none was asked for."""
        return self._asked.removeprefix(ROLLBACK) if self._asked.startswith(ROLLBACK) else ""

    def reason(self, event: SagaEvent) -> str:
        """Why the saga goes another way, for its record."""
        return {SagaEvent.CANCELLED: "cancelled", SagaEvent.ROLLED_BACK: f"rolled back by {self.rollback}"}.get(event, "")

    async def wait(self) -> None:
        """Until something is asked."""
        await self._event.wait()


class Driver:
    """One claimed deployment. `run` brings it to its end, or to where a person must say."""

    def __init__(self, store: Store, adapter: Steps, claimed: DeploymentRow, saga: Saga, work: Work, asked: Asked) -> None:
        self._store = store
        self._adapter = adapter
        self._claimed = claimed
        self._saga = saga
        self._work = work
        self._asked = asked

    async def run(self) -> Saga:
        """Step by step. Raises Fenced when another loco has claimed it: nothing more is done then."""
        while True:
            act = next_act(self._saga)
            if act in (Act.END, Act.WAIT):
                return self._saga
            if (event := self._asked.of(self._saga)) is not None:
                await self._move(event, reason=self._asked.reason(event))
            elif act is Act.DO:
                await self._do()
            elif act is Act.LOOK:
                await self._look()
            else:
                await self._undo()

    async def _do(self) -> None:
        step = self._saga.step.name
        if step in OF_NEW and self._claimed.kind == "rollback" and self._work.serves:
            await self._skip()
            return
        await self._move(SagaEvent.BEGUN)
        event, data, reason = await self._heeding(lambda: self._adapter.do(step, self._work))
        if event is SagaEvent.FAILED and self._saga.step.final:  # nothing can be taken back any more, and nobody does it later
            await asyncio.sleep(AGAIN_S)
            event, data, reason = await self._heeding(lambda: self._adapter.do(step, self._work))
        await self._move(event, reason=reason, data=data)

    async def _skip(self) -> None:
        """Nothing is done, so nobody can die between its begin and its end."""
        if is_asked(self._saga.step.name, self._work.release.settings):
            self._work.tell(f"skipped, for the release serves already: {self._saga.step.does}")

        async def work(tx: Tx) -> Saga:
            await deployments.move(tx, self._claimed, SagaEvent.BEGUN)
            return await deployments.move(tx, self._claimed, SagaEvent.DONE, data=SKIPPED)

        self._saga = await self._store.write(work)

    async def _look(self) -> None:
        step = self._saga.step.name
        try:
            async with asyncio.timeout(self._limit_s() + LOOK_S):
                sight = await self._adapter.look(step, self._work)
        except StepFailed as failed:
            await self._move(SagaEvent.SEEN_UNCLEAR, reason=str(failed))
            return
        except Exception as error:
            log.exception("%s: looking at '%s' broke off", self._claimed.id, step)
            await self._move(SagaEvent.SEEN_UNCLEAR, reason=f"looking at it failed: {_said(error)}")
            return
        await self._move(_SEEN[sight.seen], reason=sight.reason, data=sight.data)

    async def _undo(self) -> None:
        step = self._saga.step.name
        await self._move(SagaEvent.BEGUN)
        try:
            async with asyncio.timeout(self._limit_s()):
                await self._adapter.undo(step, self._work)
        except StepFailed as failed:
            await self._move(SagaEvent.FAILED, reason=f"undoing '{step}' failed: {failed}")
        except Exception as error:
            log.exception("%s: undoing '%s' broke off", self._claimed.id, step)
            await self._move(SagaEvent.FAILED, reason=f"undoing '{step}' failed: {_said(error)}")
        else:
            await self._move(SagaEvent.DONE)

    async def _heeding(self, do: Callable[[], Awaitable[Mapping[str, Any]]]) -> tuple[SagaEvent, Mapping[str, Any], str]:
        """Do a step while it has time and nobody asks for its end: what happened, what it gave, and why it did not."""
        doing = asyncio.ensure_future(do())
        asking = asyncio.ensure_future(self._asked.wait())
        deadline = asyncio.get_running_loop().time() + self._limit_s()
        try:
            await asyncio.wait((doing, asking), timeout=self._limit_s(), return_when=asyncio.FIRST_COMPLETED)
            event = self._asked.of(self._saga)
            if not doing.done() and event is None:  # asked for what can't be had at this step
                await asyncio.wait((doing,), timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
                event = self._asked.of(self._saga)
            if not doing.done():
                doing.cancel()
                await asyncio.wait((doing,))
                if doing.cancelled():
                    return _stopped(event, self._asked, self._limit_s())
        finally:
            asking.cancel()
            if not doing.done():  # this loco is told to end: whoever comes next looks
                doing.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await doing
        return _outcome(doing, f"{self._claimed.id}: '{self._saga.step.name}'")

    def _limit_s(self) -> float:
        return limit_s(self._saga.step.name, self._work.release.settings, self._adapter.capabilities.limits_s)

    async def _move(self, event: SagaEvent, *, reason: str = "", data: Mapping[str, Any] | None = None) -> None:
        before, claimed = self._saga, self._claimed

        async def work(tx: Tx) -> Saga:
            saga = await deployments.move(tx, claimed, event, reason=reason, data=data)
            await self._note_what_is_live(tx, before, event)
            return saga

        self._saga = await self._store.write(work)
        if data:
            self._work = replace(self._work, results={**self._work.results, before.step.name: dict(data)})

    async def _note_what_is_live(self, tx: Tx, before: Saga, event: SagaEvent) -> None:
        """The switch and its undoing change what is live, in the transaction of their results."""
        if before.at != SWITCH:
            return
        place = self._work.place
        if before.direction is Direction.FORWARD and event in (SagaEvent.DONE, SagaEvent.SEEN_DONE):
            await environments.set_live(tx, place.project, place.environment, release=self._work.release.id, deployment=self._claimed.id)
        elif before.direction is Direction.BACK and event is SagaEvent.DONE:
            previous = self._work.previous.id if self._work.previous else ""
            await environments.set_live(tx, place.project, place.environment, release=previous, deployment=self._claimed.id)


def _stopped(event: SagaEvent | None, asked: Asked, limit_s: float) -> tuple[SagaEvent, Mapping[str, Any], str]:
    if event is None:
        return SagaEvent.FAILED, {}, f"it was not done within {limit_s:g} s"
    return event, {}, asked.reason(event)


def _outcome(doing: asyncio.Future[Mapping[str, Any]], what: str) -> tuple[SagaEvent, Mapping[str, Any], str]:
    try:
        return SagaEvent.DONE, doing.result(), ""
    except StepFailed as failed:
        return SagaEvent.FAILED, {}, str(failed)
    except SparkiError as error:  # a secret without a value, most of all
        return SagaEvent.FAILED, {}, error.in_a_line
    except asyncio.CancelledError:
        return SagaEvent.FAILED, {}, "it was cancelled"
    except Exception as error:
        log.exception("%s broke off", what)
        return SagaEvent.FAILED, {}, _said(error)


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    if isinstance(error, SparkiError):
        return error.in_a_line
    return f"{type(error).__name__}: {error}"
