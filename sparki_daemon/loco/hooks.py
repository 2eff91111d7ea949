"""Runs a deployment's `hooks`: a command on this machine before the new release starts, and one once the deployment has ended.

Each runs in the folder that the deployment was asked from, in a process that outlives loco and keeps a record of its end, once at the
most. What a hook after is to be told lies in a file until it has run: the next loco finds it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from sparki_daemon.loco import recorder
from sparki_daemon.loco.protocol import Seen, Sight, StepFailed, Steps, Work
from sparki_daemon.loco.telling import tell
from sparki_daemon.model.deploy_log import Mark
from sparki_daemon.system import files

POLL_S = 0.05
BEFORE_STEP = "prepare"  # with it: nothing has been touched yet, and a hook that fails costs nobody anything
LAST_UNDONE = "lock"
HOOK = "hook_after"  # what the log calls it, among the steps
log = logging.getLogger("sparki.loco")


def hook(work: Work, when: str) -> str:
    """The command of a deployment's hook `before` or `after`; empty: it has none."""
    return str(work.release.settings.get("hooks", {}).get(when, ""))


class WithHooks:
    """Fills `Steps` over an adapter: its step `prepare` runs the hook before, too."""

    def __init__(self, adapter: Steps, home: str, directory: str) -> None:
        self._adapter = adapter
        self.capabilities = adapter.capabilities
        self._home = home
        self._directory = directory

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        given = await self._adapter.do(step, work)
        if step == BEFORE_STEP and (command := hook(work, "before")):
            await self._before(command, work)
        return given

    async def look(self, step: str, work: Work) -> Sight:
        return await self._adapter.look(step, work)

    async def undo(self, step: str, work: Work) -> None:
        if step == LAST_UNDONE and hook(work, "before"):  # one that was cancelled, or took too long, may still run
            await asyncio.to_thread(recorder.end, _folder(self._home, work.deployment, "before"))
        await self._adapter.undo(step, work)

    async def _before(self, command: str, work: Work) -> None:
        folder = _folder(self._home, work.deployment, "before")
        if recorder.seen(folder)[0] is Seen.ABSENT:  # else an earlier loco has begun it
            work.tell(f"hook before: {command}")
            await _run(folder, command, self._directory, variables(work), work.log)
        seen, code = await _ended(folder)
        if seen is Seen.FAILED:
            raise StepFailed(f"the hook before ended with {code}")
        if seen is not Seen.DONE:
            raise StepFailed("the hook before began, and nobody can say how it ended: the machine went down, or it was killed")


def variables(work: Work) -> dict[str, str]:
    """What a hook is told of its deployment; no secret."""
    return {
        "SPARKI_DEPLOYMENT": work.deployment,
        "SPARKI_ENVIRONMENT": work.place.environment,
        "SPARKI_RELEASE": work.release.id,
        "SPARKI_RELEASE_NUMBER": str(work.release.number),
        "SPARKI_COMMIT": work.release.commit,
    }


def promise(home: str, directory: str, work: Work) -> None:
    """Note that the deployment's hook after is to run once it has ended. Raises OSError."""
    if command := hook(work, "after"):
        note = {"command": command, "directory": directory, "variables": variables(work), "log": work.log}
        files.make_folder(_notes(home), parents=0)
        files.write_atomic(_note(home, work.deployment), json.dumps(note).encode())


def promised(home: str) -> list[str]:
    """The deployments whose hook after has not run to its end."""
    try:
        return sorted(name.removesuffix(".json") for name in os.listdir(_notes(home)) if name.endswith(".json"))
    except FileNotFoundError:
        return []


async def after(home: str, deployment: str, status: str, reason: str) -> None:
    """Run the hook after of a deployment that has ended, if one was promised and has not run; how it ends changes nothing of that."""
    path = _note(home, deployment)
    note = await asyncio.to_thread(_read, path)
    if note is None:
        return
    folder = _folder(home, deployment, "after")
    if recorder.seen(folder)[0] is Seen.ABSENT:
        tell(note["log"], HOOK, f"hook after: {note['command']}", Mark.BEGUN)
        environment = {**note["variables"], "SPARKI_STATUS": status, "SPARKI_REASON": reason}
        await _run(folder, note["command"], note["directory"], environment, note["log"])
    seen, code = await _ended(folder)
    ends = {Seen.DONE: "done", Seen.FAILED: f"the hook after ended with {code}"}
    tell(note["log"], HOOK, ends.get(seen, "nobody can say how the hook after ended"), Mark.ENDED)
    os.unlink(path)
    forget(home, deployment)


def forget(home: str, deployment: str) -> None:
    """A deployment has ended: the records of its hooks may go, unless one is still to run."""
    if not os.path.exists(_note(home, deployment)):
        files.remove_tree(os.path.join(_notes(home), deployment))


async def _run(folder: str, command: str, directory: str, environment: Mapping[str, str], log_path: str) -> None:
    running = await asyncio.to_thread(_begin, folder, command, directory, environment, log_path)
    while running.poll() is None:
        await asyncio.sleep(POLL_S)


def _begin(folder: str, command: str, directory: str, environment: Mapping[str, str], log_path: str) -> subprocess.Popen[bytes]:
    return recorder.begin(folder, command, directory if os.path.isdir(directory) else "/", environment, log_path)


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            note: dict[str, Any] = json.load(file)
            return note
    except FileNotFoundError:
        return None


async def _ended(folder: str) -> tuple[Seen, int]:
    while True:
        seen, code = await asyncio.to_thread(recorder.seen, folder)
        if seen is not None:
            return seen, code
        await asyncio.sleep(POLL_S)


def _notes(home: str) -> str:
    return os.path.join(home, "hooks")


def _note(home: str, deployment: str) -> str:
    return os.path.join(_notes(home), f"{deployment}.json")


def _folder(home: str, deployment: str, when: str) -> str:
    return os.path.join(_notes(home), deployment, when)
