"""Deployments in memory that keep the API's promises; no platform is behind them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from sparki_daemon.model.deployment import STEPS
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

TIME = "2026-01-02T03:04:05.678Z"


def refusal(code: str, exit_code: ExitCode = ExitCode.USAGE) -> SparkiError:
    return SparkiError(Problem(code=code, message=f"{code} was met"), exit_code=exit_code)


class DeployTwin:
    """Fills `DeployPort`: every deployment waits for an approval until somebody gives it, and is live then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.in_maintenance: set[str] = set()

    async def deploy(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        if request["environment"] == "nowhere":
            raise refusal("unknown_environment", ExitCode.NOT_FOUND)
        if idempotency_key in self.keys:
            known, answer = self.keys[idempotency_key]
            if known != request:
                raise refusal("idempotency_mismatch")
            return answer
        number = len(self.made) + 1
        deployment = f"d-{number:08x}"
        line = {"id": deployment, "environment": request["environment"], "release": f"v-{number:08x}", "commit": "c", "status": "waiting"}
        self.made[deployment] = {**line, "step": None, "created": TIME, "finished": None, "run": None, "waits": [{"for": "approval"}]}
        answer = {"deployment": deployment, "environment": request["environment"], "release": line["release"], "since": 0, "notes": []}
        if idempotency_key is not None:
            self.keys[idempotency_key] = request, answer
        return answer

    async def plan(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["environment"] == "nowhere":
            raise refusal("unknown_environment", ExitCode.NOT_FOUND)
        nothing: dict[str, Any] = {"live": None, "commits": None, "undone": None, "variables": {"added": [], "removed": []}}
        steps = [{"name": rule.name, "does": rule.does, "usual_ms": None} for rule in STEPS]
        about = {"environment": request["environment"], "adapter": "twin", "commit": "c", "artifact": {"kind": "source"}}
        return {**about, **nothing, "steps": steps, "waits": []}

    async def rollback(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        return await self.deploy(request, idempotency_key)

    async def promote(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        return await self.deploy(request, idempotency_key)

    async def listing(self, *, directory: str | None, environment: str | None, limit: int) -> list[dict[str, Any]]:
        return [one for one in reversed(self.made.values()) if environment in (None, one["environment"])][:limit]

    async def show(self, deployment: str) -> dict[str, Any]:
        step = {"status": "pending", "reason": "", "started": None, "finished": None, "took_ms": None}
        return {**self._found(deployment), "steps": [{"name": rule.name, "does": rule.does, **step} for rule in STEPS]}

    def _found(self, word: str) -> dict[str, Any]:
        if word not in self.made:
            raise refusal("no_such_deployment", ExitCode.NOT_FOUND)
        return self.made[word]

    async def log(self, deployment: str) -> str:
        return os.path.join(self.folder, f"{self._found(deployment)['id']}.log")

    async def cancel(self, deployment: str, *, keep: bool) -> dict[str, Any]:
        return await self._end(deployment, "cancelled")

    async def approve(self, deployment: str) -> dict[str, Any]:
        return await self._end(deployment, "live")

    async def resolve(self, deployment: str, outcome: str) -> dict[str, Any]:
        self._found(deployment)
        raise refusal("deployment_not_unknown")

    async def _end(self, deployment: str, status: str) -> dict[str, Any]:
        found = self._found(deployment)
        if found["finished"]:
            raise refusal("deployment_finished")
        found.update(status=status, finished=TIME, waits=[])
        return await self.show(deployment)

    async def environments(self, directory: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "adapter": "twin", "live": None, "since": None, "deploying": None, "maintenance": name in self.in_maintenance}
            for name in sorted({one["environment"] for one in self.made.values()})
        ]

    async def environment(self, directory: str, name: str) -> dict[str, Any]:
        if name not in {one["environment"] for one in self.made.values()}:
            raise refusal("no_such_environment", ExitCode.NOT_FOUND)
        return {"name": name, "adapter": "twin", "url": None, "live": None, "deploying": None, "drift": []}

    async def releases(self, directory: str, name: str, limit: int) -> list[dict[str, Any]]:
        await self.environment(directory, name)
        made = [one for one in self.made.values() if one["environment"] == name][:limit]
        more = {"tree": "t", "created": TIME, "live": False, "run": None}
        return [{"id": one["release"], "commit": one["commit"], **more} for one in made]

    async def service_log(self, directory: str, name: str, *, release: str, follow: bool) -> AsyncIterator[str]:
        await self.environment(directory, name)

        async def lines() -> AsyncIterator[str]:
            yield f"{name} serves"

        return lines()

    async def execute(self, directory: str, name: str, command: Sequence[str]) -> Callable[[Callable[[str], None]], Awaitable[int]]:
        await self.environment(directory, name)

        async def run(tell: Callable[[str], None]) -> int:
            await asyncio.sleep(0)
            tell(" ".join(command))
            return 3

        return run

    async def maintenance(self, directory: str, name: str, *, on: bool) -> dict[str, Any]:
        shown = await self.environment(directory, name)
        self.in_maintenance = self.in_maintenance | {name} if on else self.in_maintenance - {name}
        return {**shown, "maintenance": on}

    async def down(self, directory: str, name: str) -> dict[str, Any]:
        return await self.environment(directory, name)


class BindTwin:
    """Fills `BindPort`: every folder but /nowhere has a repository; no hook has written anything down but the push `known`."""

    def __init__(self) -> None:
        self.bound: dict[str, dict[str, Any]] = {}

    async def bind(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["directory"] == "/nowhere":
            raise refusal("no_repository", ExitCode.NOT_FOUND)
        new = request["directory"] not in self.bound
        made = {"project": "p-1", "remote": request["remote"], "address": "/home/bound/p-1.git", "pre_push": request["pre_push"]}
        self.bound[request["directory"]] = made
        return {**made, "new": new}

    async def unbind(self, directory: str) -> dict[str, Any]:
        if directory not in self.bound:
            raise refusal("not_bound", ExitCode.NOT_FOUND)
        return {**self.bound.pop(directory), "removed": True}

    async def receive(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["push"] != "known":
            raise refusal("no_such_push", ExitCode.NOT_FOUND)
        return {"updates": [], "problems": [], "directory": "/repo", "follow": True}
