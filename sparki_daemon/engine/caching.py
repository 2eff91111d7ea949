"""The engine's side of the job cache: which key a job has now, and what an earlier result gives it."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.spec import CacheSpec, KeepSpec
from sparki_daemon.pipeline import cache_key
from sparki_daemon.pipeline.cache_inputs import SourceFiles
from sparki_daemon.pipeline.needs import needs_context
from sparki_daemon.source import files
from sparki_daemon.source.snapshot import Snapshot, from_json
from sparki_daemon.store import job_cache
from sparki_daemon.store.artifacts import Artifacts
from sparki_daemon.store.job_cache import Entry, EntryDamaged, JobCache
from sparki_daemon.toolchains.tools import Tools

MOST_TREES = 8  # listings of trees that are remembered
MOST_REASONS = 40  # that are told of one job


@dataclass(frozen=True, slots=True)
class Hit:
    """An earlier result that stands for a job; its log lies at the place of the job's own."""

    entry: Entry
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Miss:
    """A job that declares a cache, and runs all the same."""

    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Common:
    """What the jobs of one run meet alike."""

    live: Live
    github: Mapping[str, Any]
    files: SourceFiles


class Caching:
    """Looks results up. Used by the scheduler inside its transactions: whatever it reads of a run's source was read by `prime` before."""

    def __init__(self, home: str, cache: str) -> None:
        self._root = cache or os.path.join(home, "cache")
        self._artifacts = os.path.join(home, "artifacts")
        self._trees: OrderedDict[str, SourceFiles] = OrderedDict()
        self._tools = Tools()
        self._common: _Common | None = None  # of the run that was looked at last
        system = os.uname()
        self._system = f"{system.sysname} {system.machine}"

    def prime(self, plan: Plan, snapshot: Snapshot, path: str) -> None:
        """Read what looking up the jobs of a plan will need, where it may take its time. Raises SparkiError."""
        cached = [job for job in plan.jobs if job.cache is not None]
        if cached:
            self._files(snapshot)
        for name in {tool for job in cached if job.cache for tool in job.cache.tools}:
            self._tools.version(name, path)

    def look(self, live: Live, job: LiveJob, log_path: str) -> Hit | Miss | None:
        """An earlier result for a job that is about to run, its log put to `log_path`; None for a job that declares no cache."""
        if job.plan.cache is None:
            return None
        if refused := self._refused(live, job):
            return Miss({"hit": False, "key": None, "against": None, "why": [refused]})
        keep = self._kept_at(live, job)
        note: list[str] = []
        try:
            if entry := job_cache.look(keep["slot"], keep["key"]):
                self._bring(live, entry, log_path)
                return Hit(entry, {"hit": True, "key": keep["key"], "against": entry.result.run, "why": []})
        except EntryDamaged as damaged:
            note = [f"the entry of its key was damaged, and is removed: {damaged}"]
        except OSError as error:
            note = [f"its entry could not be brought back: {error.strerror}: '{error.filename}'"]
        return Miss({"hit": False, "key": keep["key"], **_compared(keep, note)})

    def ticket(self, live: Live, job: LiveJob) -> KeepSpec | None:
        """Where the job's result is to be kept; None: it declares no cache, or may not use it. Raises SparkiError of git's."""
        return None if job.plan.cache is None or self._refused(live, job) else self._kept_at(live, job)

    def _kept_at(self, live: Live, job: LiveJob) -> KeepSpec:
        assert job.plan.cache is not None
        if job.keep is None:
            parts = cache_key.parts_of(live.plan.env, job.plan, self._around(live, job))
            slot = JobCache(self._root, live.spec["project"]).slot(live.plan.file, job.plan.id)
            job.keep = KeepSpec(slot=slot, key=cache_key.key_of(parts), parts=parts, outputs=list(job.plan.cache.outputs))
        return job.keep

    def _refused(self, live: Live, job: LiveJob) -> str:
        """Why a job that declares a cache may not use it; empty: it may."""
        use: CacheSpec | None = live.spec.get("job_cache")
        if use is None or not use["use"]:
            return "the cache is off for this run"
        if secret := cache_key.secret_of(live.plan.env, job.plan):
            return f"it reads {secret}, and what reads secrets is never kept"
        if job.row.attempt > 1:
            return "it is tried again"
        return ""

    def _bring(self, live: Live, entry: Entry, log_path: str) -> None:
        if folder := live.spec["job_cache"].get("bring_to"):
            job_cache.bring_files(entry, folder)
        job_cache.bring_log(entry, log_path)
        place = os.path.join(self._artifacts, live.run, str(live.attempt))
        job_cache.bring_artifacts(entry, place, run=live.run, attempt=live.attempt)
        job_cache.touch(entry)

    def _around(self, live: Live, job: LiveJob) -> cache_key.Around:
        spec, plan, common = live.spec, job.plan, self._common_of(live)
        assert plan.cache is not None
        downloads = any("download-artifact" in step.uses for step in plan.steps)
        found = Artifacts(self._artifacts).listing(live.run) if downloads else []
        return cache_key.Around(
            contexts={
                "github": common.github,
                "inputs": spec["inputs"],
                "vars": spec["vars"],
                "needs": needs_context(plan, live.results),
            },
            files=common.files,
            system=self._system,
            settings={"home": spec["home"], "workspace": spec.get("workspace", "")},
            variables=spec["env"],
            tools={name: self._tools.version(name, spec["env"].get("PATH", os.defpath)) for name in plan.cache.tools},
            artifacts={artifact.name: artifact.digest for artifact in found},
        )

    def _common_of(self, live: Live) -> _Common:
        """What is the same for all jobs of a run. Raises SparkiError."""
        if self._common is None or self._common.live is not live:
            files = self._files(from_json(live.spec["source"]["snapshot"]))
            self._common = _Common(live, {**live.github, "event": live.spec["event"]}, files)
        return self._common

    def _files(self, snapshot: Snapshot) -> SourceFiles:
        """The files of a snapshot. Raises SparkiError."""
        name = ".".join([snapshot.tree, *(module.snapshot.tree for module in snapshot.submodules)])
        known = self._trees.get(name)
        if known is None:
            known = self._trees[name] = SourceFiles.of(name, files.digests(snapshot))
            while len(self._trees) > MOST_TREES:
                self._trees.popitem(last=False)
        self._trees.move_to_end(name)
        return known


def _compared(keep: KeepSpec, note: list[str]) -> Mapping[str, Any]:
    """Against which earlier run a job differs, and in what."""
    found = job_cache.newest(keep["slot"])
    if found is None:
        return {"against": None, "why": note or ["no result of it is kept yet"]}
    entry, parts = found
    why = [*note, *cache_key.changes(parts, keep["parts"])]
    more = [f"and {len(why) - MOST_REASONS} more"] if len(why) > MOST_REASONS else []
    return {"against": entry.result.run, "why": why[:MOST_REASONS] + more}
