"""Answers what people ask of past runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sparki_daemon.engine.subsystems.run import Beside, in_a_thread
from sparki_daemon.model import history as past
from sparki_daemon.source import repository
from sparki_daemon.store import history, projects, runs
from sparki_daemon.store.protocol import Store, Tx

ASPECTS: dict[str, Callable[[Iterable[past.Ended]], list[dict[str, Any]]]] = {
    "flaky": past.flaky,
    "slow": past.slow,
    "expensive": past.expensive,
}


class History:
    """The past of runs, read from the store."""

    def __init__(self, store: Store, beside: Beside = in_a_thread) -> None:
        self._store = store
        self._beside = beside

    async def of_jobs(self, aspect: str, *, directory: str | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` jobs of the repository at `directory`, or of all: `flaky`, `slow` or `expensive`."""
        path = (await self._beside(repository.find, directory)).common_dir if directory else None

        async def read(tx: Tx) -> list[past.Ended]:
            project = await projects.find(tx, path) if path else None
            return [] if path and project is None else await history.of_project(tx, project)

        return ASPECTS[aspect](await self._store.read(read))[:limit]

    async def of_run(self, run: runs.RunRow) -> dict[str, Any]:
        """What the runs of the same pipeline up to `run` say of it."""
        ends, ended, more = await self._store.read(lambda tx: history.up_to(tx, run))
        return past.of_run(run.id, ends, ended, more=more)
