"""The kept workspaces of jobs that have failed: which jobs go on there and at which step, and how long they are kept."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.runner.kept import RESUME, WHY_NOT, digest
from sparki_daemon.store.jobs import JobRow
from sparki_daemon.system import files

MOST = 10  # workspaces
MOST_AGE_S = 2 * 24 * 3600.0
RED = (JobState.FAILURE, JobState.LOST, JobState.CANCELLED)


class Kept:
    """The kept workspaces under one state folder."""

    def __init__(self, home: str) -> None:
        self._folder = os.path.join(home, "kept")
        self._work = os.path.join(home, "work")
        self._wanted: dict[str, tuple[str, int]] = {}  # folders that a run's attempt goes on in → run, attempt

    def place(self, uid: str, epoch: int) -> str:
        """Where the workspace of one attempt at a job is kept."""
        return os.path.join(self._folder, f"{uid}.{epoch}")

    def choose(self, plan: Plan, rows: Sequence[JobRow], step: str) -> dict[str, dict[str, Any]]:
        """Where each red job of a run goes on, by uid: at its first failed step, or at the one that `step` names, by id, name or number.

        Raises SparkiError where there is none, or one can't.
        """
        red = [row for row in rows if row.state in RED]
        if not red:
            message = f"every job of run {rows[0].run} succeeded: there is no step to begin at"
            raise SparkiError(Problem(code="nothing_to_retry", message=message, hint="`sparki retry` runs all of them again"))
        return {row.uid: self._of_job(plan, row, step) for row in red}

    def _of_job(self, plan: Plan, row: JobRow, step: str) -> dict[str, Any]:
        place, state = self._found(row)
        if state is None:
            raise SparkiError(_gone(row, _why_not(place)))
        steps = next(job.steps for job in plan.jobs if job.id == row.key)
        at = state["failed"] if not step else _named(step, state, [one.id for one in steps], row)
        if state["digests"][at] != digest(steps[:at]):
            message = f"the steps before '{state['names'][at]}' of job '{row.key}' are not those that its workspace was made by"
            raise SparkiError(Problem(code="steps_changed", message=message, hint=f"sparki retry {row.run} --failed"))
        return {"kept": place, "step": at, "work": state["work"]}

    def _found(self, row: JobRow) -> tuple[str, dict[str, Any] | None]:
        """Where a job's workspace is kept, with what its runner noted there; None: nowhere.

        One that was brought back, and whose runner died before a step ran in it, bears the name that it had at work.
        """
        own = self.place(row.uid, row.epoch)
        for place in [own, *([os.path.join(self._folder, os.path.basename(json.loads(row.resume)["work"]))] if row.resume else [])]:
            with contextlib.suppress(OSError, ValueError), open(os.path.join(place, RESUME), "rb") as file:
                return place, json.load(file)
        return own, None

    def restore(self, unfinished: Iterable[JobRow], attempts: Mapping[str, int]) -> None:
        """Know again what is gone on in, after a start: `unfinished` jobs, and the attempt that each active run is at."""
        for job in unfinished:
            if job.resume and job.run in attempts:
                self.want(job.run, attempts[job.run], {job.uid: json.loads(job.resume)})

    def want(self, run: str, attempt: int, chosen: Mapping[str, Mapping[str, Any]]) -> None:
        """These are gone on in by that attempt: nobody removes them before it has ended."""
        for one in chosen.values():
            self._wanted |= {one["kept"]: (run, attempt), one["work"]: (run, attempt)}

    def clear(self, folder: str, run: str, ended: int) -> list[str]:
        """Remove the folder of a run's jobs whose attempts up to `ended` have ended; what could not be removed, as messages.

        A workspace in which no step has run since it was brought back is kept again: its runner died too early.
        """
        self._wanted = {path: (of, attempt) for path, (of, attempt) in self._wanted.items() if of != run or attempt > ended}
        if not os.path.isdir(folder) or os.path.islink(folder):
            return files.remove_tree(folder)
        left: list[str] = []
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if path in self._wanted or not os.path.isdir(path) or os.path.islink(path):
                continue
            if os.path.exists(os.path.join(path, RESUME)):
                with contextlib.suppress(OSError):
                    os.makedirs(self._folder, mode=0o700, exist_ok=True)
                    os.rename(path, os.path.join(self._folder, name))
                    continue
            left += files.remove_tree(path)
        return left or ([] if any(path.startswith(f"{folder}/") for path in self._wanted) else files.remove_tree(folder))

    def sweep(self) -> list[str]:
        """Drop what is old, or too much; what could not be removed, as messages."""
        found = []
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            path = os.path.join(self._folder, name)
            with contextlib.suppress(OSError):
                if name.endswith(WHY_NOT):
                    if time.time() - os.stat(path).st_mtime > MOST_AGE_S:
                        os.unlink(path)
                    continue
                found.append((os.stat(os.path.join(path, RESUME)).st_mtime, path))
        left: list[str] = []
        for place, (kept_at, path) in enumerate(sorted(found, reverse=True)):
            if path not in self._wanted and (place >= MOST or time.time() - kept_at > MOST_AGE_S):
                left += files.remove_tree(path)
        return left


def _why_not(place: str) -> str:
    """What the runner noted when it did not keep a workspace; empty: it noted nothing."""
    try:
        with open(place + WHY_NOT, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _gone(row: JobRow, why: str) -> Problem:
    if not why and row.state is not JobState.FAILURE:
        why = "it was lost with its runner" if row.state is JobState.LOST else "it was cancelled"
    kept = f"of the last {MOST} jobs in which a step failed, each for {MOST_AGE_S / 86400:.0f} days"
    message = f"the workspace of job '{row.key}' {f'was not kept: {why}' if why else f'is not there any more: it is kept {kept}'}"
    return Problem(code="workspace_gone", message=message, hint=f"from its first step: sparki retry {row.run} --failed")


def _named(step: str, state: Mapping[str, Any], ids: Sequence[str], row: JobRow) -> int:
    names: list[str] = state["names"]
    for index, name in enumerate(names):
        if step in (name, ids[index], str(index + 1)):
            return index
    message = f"job '{row.key}' has no step '{step}' up to the one that failed, '{names[-1]}'"
    hint = did_you_mean(step, [*names, *filter(None, ids)]) or f"steps: {', '.join(names)}"
    raise SparkiError(Problem(code="no_such_step", message=message, hint=hint), exit_code=ExitCode.NOT_FOUND)
