"""Brings deployments on: claims what may begin, goes on with what was interrupted, one at a target at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sparki_daemon.loco import hooks
from sparki_daemon.loco.driver import Asked, Driver
from sparki_daemon.loco.guarding import Guarded
from sparki_daemon.loco.hooks import WithHooks
from sparki_daemon.loco.missing import MissingAdapter
from sparki_daemon.loco.protocol import Adapter, Place, Release, Work
from sparki_daemon.loco.revival import Secrets, revive_all
from sparki_daemon.loco.settings import folder_of, gates_of
from sparki_daemon.loco.telling import Telling, tell
from sparki_daemon.model.deployment import DeploymentState, Saga
from sparki_daemon.model.gates import holdups
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.queue.protocol import DEPLOYMENTS, Queue
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.deployments import DeploymentRow, Fenced
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import ReleaseRow

log = logging.getLogger("sparki.loco")
AT_ONCE = 32  # deployments that are driven at once: each holds a few connections and files
BATCH = 256
REST_S = 5.0


@dataclass(slots=True)
class _Driven:
    task: asyncio.Task[None]
    asked: Asked


@dataclass
class Loco:
    """`turn` looks at everything that has not ended; `idle` says whether anything is left to do."""

    store: Store
    queue: Queue
    load: Callable[[str], Adapter]
    secrets: Secrets
    home: str
    holder: str
    now: Callable[[], datetime]
    woken: Callable[[], None] = lambda: None  # another turn is wanted
    driven: dict[str, _Driven] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)  # what broke off, and when (monotonic) it is tried again
    hooking: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # hooks of deployments that have ended
    reviving: asyncio.Task[None] | None = None  # sees to what is live, once in this loco's life
    open: int = 0  # deployments that had not ended at the last turn, and that loco can do something about

    @property
    def idle(self) -> bool:
        return not self.driven and not self.open and not self.hooking and (self.reviving is None or self.reviving.done())

    async def turn(self) -> None:
        """Begin what may begin, go on with what nobody is at, hear what people asked."""
        if self.reviving is None:
            self.reviving = asyncio.create_task(revive_all(self.store, self.load, self.secrets, self.home), name="revive")
        rows = await self.store.read(deployments.unfinished)
        await self.store.write(self._take)  # the queue only woke us: the table says what there is
        self.open = sum(row.state is not DeploymentState.UNKNOWN for row in rows)
        for row in rows:
            if (driven := self.driven.get(row.id)) is not None:
                driven.asked.ask(row.asked)
            elif (until := self.resting.get(row.id)) and time.monotonic() < until:
                continue
            elif row.state is DeploymentState.RUNNING:
                await self._begin(row)
            elif row.state in (DeploymentState.QUEUED, DeploymentState.WAITING):
                await self._consider(row)
        for deployment in hooks.promised(self.home):
            if deployment not in self.hooking and deployment not in self.driven:
                await self._hook(deployment)

    async def _hook(self, deployment: str) -> None:
        row = await self.store.read(lambda tx: deployments.get(tx, deployment))
        if row is None or row.state.terminal:
            status, reason = (row.state.value, row.reason) if row else ("unknown", "")
            task = asyncio.create_task(hooks.after(self.home, deployment, status, reason), name=f"hook of {deployment}")
            self.hooking[deployment] = task
            task.add_done_callback(lambda done: self._hooked(deployment, done))

    def _hooked(self, deployment: str, done: asyncio.Task[None]) -> None:
        del self.hooking[deployment]
        if not done.cancelled() and (error := done.exception()):
            log.error("%s: its hook after: %s", deployment, error)  # tried again at some later turn
        else:
            self.woken()

    async def _take(self, tx: Tx) -> list[str]:
        return await self.queue.take(tx, DEPLOYMENTS, BATCH)

    async def close(self) -> None:
        """Leave what is under way to the next loco."""
        tasks = [*(driven.task for driven in self.driven.values()), *self.hooking.values(), *([self.reviving] if self.reviving else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what may begin --------------------------------------------------------------------------------------------------

    async def _consider(self, row: DeploymentRow) -> None:
        if row.asked:
            await self.store.write(lambda tx: deployments.drop(tx, row.id, "cancelled"))
            return
        waits = await self.store.read(lambda tx: self._holdups(tx, row))
        if waits:
            await self._hold(row, waits)
        elif len(self.driven) < AT_ONCE:
            await self._begin(row)

    async def _hold(self, row: DeploymentRow, waits: Sequence[Mapping[str, Any]]) -> None:
        """Note what it waits for. A rollback that waits only for a deployment in its watch, and wants what served before, takes it back."""
        holder = str(waits[0]["deployment"]) if row.kind == "rollback" and [one["for"] for one in waits] == ["target"] else ""

        async def work(tx: Tx) -> str:
            await deployments.wait(tx, row.id, waits)
            return await deployments.roll_back(tx, holder, row) if holder else ""

        asked = await self.store.write(work)
        if (driven := self.driven.get(holder)) is not None:
            driven.asked.ask(asked)

    async def _holdups(self, tx: Tx, row: DeploymentRow) -> list[Mapping[str, Any]]:
        release = await releases.get(tx, row.release)
        assert release is not None
        if runs := release.artifact.get("awaits"):  # the engine fills the artifact in when they are green
            return [{"for": "run", "runs": runs}]
        gates = gates_of(release.settings, kind=row.kind)
        live: dict[str, str] = {}
        if gates.after:
            before = await environments.get(tx, row.project, gates.after)
            shown = await releases.get(tx, before.live) if before and before.live else None
            holder = await deployments.get(tx, before.deployment) if before and before.deployment else None
            if shown and holder and holder.state is DeploymentState.LIVE:
                live[gates.after] = shown.tree
        target = await deployments.target_holder(tx, row.target)
        found = holdups(
            gates,
            author=row.author,
            approvals=await deployments.approvals(tx, row.id),
            override=row.override,
            tree=release.tree,
            live_trees=live,
            now=self.now(),
            target_of=target if target and target != row.id else "",
        )
        return list(found)

    # -- what is under way -----------------------------------------------------------------------------------------------

    async def _begin(self, row: DeploymentRow) -> None:
        async def claim(tx: Tx) -> tuple[DeploymentRow, Saga, Work] | None:
            known = await environments.get(tx, row.project, row.environment)
            claimed = await deployments.claim(tx, row.id, self.holder, previous=known.live if known else "")
            if claimed is None:
                return None
            return *claimed, await self._work(tx, claimed[0])

        claimed = await self.store.write(claim)
        if claimed is None:
            return
        asked = Asked(claimed[0].asked)
        task = asyncio.create_task(self._drive(*claimed, asked), name=row.id)
        self.driven[row.id] = _Driven(task, asked)
        task.add_done_callback(lambda _: self._ended(row.id))

    def _ended(self, deployment: str) -> None:
        del self.driven[deployment]
        self.woken()

    async def _drive(self, row: DeploymentRow, saga: Saga, work: Work, asked: Asked) -> None:
        try:
            adapter = self._adapter(work.release.settings["adapter"])
            os.makedirs(work.place.folder, mode=0o700, exist_ok=True)
            hooks.promise(self.home, row.directory, work)
            ended = await Driver(self.store, Telling(WithHooks(Guarded(adapter), self.home, row.directory)), row, saga, work, asked).run()
            if ended.state.terminal:
                hooks.forget(self.home, row.id)
            log.info("%s: %s", row.id, ended.state)
        except Fenced as fenced:
            log.warning("%s", fenced)
        except Exception:  # the store can't write, most of all: it stays where it is
            log.exception("%s: broke off", row.id)
            self.resting[row.id] = time.monotonic() + REST_S

    def _adapter(self, name: str) -> Adapter:
        try:
            return self.load(name)
        except SparkiError as error:
            return MissingAdapter(str(error))

    async def _work(self, tx: Tx, row: DeploymentRow) -> Work:
        release, previous = await releases.get(tx, row.release), await releases.get(tx, row.previous)
        assert release is not None
        folder = folder_of(self.home, row.project, row.environment)
        place = Place(project=row.project, environment=row.environment, folder=folder, settings=release.settings)
        log_path = os.path.join(self.home, "logs", row.id, "deployment.log")
        return Work(
            deployment=row.id,
            epoch=row.epoch,
            place=place,
            release=_release(release),
            previous=_release(previous) if previous else None,
            results={move.step: move.data for move in await deployments.moves_of(tx, row.id) if move.data},
            secrets=lambda: self.secrets(row.project, row.environment, release.secrets),
            tell=lambda line: tell(log_path, "deployment", line),
            log=log_path,
        )


def _release(row: ReleaseRow) -> Release:
    return Release(
        id=row.id, number=row.number, commit=row.commit, tree=row.tree, artifact=row.artifact, settings=row.settings, secrets=row.secrets
    )
