"""What is kept, and for how long: drops old runs, logs, artifacts, snapshots, events, cache entries.

Rows go before files: a kill in between leaves files of no run, which the next sweep finds by that. Each turn is a short transaction.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.store import cache, journal, keys, retention
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.stamp import stamp
from sparki_daemon.system.files import remove_tree

DAY_S = 86400.0
RUNS_S, ARTIFACTS_S = 90 * DAY_S, 30 * DAY_S
LOGS_BYTES = CACHE_BYTES = 5 * 1024**3
FIRST_WAIT_S, PAUSE_S = 60.0, 3600.0
TURN_RUNS, TURN_EVENTS, TURN_SPECS = 20, 2000, 200
REST_S = 0.02  # after each turn: whoever writes meanwhile goes first
YOUNG_S = 3600.0  # a snapshot is older than that, or its run may just be beginning
log = logging.getLogger("sparki.keep")
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{16})\b")


@dataclass(slots=True)
class Gone:
    """What went, or would go."""

    runs: int = 0
    logs_bytes: int = 0
    artifacts_bytes: int = 0
    snapshots_bytes: int = 0
    cache_bytes: int = 0
    events: int = 0

    def to_json(self, *, dry_run: bool) -> dict[str, Any]:
        names = ("runs", "logs_bytes", "artifacts_bytes", "snapshots_bytes", "cache_bytes", "events")
        return {"dry_run": dry_run, **{name: getattr(self, name) for name in names}}


class Keeper:
    """Sweeps one state folder. `cache_folder`: of all caches."""

    def __init__(self, store: Store, home: str, cache_folder: str, now_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._home = home
        self._cache = cache_folder
        self._now_s = now_s
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Sweep for ever, now and then; a sweep that fails is told in the daemon's log."""
        await asyncio.sleep(FIRST_WAIT_S)
        while True:
            try:
                gone = await self.sweep()
                if gone != Gone():
                    log.info("no longer kept: %s", gone)
            except Exception:
                log.exception("a sweep failed; the next one is in an hour")
            await asyncio.sleep(PAUSE_S)

    async def sweep(self, *, dry_run: bool = False) -> Gone:
        """Drop what is no longer kept. `dry_run`: only say what would go."""
        async with self._one_at_a_time:
            gone = Gone()
            policies = await self._store.read(retention.policies)
            going = await self._runs(policies, gone, dry_run=dry_run)
            await self._artifacts(policies, going, gone, dry_run=dry_run)
            await self._logs(policies, going, gone, dry_run=dry_run)
            await self._orphans(going, gone, dry_run=dry_run)
            await self._snapshots(going, gone, dry_run=dry_run)
            await self._events(policies, gone, dry_run=dry_run)
            if not dry_run:
                gone.cache_bytes = await asyncio.to_thread(cache.prune, self._cache, CACHE_BYTES)
                await self._store.write(lambda tx: keys.forget(tx, stamp(self._now_s() - DAY_S)))
            return gone

    async def _runs(self, policies: Mapping[str, Mapping[str, Any]], gone: Gone, *, dry_run: bool) -> set[str]:
        """Drop the rows of old runs; their ids."""
        going: set[str] = set()
        for project, policy in policies.items():
            before = self._before(policy, "runs", RUNS_S)
            if dry_run:
                going |= set(await self._store.read(lambda tx, p=project, b=before: retention.old(tx, p, b, limit=10**6)))  # type: ignore[misc]
                continue
            while dropped := await self._store.write(lambda tx, p=project, b=before: _drop_some(tx, p, b)):  # type: ignore[misc]
                going |= set(dropped)
                await asyncio.sleep(REST_S)
        gone.runs = len(going)
        return going

    async def _artifacts(self, policies: Mapping[str, Mapping[str, Any]], going: set[str], gone: Gone, *, dry_run: bool) -> None:
        there = await asyncio.to_thread(_names, self._path("artifacts"))
        for run in await self._store.read(retention.ended) if there else ():
            if run.id in there and run.id not in going and run.finished < self._before(policies[run.project], "artifacts", ARTIFACTS_S):
                gone.artifacts_bytes += await self._remove("artifacts", run.id, dry_run=dry_run)

    async def _logs(self, policies: Mapping[str, Mapping[str, Any]], going: set[str], gone: Gone, *, dry_run: bool) -> None:
        """Remove the oldest logs of each project that has more than its share."""
        there = await asyncio.to_thread(_names, self._path("logs"))
        seen: set[str] = set()
        left = {project: int(policy.get("logs_bytes", LOGS_BYTES)) for project, policy in policies.items()}
        for run in reversed(await self._store.read(retention.ended) if there else []):  # the newest stay
            if run.id not in going and run.project not in seen:  # the newest that ended keeps its log, however long it is
                seen.add(run.project)
                left[run.project] -= await asyncio.to_thread(_size, self._path("logs", run.id))
            elif run.id in there and run.id not in going:
                left[run.project] -= await asyncio.to_thread(_size, self._path("logs", run.id))
                if left[run.project] < 0:
                    gone.logs_bytes += await self._remove("logs", run.id, dry_run=dry_run)

    async def _orphans(self, going: set[str], gone: Gone, *, dry_run: bool) -> None:
        """Remove the files of runs that are no more, and logs of old deployments.

        Names are looked at first and rows then: a new run has its row before its files.
        """
        names = {kind: await asyncio.to_thread(_names, self._path(kind)) for kind in ("logs", "artifacts")}
        before = self._before({}, "runs", RUNS_S)
        existing = await self._store.read(lambda tx: retention.existing(tx, before))
        for run in sorted(name for name in names["logs"] if name not in existing or name in going):
            gone.logs_bytes += await self._remove("logs", run, dry_run=dry_run)
        for run in sorted(name for name in names["artifacts"] if name not in existing or name in going):
            gone.artifacts_bytes += await self._remove("artifacts", run, dry_run=dry_run)

    async def _snapshots(self, going: set[str], gone: Gone, *, dry_run: bool) -> None:
        """Remove the snapshots that no kept run may be started from again."""
        old = await asyncio.to_thread(_older, self._path("snapshots"), self._now_s() - YOUNG_S)
        after = ""
        while old and (page := await self._store.read(lambda tx, a=after: retention.specs(tx, a, limit=TURN_SPECS))):  # type: ignore[misc]
            after = page[-1][0]
            for run, spec in page:
                old.difference_update(() if run in going else _SNAPSHOT.findall(spec))
            await asyncio.sleep(0)
        for name in sorted(old):
            gone.snapshots_bytes += await self._remove("snapshots", name, dry_run=dry_run)

    async def _events(self, policies: Mapping[str, Mapping[str, Any]], gone: Gone, *, dry_run: bool) -> None:
        """Drop events that are older than the runs of every project may get. Whoever asks for one gets 410 and the first one kept."""
        if dry_run:
            return
        kept_s = max([float(policy.get("runs_s", RUNS_S)) for policy in policies.values()], default=RUNS_S)
        before = stamp(self._now_s() - kept_s)

        async def drop(tx: Tx) -> int:
            return await journal.drop_before(tx, await retention.events_end(tx, before, limit=TURN_EVENTS))

        while dropped := await self._store.write(drop):
            gone.events += dropped
            await asyncio.sleep(REST_S)

    async def _remove(self, kind: str, name: str, *, dry_run: bool) -> int:
        path = self._path(kind, name)
        size = await asyncio.to_thread(_size, path)
        if not dry_run and (left := await asyncio.to_thread(remove_tree, path)):
            log.warning("could not be removed: %s", "; ".join(left[:5]))
        return size

    def _before(self, policy: Mapping[str, Any], what: str, default_s: float) -> str:
        return stamp(self._now_s() - float(policy.get(f"{what}_s", default_s)))

    def _path(self, *parts: str) -> str:
        return os.path.join(self._home, *parts)


async def _drop_some(tx: Tx, project: str, before: str) -> list[str]:
    found = await retention.old(tx, project, before, limit=TURN_RUNS)
    return [run for run in found if await retention.drop(tx, run, before)]


def _names(folder: str) -> set[str]:
    return set(os.listdir(folder)) if os.path.isdir(folder) else set()


def _older(folder: str, than_s: float) -> set[str]:
    """The names in a folder that nothing was added to since."""
    return {name for name in _names(folder) if os.lstat(os.path.join(folder, name)).st_mtime < than_s}


def _size(path: str) -> int:
    """Bytes of the files under a path; what goes meanwhile counts nothing."""
    return sum(_sizes(path))


def _sizes(path: str) -> Iterable[int]:
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                yield os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
