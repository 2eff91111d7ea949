"""Runs: from a request, by way of snapshot and plan, to jobs in the queue; and what people ask of them later."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Any

from sparki_daemon.builder.ports import Stop
from sparki_daemon.engine.scheduler import NewRun, Scheduler
from sparki_daemon.engine.views import run_summary, run_view
from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline import needs
from sparki_daemon.pipeline.choose import choose
from sparki_daemon.pipeline.plan import plan as make_plan
from sparki_daemon.runner.environment import choose as choose_environment
from sparki_daemon.source import files as source_files
from sparki_daemon.source import github_context, repository, snapshot
from sparki_daemon.store import jobs, journal, keys, projects, runs, steps
from sparki_daemon.store.protocol import Store, Tx


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a request comes to before anything is written."""

    project_path: str
    directory: str
    plans: tuple[Plan, ...]
    source: dict[str, Any]
    facts: github_context.Facts
    taken: snapshot.Snapshot
    root: str
    branch: str | None


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
        ids = _new_ids()
        prepared = await asyncio.to_thread(self._prepare, request, os.path.join(self._home, "snapshots", next(ids)))
        return await self._store.write(partial(self._begin, request, prepared, key, digest, ids))

    def _prepare(self, request: dict[str, Any], objects: str) -> Prepared:
        directory = request["directory"]
        found = repository.find(directory)
        ref = request.get("ref")
        taken = snapshot.at_revision(found, ref, objects) if ref else snapshot.take(found, objects)
        facts = github_context.facts(found, taken)
        documents = choose(source_files.pipelines(found, taken if ref else None), request.get("pipelines") or [], facts.branch_name, facts.default_branch)
        plans = tuple(needs.select_jobs(make_plan(document), request.get("jobs") or []) for document in documents)
        source = {"tree": taken.tree, "commit": taken.head or taken.commit, "dirty": taken.dirty, "branch": facts.branch_name}
        return Prepared(found.common_dir, directory, plans, source, facts, taken, found.root, found.branch)

    async def _begin(self, request: dict[str, Any], prepared: Prepared, key: str | None, digest: str, ids: Any, tx: Tx) -> dict[str, Any]:
        if key and (known := await keys.recall(tx, key, digest)):
            return dict(known)
        project = await projects.find_or_add(tx, prepared.project_path, fresh=f"p-{secrets.token_hex(4)}")
        since = await journal.head(tx)
        started = []
        for plan in prepared.plans:
            run = f"r-{next(ids)}"
            number = await runs.next_number(tx, project, plan.file)
            spec = self._spec(request, prepared, run, plan, number)
            options = {"max_parallel": request.get("max_parallel"), "jobs": request.get("jobs") or [], "directory": prepared.directory}
            await self._scheduler.begin(tx, NewRun(run, project, plan, number, prepared.source, spec, options))
            started.append({"run": run, "pipeline": plan.name, "file": plan.file})
        answer = {"runs": started, "since": since}
        if key:
            await keys.remember(tx, key, digest, answer)
        return answer

    def _spec(self, request: dict[str, Any], prepared: Prepared, run: str, plan: Plan, number: int) -> dict[str, Any]:
        """What all jobs of the run share (RunSpec, the plan apart)."""
        event = github_context.push_event(prepared.facts)
        return {
            "run": run,
            "github": github_context.github_context(prepared.facts, event_name="push", event=event, workflow=plan.name, run_id=run, run_number=number),
            "event": event,
            "inputs": {},
            "vars": {},
            "source": {"worktree": prepared.root, "branch": prepared.branch, "snapshot": prepared.taken.to_json()},
            "env": choose_environment(request["env"]),
            "home": "job",
            "user_home": request["env"].get("HOME", ""),
            "workspace": request.get("workspace") or "empty",
        }

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
            return run_view(row, await jobs.of_run(tx, run.id), await steps.of_run(tx, run.id), plan)

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


def _new_ids() -> Any:
    """Endless random hexadecimal words for run ids."""
    while True:
        yield secrets.token_hex(4)
