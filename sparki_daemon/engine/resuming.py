"""The kept workspaces of jobs that have failed: which jobs go on there and at which step, and how long they are kept."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.runner.kept import RESUME, digest
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
        place = self.place(row.uid, row.epoch)
        try:
            with open(os.path.join(place, RESUME), "rb") as file:
                state = json.load(file)
        except (OSError, ValueError):
            raise SparkiError(_gone(row)) from None
        steps = next(job.steps for job in plan.jobs if job.id == row.key)
        at = state["failed"] if not step else _named(step, state, [one.id for one in steps], row)
        if state["digests"][at] != digest(steps[:at]):
            message = f"the steps before '{state['names'][at]}' of job '{row.key}' are not those that its workspace was made by"
            raise SparkiError(Problem(code="steps_changed", message=message, hint=f"sparki retry {row.run} --failed"))
        return {"kept": place, "step": at, "work": state["work"]}

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
                found.append((os.stat(os.path.join(path, RESUME)).st_mtime, path))
        left: list[str] = []
        for place, (kept_at, path) in enumerate(sorted(found, reverse=True)):
            if path not in self._wanted and (place >= MOST or time.time() - kept_at > MOST_AGE_S):
                left += files.remove_tree(path)
        return left


def _gone(row: JobRow) -> Problem:
    message = f"the workspace of job '{row.key}' is not there: it is kept for {MOST_AGE_S / 86400:.0f} days, of the last {MOST} jobs in"
    why = "which a step failed, and not if they were given secrets, were cancelled or were lost"
    return Problem(code="workspace_gone", message=f"{message} {why}", hint=f"from its first step: sparki retry {row.run} --failed")


def _named(step: str, state: Mapping[str, Any], ids: Sequence[str], row: JobRow) -> int:
    names: list[str] = state["names"]
    for index, name in enumerate(names):
        if step in (name, ids[index], str(index + 1)):
            return index
    message = f"job '{row.key}' has no step '{step}' up to the one that failed, '{names[-1]}'"
    hint = did_you_mean(step, [*names, *filter(None, ids)]) or f"steps: {', '.join(names)}"
    raise SparkiError(Problem(code="no_such_step", message=message, hint=hint), exit_code=ExitCode.NOT_FOUND)
