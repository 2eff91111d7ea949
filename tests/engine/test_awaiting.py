"""Deployments that wait for runs: begun by the green end of all of them, exactly once, whoever dies; ended by a red one."""

from __future__ import annotations

import asyncio
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.engine.deploying import Deploying
from sparki_daemon.loco.missing import MissingAdapter
from sparki_daemon.loco.protocol import Capabilities
from sparki_daemon.model.run import RunEvent
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.queue.protocol import DEPLOYMENTS
from sparki_daemon.store import deployments, journal, releases, runs
from sparki_daemon.store.artifacts import Artifacts
from sparki_daemon.store.deployments import DeploymentRow
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.releases import ReleaseRow
from sparki_daemon.store.sqlite import SqliteStore


class Patient(MissingAdapter):
    """Takes whatever it is asked about; nothing is deployed here."""

    name = "patient"
    capabilities = Capabilities(strategies=frozenset(), artifacts=frozenset({"source", "artifact"}))

    def problems(self, place: Any) -> list[Any]:
        return []


class NoRuns:
    """Stands for the subsystem of runs where none is to be started."""

    async def start(self, request: dict[str, Any], key: str | None) -> dict[str, Any]:
        raise AssertionError("a run was started")


class Engine:
    """A repository, a store, and the part of the engine that deploys; `again` is the next engine on the same state folder."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.folder, self.store, self.queue = folder, store, EmbeddedQueue()
        self.root = folder / "repo"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main", ".")
        self.settings("")
        self.deploying = self.again()

    def again(self) -> Deploying:
        return Deploying(str(self.folder), self.store, self.queue, NoRuns(), lambda _: Patient("no"))  # type: ignore[arg-type]

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        return subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def settings(self, more: str) -> None:
        (self.root / "sparki.yml").write_text(f"environments: {{staging: {{adapter: patient{more}}}}}\n")
        self.git("add", ".")
        self.git("commit", "-qm", "settings", "--allow-empty")

    async def run(self, name: str, project: str = "p-1", tree: str = "") -> None:
        more = {"pipeline": "ci", "file": "ci.yml", "source": {"tree": tree}, "plan": "{}", "spec": {}}
        await self.store.write(lambda tx: runs.create(tx, name, project=project, **more))

    async def end(self, name: str, how: RunEvent) -> None:
        await self.store.write(lambda tx: runs.move(tx, name, how))

    async def ask(self, *awaits: str) -> str:
        request = {"directory": str(self.root), "environment": "staging", "awaits": list(awaits)}
        return str((await self.deploying.deploy(request, None))["deployment"])

    async def look(self, deployment: str) -> tuple[DeploymentRow, ReleaseRow, list[str]]:
        async def read(tx: Tx) -> tuple[DeploymentRow, ReleaseRow, list[str]]:
            row = await deployments.get(tx, deployment)
            assert row is not None
            release = await releases.get(tx, row.release)
            assert release is not None
            return row, release, await self.queue.waiting(tx, DEPLOYMENTS)

        return await self.store.read(read)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    yield Engine(tmp_path, store)
    await store.close()


async def test_it_waits_until_every_run_is_green(engine: Engine) -> None:
    await engine.run("r-1")
    await engine.run("r-2")
    made = await engine.ask("r-1", "r-2")
    row, release, _ = await engine.look(made)
    assert (row.state, row.waits, row.run) == ("waiting", ({"for": "run", "runs": ["r-1", "r-2"]},), "r-1")

    await engine.end("r-1", RunEvent.PASSED)
    await engine.deploying.awaiting.settle()
    assert (await engine.look(made))[0].state == "waiting"

    await engine.end("r-2", RunEvent.PASSED)
    await engine.deploying.awaiting.settle()
    row, release, queued = await engine.look(made)
    assert (row.state, row.waits, queued) == ("queued", (), [made])
    assert set(release.artifact) == {"kind", "digest", "path", "bytes"}


async def test_a_red_run_ends_it_with_the_reason(engine: Engine) -> None:
    await engine.run("r-1")
    made = await engine.ask("r-1")
    await engine.end("r-1", RunEvent.FAILED)

    await engine.deploying.awaiting.settle()

    row, _, _ = await engine.look(made)
    assert (row.state, row.reason) == ("failed", "run r-1 ended: failure")


async def test_a_run_that_has_ended_already_is_no_wait(engine: Engine) -> None:
    await engine.run("r-1")
    await engine.end("r-1", RunEvent.PASSED)

    assert (await engine.look(await engine.ask("r-1")))[0].state == "queued"


async def test_two_engines_that_settle_at_once_begin_it_once(engine: Engine) -> None:
    await engine.run("r-1")
    made = await engine.ask("r-1")
    await engine.end("r-1", RunEvent.PASSED)

    await asyncio.gather(*(engine.again().awaiting.settle() for _ in range(4)))

    kinds = [event.kind for event in await engine.store.read(_events) if event.stream in (made, (await engine.look(made))[0].release)]
    assert kinds.count("release.filled") == kinds.count("deployment.queued") == 1


async def _events(tx: Tx) -> Any:
    return await journal.since(tx, 0, limit=1000)


async def test_the_next_engine_goes_on_where_the_last_one_died(engine: Engine) -> None:
    await engine.run("r-1")
    made = await engine.ask("r-1")
    await engine.end("r-1", RunEvent.PASSED)

    await engine.again().awaiting.settle()

    assert (await engine.look(made))[0].state == "queued"


async def test_the_artifact_of_the_newest_green_run_of_that_tree_is_copied(engine: Engine) -> None:
    engine.settings(", artifact: build/site")
    project = await engine.deploying._deployments.project_of(str(engine.root))
    tree = engine.git("rev-parse", "HEAD^{tree}")
    artifacts = Artifacts(str(engine.folder / "artifacts"))
    for number, source in ((1, tree), (2, tree), (3, "another")):
        name = f"r-{number}"
        await engine.run(name, project, source)
        await engine.end(name, RunEvent.PASSED)
        (engine.folder / "file").write_text(f"of {name}")
        artifacts.save(name, 1, "site", [("index.html", str(engine.folder / "file"))], job="build (3.12)")

    row, release, _ = await engine.look(await engine.ask())
    artifacts.remove("r-2")

    assert (row.run, release.artifact["kind"]) == ("r-2", "artifact")
    with tarfile.open(release.artifact["path"]) as archive:
        file = archive.extractfile("index.html")
        assert file is not None
        assert file.read() == b"of r-2"


async def test_a_green_run_without_the_artifact_fails_it(engine: Engine) -> None:
    engine.settings(", artifact: build/site")
    await engine.run("r-1")
    made = await engine.ask("r-1")
    await engine.end("r-1", RunEvent.PASSED)

    await engine.deploying.awaiting.settle()

    row, _, _ = await engine.look(made)
    assert (row.state, row.reason) == ("failed", "job 'build' of the run left no artifact 'site'")
