"""An adapter that another package brings, over a platform that is one file: outlives loco and engine, and a test can read it.

The environment's key `twin` has faults: `fails` and `hangs` name steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from sparki_daemon.loco.protocol import Capabilities, Observed, Place, Release, Seen, Sight, StepFailed, Strategy, Work
from sparki_daemon.model.problem import Problem

EMPTY: dict[str, Any] = {"running": {}, "traffic": "", "starts": [], "maintenance": False, "forgotten": []}


class TwinAdapter:
    name = "twin"
    capabilities = Capabilities(
        strategies=frozenset({Strategy.BLUEGREEN}),
        exec=True,
        logs=True,
        maintenance=True,
        down=True,
        warm=True,
        release_command=True,
        artifacts=frozenset({"source", "artifact"}),
    )

    def problems(self, place: Place) -> Sequence[Problem]:
        if not place.settings.get("command"):
            return [Problem(code="missing_key", message="the adapter 'twin' needs a 'command'")]
        return []

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        faults = work.place.settings.get("twin") or {}
        platform, release = _read(work.place), work.release.id
        work.tell(f"{step}: begins")
        if step in faults.get("fails", ()):
            raise StepFailed(f"{step} does not work")
        if step in faults.get("hangs", ()):
            await asyncio.sleep(3600)
        if step == "ship":
            with tarfile.open(work.release.artifact["path"]) as archive:
                archive.extractall(os.path.join(work.place.folder, release), filter="data")
        elif step == "start":
            platform["running"][release] = work.deployment
            platform["starts"].append([work.deployment, release])
        elif step == "switch":
            platform["traffic"] = release
        elif step == "retire" and work.previous and work.previous.id != release:
            platform["running"].pop(work.previous.id, None)
        _write(work.place, platform)
        return {"did": step}

    async def look(self, step: str, work: Work) -> Sight:
        platform = _read(work.place)
        happened = {
            "release_command": False,
            "start": platform["running"].get(work.release.id) == work.deployment,
            "switch": platform["traffic"] == work.release.id,
        }[step]
        if step == "release_command" and (work.place.settings.get("twin") or {}).get("unclear"):
            return Sight(Seen.UNCLEAR, reason="it can't be told")
        return Sight(Seen.DONE if happened else Seen.ABSENT)

    async def undo(self, step: str, work: Work) -> None:
        platform = _read(work.place)
        if step == "start" and platform["running"].get(work.release.id) == work.deployment:
            del platform["running"][work.release.id]
        elif step == "switch" and platform["traffic"] == work.release.id:
            platform["traffic"] = work.previous.id if work.previous else ""
        _write(work.place, platform)

    async def observe(self, place: Place) -> Observed:
        platform = _read(place)
        traffic = platform["traffic"]
        return Observed(
            release=traffic,
            healthy=traffic in platform["running"],
            url="http://127.0.0.1:1",
            facts={"starts": len(platform["starts"])},
            settings=platform.get("settings", {}),
        )

    async def logs(self, place: Place, *, release: str, follow: bool) -> AsyncIterator[str]:
        yield f"{release} says hello"

    async def execute(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> int:
        tell(" ".join(command))
        return 3

    async def maintenance(self, place: Place, *, on: bool) -> None:
        _write(place, {**_read(place), "maintenance": on})

    async def down(self, place: Place) -> None:
        _write(place, {**_read(place), "running": {}, "traffic": ""})

    async def forget(self, place: Place, release: Release) -> None:
        platform = _read(place)
        platform["forgotten"].append(release.id)
        _write(place, platform)


def _read(place: Place) -> dict[str, Any]:
    try:
        with open(os.path.join(place.folder, "platform.json"), "rb") as file:
            found: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return json.loads(json.dumps(EMPTY))  # type: ignore[no-any-return]
    return found


def _write(place: Place, platform: Mapping[str, Any]) -> None:
    path = os.path.join(place.folder, "platform.json")
    with open(f"{path}.new", "w") as file:
        json.dump(platform, file)
    os.rename(f"{path}.new", path)


ADAPTER = TwinAdapter()
