"""A platform that a test can look into: what runs, what has traffic, and what happened, with faults where a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparki_daemon.loco.protocol import Capabilities, Observed, Place, Release, Seen, Sight, StepFailed, Strategy, Work
from sparki_daemon.model.problem import Problem


class Died(BaseException):
    """The process that ran the step was killed there."""


@dataclass
class Platform:
    """What is outside, and outlives every adapter: releases that run, with who started them; the one that has traffic."""

    running: dict[str, str] = field(default_factory=dict)  # release → deployment
    traffic: str = ""
    commands: list[str] = field(default_factory=list)  # deployments whose release command ran
    starts: list[tuple[str, str]] = field(default_factory=list)
    acting: set[str] = field(default_factory=set)  # deployments in the middle of a call, for who must be alone
    together: int = 0  # the most at once


@dataclass
class TwinAdapter:
    """Fills `Adapter` over a `Platform`. `fails` names steps that fail; `dies` where the process is killed: `before:STEP`, `after:STEP`."""

    platform: Platform
    fails: set[str] = field(default_factory=set)
    dies: str = ""
    hangs: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    undo_fails: set[str] = field(default_factory=set)
    undo_hangs: set[str] = field(default_factory=set)
    name: str = "twin"
    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(strategies=frozenset({Strategy.BLUEGREEN}), warm=True))

    def problems(self, place: Place) -> Sequence[Problem]:
        return []

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        self._die(f"before:{step}")
        if step in self.hangs:
            await asyncio.sleep(3600)
        await asyncio.sleep(0)
        platform, release = self.platform, work.release.id
        if step in self.fails:
            raise StepFailed(f"{step} does not work")
        if step == "release_command":
            platform.commands.append(work.deployment)
        elif step == "start":
            platform.running[release] = work.deployment
            platform.starts.append((work.deployment, release))
        elif step == "switch":
            platform.traffic = release
        elif step == "retire" and work.previous and work.previous.id != release:
            platform.running.pop(work.previous.id, None)
        self.done.append(step)
        self._die(f"after:{step}")
        return {"did": step}

    async def look(self, step: str, work: Work) -> Sight:
        if step in self.unclear:
            return Sight(Seen.UNCLEAR, reason="it can't be told")
        happened = {
            "release_command": work.deployment in self.platform.commands,
            "start": self.platform.running.get(work.release.id) == work.deployment,
            "switch": self.platform.traffic == work.release.id,
        }[step]
        return Sight(Seen.DONE if happened else Seen.ABSENT, {"did": step} if happened else {})

    async def undo(self, step: str, work: Work) -> None:
        self._die(f"before:undo:{step}")
        if step in self.undo_fails:
            raise StepFailed("it does not let itself be undone")
        while step in self.undo_hangs:
            await asyncio.sleep(0.01)
        if step == "start" and self.platform.running.get(work.release.id) == work.deployment:
            del self.platform.running[work.release.id]
        elif step == "switch" and self.platform.traffic == work.release.id:
            self.platform.traffic = work.previous.id if work.previous else ""
        self.undone.append(step)
        self._die(f"after:undo:{step}")

    def _die(self, where: str) -> None:
        if self.dies == where:
            self.dies = ""
            raise Died(where)

    async def observe(self, place: Place) -> Observed:
        return Observed(release=self.platform.traffic, healthy=self.platform.traffic in self.platform.running)

    def logs(self, place: Place, *, release: str, follow: bool) -> AsyncIterator[str]:
        raise NotImplementedError

    async def execute(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> int:
        raise NotImplementedError

    async def maintenance(self, place: Place, *, on: bool) -> None:
        raise NotImplementedError

    async def down(self, place: Place) -> None:
        self.platform.running.clear()
        self.platform.traffic = ""

    async def forget(self, place: Place, release: Release) -> None:
        self.platform.running.pop(release.id, None)
