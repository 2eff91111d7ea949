"""Keeps the results of jobs within their bounds, and says what had to go."""

from __future__ import annotations

import asyncio
from typing import Any

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source import repository
from sparki_daemon.store import job_cache, jobs, projects, runs
from sparki_daemon.store.job_cache import Entry, JobCache
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.system import clock

DEFAULT_BYTES = 5 << 30  # Source: the design, "Keeping"


class Evicting:
    """The results of each project in the folder of caches `root`."""

    def __init__(self, store: Store, root: str) -> None:
        self._store = store
        self._root = root
        self._one_at_a_time = asyncio.Lock()

    async def after(self, run: str) -> None:
        """A run has ended: if it kept results, let what is too much go, with `cache.evicted`."""

        async def read(tx: Tx) -> tuple[str, int] | None:
            row = await runs.get(tx, run)
            if row is None or not any('"kept"' in job.cache for job in await jobs.of_run(tx, run)):
                return None
            _, spec = await runs.documents(tx, run)
            return row.project, (spec.get("job_cache") or {}).get("limit_bytes", DEFAULT_BYTES)

        found = await self._store.read(read)
        if found is None:
            return
        gone = await self._prune(*found)
        if gone:
            told = [_view(entry) for entry in gone]
            await self._store.write(lambda tx: tx.append("cache.evicted", stream=run, run=run, entries=told))

    async def listing(self, directory: str) -> dict[str, Any]:
        """What `sparki cache ls --json` says. Raises SparkiError where there is no repository."""
        project = await self._project(directory)
        found = await asyncio.to_thread(job_cache.all_entries, JobCache(self._root, project).folder) if project else []
        return {
            "entries": [_view(entry) for entry in found],
            "bytes": sum(entry.result.size_bytes for entry in found),
            "limit": await self._limit(project),
        }

    async def prune(self, directory: str, limit_bytes: int | None) -> dict[str, Any]:
        """Let results go until no more than `limit_bytes` are left; None: the project's own bound."""
        project = await self._project(directory)
        limit = await self._limit(project) if limit_bytes is None else limit_bytes
        gone = await self._prune(project, limit) if project else []
        return {"evicted": [_view(entry) for entry in gone]}

    async def _prune(self, project: str, limit_bytes: int) -> list[Entry]:
        async with self._one_at_a_time:
            return await asyncio.to_thread(job_cache.prune, JobCache(self._root, project).folder, limit_bytes)

    async def _project(self, directory: str) -> str | None:
        path = (await asyncio.to_thread(repository.find, directory)).common_dir
        return await self._store.read(lambda tx: projects.find(tx, path))

    async def _limit(self, project: str | None) -> int:
        """The bound that the project's last run read in its sparki.yml."""

        async def read(tx: Tx) -> int:
            try:
                last = await runs.find(tx, "latest", project=project or "")
            except SparkiError:
                return DEFAULT_BYTES
            _, spec = await runs.documents(tx, last.id)
            return int((spec.get("job_cache") or {}).get("limit_bytes", DEFAULT_BYTES))

        return await self._store.read(read)


def _view(entry: Entry) -> dict[str, Any]:
    result = entry.result
    return {
        "key": entry.key,
        "job": result.job,
        "run": result.run,
        "bytes": result.size_bytes,
        "duration_ms": result.duration_ms,
        "files": len(result.files),
        "created": clock.rfc3339(result.created_ms),
        "used": clock.rfc3339(entry.used_ms),
    }
