"""What runners are handed: the shared file of a run, and one job's part."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Container
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.engine.resuming import Kept
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.spec import JobSpec, ResumeSpec
from sparki_daemon.system import files
from sparki_daemon.vault.of_runs import RunSecrets

if TYPE_CHECKING:
    from sparki_daemon.engine.caching import Caching

SPARE = ".spare-"  # before the name of the runner that keeps such a folder for its next job


class Specs:
    """Paths and specs under one state folder. `fast` is a folder in memory where there is one: many small files live there a while.

    `keeps`: the workspaces of jobs that fail. `lasting`: the state folder outlives this process.
    """

    def __init__(self, home: str, fast: str, cache: str = "", *, keeps: bool = False, lasting: bool = True) -> None:
        self._lasting = lasting
        self._home = home
        self._fast = fast
        self._cache = cache or os.path.join(home, "cache")
        self._written: set[str] = set()
        self.secrets = RunSecrets(home)
        self.kept = Kept(home)
        self._keeps = keeps

    @cached_property
    def caching(self) -> Caching:
        """The engine's side of the job cache, made when a job that declares one is met."""
        from sparki_daemon.engine.caching import Caching  # noqa: PLC0415  # most runs have no such job

        return Caching(self._home, self._cache)

    @property
    def fast(self) -> str:
        """The folder in memory, or what stands for it."""
        return self._fast

    @property
    def cache(self) -> str:
        """The folder of all caches."""
        return self._cache

    def run_folder(self, run: str, attempt: int) -> str:
        """Where the jobs of one attempt at a run work; gone once it has ended."""
        return os.path.join(self._home, "work", run if attempt == 1 else f"{run}.{attempt}")

    def log_path(self, run: str, key: str, attempt: int) -> str:
        """The log of one attempt at a job, without its suffix."""
        name = key if attempt == 1 else f"{key}.{attempt}"
        return os.path.join(self._home, "logs", run, name)

    def log_size(self, log: str) -> int:
        """Bytes that the log at `log` (as `log_path` names it) has now."""
        try:
            return os.stat(f"{log}.log").st_size
        except FileNotFoundError:
            return 0

    def attempt_folder(self, uid: str, epoch: int) -> str:
        """Where the command files, scripts and RUNNER_TEMP of one attempt at a job lie; its runner removes it, unless it is killed."""
        return os.path.join(self._fast, f"{uid}.{epoch}")

    def forget_runner(self, runner: str) -> None:
        """A runner is dead: what it kept for its next job goes."""
        for folder in (os.path.join(self._home, "work"), self._fast):
            files.remove_tree(os.path.join(folder, f"{SPARE}{runner}"))

    def leftovers(self) -> Leftovers:
        """What lies in the folders where jobs work."""
        return Leftovers(self._home, self._fast, self.kept)

    def keep_logs(self, run: str) -> None:
        """Bring the names of the run's logs to the disk, before its end is told. Their bytes were brought there at each job's end."""
        if not self._lasting:
            return
        logs = os.path.join(self._home, "logs")
        with contextlib.suppress(OSError):  # a run without a log; or a disk that fails: then the commit that follows says so
            files.sync_folder(os.path.join(logs, run))
            files.sync_folder(logs)

    def forget(self, run: str) -> None:
        """The run has ended: its shared file goes with its folder."""
        self._written = {path for path in self._written if f"/{run}/" not in path and f"/{run}." not in path}

    def sweep_runner(self, runner: str) -> None:
        """Remove the folders that a dead runner kept to use again, and those of the jobs that it did not end."""
        for folder in (os.path.join(self._home, "work"), self._fast):
            files.remove_tree(os.path.join(folder, f"{SPARE}{runner}"))

    def without_secrets(self, live: Live) -> str:
        """Why the run's secrets can't be had any more, since its vault's key is gone, say; empty: they can, or it has none."""
        try:
            self.secrets.of(live.run, live.attempt)
        except (SparkiError, OSError, ValueError) as error:
            return f"the run's secrets can't be read: {error}"
        return ""

    def job(self, live: Live, job: LiveJob, needs: dict[str, Any]) -> JobSpec:
        """One attempt at a job as its runner gets it; the run's shared file is there before this returns."""
        folder = self.run_folder(live.run, live.attempt)
        place = f"{job.uid}.{job.row.epoch}"
        spec = JobSpec(
            job=job.uid,
            key=job.plan.id,
            run=live.run,
            run_file=self._run_file(live, folder),
            attempt=job.row.attempt,
            epoch=job.row.epoch,
            needs=needs,
            name=job.row.name,
            work=os.path.join(folder, place),
            temp=self.attempt_folder(job.uid, job.row.epoch),
            log=job.row.log,
            artifacts=os.path.join(self._home, "artifacts"),
            cache=self._cache,
        )
        if self._keeps:
            spec["kept"] = self.kept.place(job.uid, job.row.epoch)
        if job.row.resume:
            resume = json.loads(job.row.resume)
            spec["resume"] = ResumeSpec(kept=resume["kept"], step=resume["step"])
            spec["work"] = resume["work"]
        if secrets := self.secrets.of(live.run, live.attempt):
            spec["secrets"] = secrets
        if job.plan.cache is not None and (keep := self.caching.ticket(live, job)):
            bring_to = live.spec["job_cache"].get("bring_to")
            spec["keep"] = {**keep, "bring_to": bring_to} if bring_to else keep
        return spec

    def _run_file(self, live: Live, folder: str) -> str:
        path = os.path.join(folder, f"run.{live.expansions}.json" if live.expansions else "run.json")
        if path not in self._written or not os.path.exists(path):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            os.makedirs(os.path.join(self._home, "logs", live.run), mode=0o700, exist_ok=True)
            body = f'{{"plan":{live.plan_text},{json.dumps(live.spec).removeprefix("{")}'
            files.write_atomic(path, body.encode(), durable=False)  # the state file has it too
            self._written.add(path)
        return path


class Leftovers:
    """What lay in the folders where jobs work at one moment: look first, ask the journal then, so that nothing new is taken for old."""

    def __init__(self, home: str, fast: str, kept: Kept) -> None:
        self._kept = kept
        self._runners = os.path.join(home, "runners")
        self._work = os.path.join(home, "work")
        self._fast = fast
        self._of_runs, self._of_jobs = _names(self._work), _names(fast)
        self._holds = os.path.join(home, "holds")

    def remove(self, runs: Container[str], attempts: Container[str]) -> list[str]:
        """Remove what is neither of the active `runs`, nor of `attempts` at jobs (uid, a dot, epoch), nor a living runner's spare.

        Gives what could not be removed, as messages.
        """
        left = []
        for name in self._of_runs:
            if not (self._is_spare(name) or (run := name.partition(".")[0]) in runs):
                left += self._kept.clear(os.path.join(self._work, name), run, 0)
        for name in self._of_jobs:
            if not (self._is_spare(name) or name in attempts):
                left += files.remove_tree(os.path.join(self._fast, name))
        for name in _names(self._holds):  # of commands that were killed while steps would have waited for them
            if not files.is_locked(path := os.path.join(self._holds, name)):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        return left

    def _is_spare(self, name: str) -> bool:
        return name.startswith(SPARE) and files.is_locked(os.path.join(self._runners, f"{name.removeprefix(SPARE)}.lock"))


def _names(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
