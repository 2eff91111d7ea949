"""Runs: from a request, by way of snapshot and plan, to jobs in the queue; and what people ask of them later."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from functools import partial
from typing import Any

from sparki_daemon.builder.ports import Stop
from sparki_daemon.engine.scheduler import NewRun, Scheduler
from sparki_daemon.engine.views import run_summary, run_view
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.prepare import Planned, Prepared, prepare
from sparki_daemon.runner.environment import choose as choose_environment
from sparki_daemon.runner.summary import summary_path
from sparki_daemon.source import repository
from sparki_daemon.store import jobs, journal, keys, projects, runs, steps
from sparki_daemon.store.protocol import Store, Tx


class Runs:
    """Starts, lists, shows, cancels and retries runs."""

    def __init__(self, store: Store, scheduler: Scheduler, home: str) -> None:
        self._store = store
        self._scheduler = scheduler
        self._home = home

    async def start(self, request: dict[str, Any], key: str | None) -> dict[str, Any]:
        """Start the pipelines that `request` asks for; the same key with the same request starts nothing twice."""
        digest = hashlib.blake2b(json.dumps(request, sort_keys=True).encode(), digest_size=16).hexdigest()
        if key and (known := await self._store.read(lambda tx: keys.recall(tx, key, digest))):
            return dict(known)
        objects = os.path.join(self._home, "snapshots", secrets.token_hex(8))
        prepared = await asyncio.to_thread(_prepared, request, objects)
        return await self._store.write(partial(self._begin, request, prepared, key, digest))

    async def _begin(self, request: dict[str, Any], prepared: Prepared, key: str | None, digest: str, tx: Tx) -> dict[str, Any]:
        if key and (known := await keys.recall(tx, key, digest)):
            return dict(known)
        project = await projects.find_or_add(tx, prepared.repository.common_dir, fresh=f"p-{secrets.token_hex(4)}")
        since = await journal.head(tx)
        started = [await self._begin_one(tx, request, prepared, planned, project) for planned in prepared.planned]
        notes = [note.to_json() for note in prepared.notes]
        answer = {"runs": started, "since": since, "notes": notes}
        if key:
            await keys.remember(tx, key, digest, answer)
        return answer

    async def _begin_one(self, tx: Tx, request: dict[str, Any], prepared: Prepared, planned: Planned, project: str) -> dict[str, Any]:
        run = f"r-{secrets.token_hex(4)}"
        number = await runs.next_number(tx, project, planned.plan.file)
        new = NewRun(
            id=run,
            project=project,
            plan=planned.plan,
            number=number,
            title=planned.title(variables=prepared.variables, run_id=_number_of(run), run_number=number),
            source=prepared.source,
            spec=_spec(request, prepared, planned, project, run, number),
            options={"max_parallel": request.get("max_parallel"), "jobs": request["jobs"], "directory": request["directory"]},
        )
        await self._scheduler.begin(tx, new)
        return {"run": run, "pipeline": planned.plan.name, "file": planned.plan.file}

    async def listing(self, *, directory: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
        project_path = (await asyncio.to_thread(repository.find, directory)).common_dir if directory else None

        async def read(tx: Tx) -> list[dict[str, Any]]:
            project = await projects.find(tx, project_path) if project_path else None
            if project_path and project is None:
                return []
            seq = (await runs.find(tx, before)).seq if before else None
            return [run_summary(row) for row in await runs.listing(tx, project=project, limit=limit, before=seq)]

        return await self._store.read(read)

    async def find(self, word: str, *, directory: str | None = None) -> runs.RunRow:
        """The run that `word` names. Raises SparkiError: `no_such_run`, `ambiguous_run`."""
        path = None
        if word == "latest" and directory:
            try:
                path = (await asyncio.to_thread(repository.find, directory)).common_dir
            except SparkiError:
                path = None  # outside any repository: the latest of all

        async def read(tx: Tx) -> runs.RunRow:
            project = await projects.find(tx, path) if path else None
            if path and project is None:
                problem = Problem(code="no_such_run", message="this project has no run yet", hint="sparki run starts one")
                raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
            return await runs.find(tx, word, project=project)

        return await self._store.read(read)

    async def show(self, word: str, *, directory: str | None) -> dict[str, Any]:
        run = await self.find(word, directory=directory)

        async def read(tx: Tx) -> dict[str, Any]:
            row = await runs.get(tx, run.id) or run
            plan, _ = await runs.documents(tx, run.id)
            by_job: dict[str, list[steps.StepRow]] = {}
            for step in await steps.of_run(tx, run.id):
                by_job.setdefault(step.job, []).append(step)
            found = await jobs.of_run(tx, run.id)
            return run_view(row, found, by_job, plan, {job.uid: _summary(job) for job in found if job.summary_bytes})

        return await self._store.read(read)

    async def cancel(self, word: str, *, force: bool) -> tuple[str, list[Stop]]:
        """Cancel a run: (its id, the jobs that must be told)."""
        run = (await self.find(word)).id
        return run, await self._store.write(lambda tx: self._scheduler.cancel(tx, run, force=force))

    async def retry(self, word: str, *, failed: bool, key: str | None) -> dict[str, Any]:
        """Begin the run's next attempt; the same key begins one only."""
        run = (await self.find(word)).id
        digest = f"retry {run} {failed}"

        async def write(tx: Tx) -> dict[str, Any]:
            if key and (known := await keys.recall(tx, key, digest)):
                return dict(known)
            since = await journal.head(tx)
            answer = {"run": run, "attempt": await self._scheduler.retry(tx, run, failed=failed), "since": since}
            if key:
                await keys.remember(tx, key, digest, answer)
            return answer

        return await self._store.write(write)


def _prepared(request: dict[str, Any], objects: str) -> Prepared:
    return prepare(
        request["directory"],
        pipelines=request["pipelines"],
        jobs=request["jobs"],
        ref=request.get("ref"),
        objects=objects,
        event=request.get("event", ""),
        event_payload=request.get("event_payload"),
        inputs=request.get("inputs"),
        variables=request.get("variables"),
        env=request.get("lowest_env"),
        matrix=[(name, value) for name, _, value in (word.partition("=") for word in request.get("matrix", ()))],
        workspace=request.get("workspace", ""),
        client_env=request["env"],
    )


def _spec(request: dict[str, Any], prepared: Prepared, planned: Planned, project: str, run: str, number: int) -> dict[str, Any]:
    """What all jobs of the run share: a RunSpec without the plan."""
    return {
        "run": run,
        "project": project,
        "github": {**planned.github, "run_id": _number_of(run), "run_number": str(number)},
        "event": planned.event,
        "inputs": planned.inputs,
        "vars": dict(prepared.variables),
        "source": {
            "worktree": prepared.repository.root,
            "branch": planned.branch,
            "snapshot": prepared.snapshot.to_json(),
        },
        "env": choose_environment(request["env"]),
        "home": prepared.settings.home,
        "user_home": request["env"].get("HOME", ""),
    }


def _summary(job: jobs.JobRow) -> str:
    """The Markdown that the steps of a job wrote; empty where it was pruned."""
    try:
        with open(summary_path(job.log), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number_of(run: str) -> str:
    """GITHUB_RUN_ID is a number on GitHub."""
    return str(int(run.removeprefix("r-"), base=16))
