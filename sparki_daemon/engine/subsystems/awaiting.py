"""Deployments whose artifact a run is still to make: the run is started, and its green end gives the release its artifact, once.

Nothing of it is in memory alone: a release that waits names its runs in its row, so the next engine goes on where this one died.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sparki_daemon.engine.subsystems.going_back import refused
from sparki_daemon.engine.subsystems.releasing import Releasing, Wanted
from sparki_daemon.model.deployment import DeploymentState
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.run import RunState
from sparki_daemon.prepare import prepare
from sparki_daemon.prepare.releasing import Shipped
from sparki_daemon.queue.protocol import DEPLOYMENTS, Queue
from sparki_daemon.store import deployments, releases, runs
from sparki_daemon.store.artifacts import Artifact, Artifacts
from sparki_daemon.store.deployments import DeploymentRow
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import ReleaseRow
from sparki_daemon.store.runs import RunRow

Start = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]  # what `POST /v1/runs` takes and gives; what is left out has its default
SEARCHED = 500  # runs that are looked at for one of the same tree


class Awaiting:
    """Finds or makes artifacts; `settle` goes on with what waited for a run."""

    def __init__(self, store: Store, queue: Queue, releasing: Releasing, start: Start, home: str) -> None:
        self._store = store
        self._queue = queue
        self._releasing = releasing
        self._start_runs = start
        self._artifacts = Artifacts(os.path.join(home, "artifacts"))
        self._settling = asyncio.Lock()

    async def artifact(self, source: Shipped, project: str, request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """The artifact of a release of `source`, and the run that it is of.

        Where no green run of that tree has it, one is started, and the artifact says which runs it awaits; so too for the runs that
        `request` says must be green first (`awaits`).
        """
        wanted = Wanted.of(source.environment.settings)
        awaits: Sequence[str] = request.get("awaits") or ()
        green = await self._green(project, source.snapshot.tree)
        if not wanted.job:
            artifact = await self._releasing.source_artifact(source)
            if awaits:
                return {**artifact, "awaits": list(awaits)}, awaits[0]
            return artifact, green[0].id if green else ""
        if not awaits:
            for run in green:
                if (found := await self._found([run.id], wanted)) is not None:
                    return await self._releasing.run_artifact(found), run.id
            awaits = await self._start(source, wanted, request)
        return {"kind": "artifact", "job": wanted.job, "name": wanted.name, "awaits": list(awaits)}, awaits[0]

    async def settle(self) -> None:
        """Give each release whose runs have ended green its artifact, and end the deployments of those whose runs went red."""
        async with self._settling:
            for row, release in await self._store.read(_waiting):
                ended = await self._store.read(lambda tx, release=release: _of(tx, release.artifact["awaits"]))  # type: ignore[misc]
                red = [run for run in ended if run is not None and run.state.terminal and run.state is not RunState.SUCCESS]
                if red or None in ended:
                    reason = f"run {red[0].id} ended: {red[0].state.value}" if red else "the run that it waited for is gone"
                    await self._fail(row, reason)
                elif all(run is not None and run.state is RunState.SUCCESS for run in ended):
                    await self._fill(row, release)

    async def _fill(self, row: DeploymentRow, release: ReleaseRow) -> None:
        artifact = {key: value for key, value in release.artifact.items() if key != "awaits"}
        async with self._releasing.keeping:
            if "digest" not in artifact:
                wanted = Wanted(artifact["job"], artifact["name"])
                found = await self._found(release.artifact["awaits"], wanted)
                if found is None:
                    await self._fail(row, f"job '{wanted.job}' of the run left no artifact '{wanted.name}'")
                    return
                try:
                    artifact = await self._releasing.run_artifact(found)
                except SparkiError as error:
                    await self._fail(row, str(error))
                    return

            async def work(tx: Tx) -> None:
                if await releases.fill(tx, release, artifact):
                    await deployments.wake(tx, row.id)
                    await self._queue.put(tx, DEPLOYMENTS, [row.id])

            await self._store.write(work)

    async def _fail(self, row: DeploymentRow, reason: str) -> None:
        await self._store.write(lambda tx: deployments.drop(tx, row.id, reason, state=DeploymentState.FAILED))

    async def _green(self, project: str, tree: str) -> list[RunRow]:
        """Green runs of that tree, the newest first."""
        rows = await self._store.read(lambda tx: runs.listing(tx, project=project, limit=SEARCHED))
        return [row for row in rows if row.state is RunState.SUCCESS and row.source.get("tree") == tree]

    async def _found(self, of: Sequence[str], wanted: Wanted) -> Artifact | None:
        for run in of:
            found = await asyncio.to_thread(self._artifacts.find, run, wanted.name)
            if found is not None and found.job.partition(" (")[0] == wanted.job:  # a leg's id bears its combination
                return found
        return None

    async def _start(self, source: Shipped, wanted: Wanted, request: Mapping[str, Any]) -> list[str]:
        """Start a run of the pipeline that has the wanted job. Raises SparkiError `unknown_job`, and as a run's start does."""
        environment = dict(request.get("env") or os.environ)
        file = await asyncio.to_thread(_pipeline_with, source, wanted, environment)
        asked = {"directory": source.repository.root, "pipelines": [file], "ref": source.commit, "env": environment}
        return [started["run"] for started in (await self._start_runs(asked))["runs"]]


def _pipeline_with(source: Shipped, wanted: Wanted, environment: Mapping[str, str]) -> str:
    """The file of the pipeline that has the job: of those that a push would start, else of all."""
    root, objects = source.repository.root, os.path.join(source.repository.git_dir, "sparki-unused")
    files = _planned(root, source.commit, objects, [], environment)
    for file, jobs in files.items():
        if wanted.job in jobs:
            return file
    message = f"the environment '{source.environment.name}' takes '{wanted.name}' of job '{wanted.job}', and no pipeline has that job"
    hint = f"jobs that a push starts: {', '.join(job for jobs in files.values() for job in jobs)}"
    raise refused("unknown_job", message, hint=hint)


def _planned(root: str, ref: str, objects: str, pipelines: Sequence[str], environment: Mapping[str, str]) -> dict[str, list[str]]:
    """File → ids of its jobs, of the pipelines that would run."""
    found = prepare(root, pipelines=pipelines, jobs=(), ref=ref, objects=objects, client_env=environment)
    return {one.plan.file: [job.id for job in one.plan.jobs] for one in found.planned}


async def _waiting(tx: Tx) -> list[tuple[DeploymentRow, ReleaseRow]]:
    found = []
    for row in await deployments.unfinished(tx):
        release = await releases.get(tx, row.release) if not row.epoch else None
        if release is not None and release.artifact.get("awaits"):
            found.append((row, release))
    return found


async def _of(tx: Tx, ids: Sequence[str]) -> list[RunRow | None]:
    return [await runs.get(tx, run) for run in ids]
