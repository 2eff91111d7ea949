"""Runs: from a request, by way of snapshot and plan, to jobs in the queue; and what people ask of them later."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sparki_daemon.builder.ports import Stop
from sparki_daemon.engine.folding import uid_of
from sparki_daemon.engine.run_spec import number_of, run_spec
from sparki_daemon.engine.scheduler import NewRun, Scheduler
from sparki_daemon.engine.specs import Specs
from sparki_daemon.engine.subsystems.request_digest import request_digest
from sparki_daemon.engine.views import run_summary, run_view
from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.plan import Plan, plan_from_json
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.secret_names import secrets_of_plan
from sparki_daemon.prepare import Planned, Prepared, prepare
from sparki_daemon.runner.environment import choose as choose_environment
from sparki_daemon.runner.summary import summary_path
from sparki_daemon.source import files as source_files
from sparki_daemon.source import repository
from sparki_daemon.source.early import EarlySource
from sparki_daemon.source.push import update_from_json
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import from_json
from sparki_daemon.store import jobs, journal, keys, projects, runs, steps
from sparki_daemon.store.deployments_of_run import deployments_of_run
from sparki_daemon.store.protocol import Store, Tx

if TYPE_CHECKING:
    from sparki_daemon.vault.sources import Sources


@dataclass(frozen=True, slots=True)
class Given:
    """The secrets that a request brings: values by name, and names whose values are this machine's to find."""

    values: Mapping[str, str] = field(default_factory=dict)
    names: Collection[str] = ()


T = TypeVar("T")
NONE_GIVEN = Given()


class Beside(Protocol):
    """Does work that may take long, and gives its result."""

    async def __call__(self, work: Callable[..., T], /, *arguments: Any) -> T: ...


async def in_a_thread(work: Callable[..., T], /, *arguments: Any) -> T:
    """Fills `Beside`: the event loop goes on meanwhile."""
    import asyncio  # noqa: PLC0415  # `sparki ci` has no event loop, and does not pay for one

    return await asyncio.to_thread(work, *arguments)


class Runs:
    """Starts, lists, shows, cancels and retries runs."""

    def __init__(
        self, store: Store, scheduler: Scheduler, home: str, specs: Specs, beside: Beside = in_a_thread, early: EarlySource | None = None
    ) -> None:
        """`early`: the source of the one request that there will be."""
        self._early = early
        self._beside = beside
        self._store = store
        self._scheduler = scheduler
        self._home = home
        self._of_runs = specs.secrets
        self._kept = specs.kept
        self._specs = specs

    async def start(self, request: dict[str, Any], key: str | None) -> dict[str, Any]:
        """Start the pipelines that `request` asks for; the same key with the same request starts nothing twice."""
        digest = request_digest(request) if key else ""
        if key and (known := await self._store.read(lambda tx: keys.recall(tx, key, digest))):
            return dict(known)
        objects = os.path.join(self._home, "snapshots", os.urandom(8).hex())
        prepared, values = await self._beside(self._prepared, request, objects)
        ids = [f"r-{os.urandom(4).hex()}" for _ in prepared.planned]
        await self._beside(self._keep_secrets, ids, values)
        begun: set[str] = set()
        try:
            answer = await self._store.write(partial(self._begin, request, prepared, ids, key, digest))
            begun = {started["run"] for started in answer["runs"]}
        except BaseException as error:
            if not isinstance(error, Exception):  # cancelled: it may be written all the same
                begun = set(ids)
            raise
        finally:
            for run in set(ids) - begun:  # refused, or begun by the first of two equal requests
                self._of_runs.forget(run, 1)
        return answer

    def _prepared(self, request: dict[str, Any], objects: str) -> tuple[Prepared, dict[str, str]]:
        """The runs' plans, and the values of the secrets that they read or were given."""
        given = request.get("secrets", {})

        def sources(found: Repository) -> Sources:
            from sparki_daemon.vault.sources import Sources  # noqa: PLC0415  # few runs read a secret
            from sparki_daemon.vault.store import Secrets  # noqa: PLC0415

            return Sources(Secrets(self._home), found.project_dir, found.root, given)

        prepared = _prepared(request, objects, lambda found: sources(found).names(), self._early)
        path = choose_environment(request["env"]).get("PATH", os.defpath)
        for planned in prepared.planned if not request.get("no_cache") else ():
            if any(job.cache for job in planned.plan.jobs):
                self._specs.caching.prime(planned.plan, prepared.snapshot, path)
        read = {name for planned in prepared.planned for name in secrets_of_plan(planned.plan)}
        wanted = request.get("secret_names", ())
        return prepared, sources(prepared.repository).values(read, wanted) if read or wanted or given else {}

    def _keep_secrets(self, runs_of: list[str], values: dict[str, str]) -> None:
        for run in runs_of:
            self._of_runs.keep(run, 1, values)

    async def _begin(
        self, request: dict[str, Any], prepared: Prepared, ids: list[str], key: str | None, digest: str, tx: Tx
    ) -> dict[str, Any]:
        if key and (known := await keys.recall(tx, key, digest)):
            return dict(known)
        project = await projects.find_or_add(tx, prepared.repository.project_dir, fresh=f"p-{os.urandom(4).hex()}")
        since = await journal.head(tx)
        pairs = zip(ids, prepared.planned, strict=True)
        started = [await self._begin_one(tx, request, prepared, planned, project, run) for run, planned in pairs]
        notes = [note.to_json() for note in prepared.notes]
        answer = {"runs": started, "since": since, "notes": notes}
        if key:
            await keys.remember(tx, key, digest, answer)
        return answer

    async def _begin_one(
        self, tx: Tx, request: dict[str, Any], prepared: Prepared, planned: Planned, project: str, run: str
    ) -> dict[str, Any]:
        number = await runs.next_number(tx, project, planned.plan.file)
        new = NewRun(
            id=run,
            project=project,
            plan=planned.plan,
            number=number,
            title=planned.title(variables=prepared.variables, run_id=number_of(run), run_number=number),
            source=prepared.source,
            spec=run_spec(request, prepared, planned, project, run, number, home=self._home),
            options={
                "max_parallel": request.get("max_parallel"),
                "jobs": request["jobs"],
                "directory": request["directory"],
                "retention": prepared.settings.retention,
                "secrets": sorted(request.get("secrets", ())),  # names: a retry needs their values again
            },
        )
        await self._scheduler.begin(tx, new)
        jobs_of = [{"id": job.id, "uid": uid_of(run, place), "name": job.name} for place, job in enumerate(planned.plan.jobs)]
        return {"run": run, "pipeline": planned.plan.name, "file": planned.plan.file, "jobs": jobs_of}

    async def listing(self, *, directory: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
        project_path = (await self._beside(repository.find, directory)).common_dir if directory else None

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
                path = (await self._beside(repository.find, directory)).common_dir
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
            view = run_view(row, found, by_job, plan, {job.uid: _summary(job) for job in found if job.summary_bytes})
            return {**view, "deployments": await deployments_of_run(tx, run.id)}

        return await self._store.read(read)

    async def cancel(self, word: str, *, force: bool) -> tuple[str, list[Stop]]:
        """Cancel a run: (its id, the jobs that must be told)."""
        run = (await self.find(word)).id
        return run, await self._store.write(lambda tx: self._scheduler.cancel(tx, run, force=force))

    async def retry(
        self, word: str, *, failed: bool, from_step: str | None = None, key: str | None, given: Given = NONE_GIVEN
    ) -> dict[str, Any]:
        """Begin the run's next attempt; the same key begins one only. With `from_step` red jobs go on in their kept workspaces.

        Raises SparkiError `secrets_gone` for values that it lacks, and what `Kept.choose` raises.
        """
        row = await self.find(word)
        run, attempt = row.id, row.attempt + 1
        digest = f"retry {run} {failed}" if from_step is None else f"retry {run} from {from_step}"
        if key and (known := await self._store.read(lambda tx: keys.recall(tx, key, digest))):
            return dict(known)
        values = await self._secrets_again(row, given) if row.state.terminal else {}
        await self._beside(self._of_runs.keep, run, attempt, values)

        async def write(tx: Tx) -> dict[str, Any]:
            if key and (known := await keys.recall(tx, key, digest)):
                return dict(known)
            since = await journal.head(tx)
            resume = await self._resumed(tx, run, attempt, from_step) if from_step is not None else {}
            again = await self._scheduler.retry(tx, run, failed=failed or from_step is not None, resume=resume)
            answer = {"run": run, "attempt": again, "since": since}
            if key:
                await keys.remember(tx, key, digest, answer)
            return answer

        try:
            return {**await self._store.write(write), "file_changed": await self._file_changed(row)}
        except Exception:
            if not await self._is_at(run, attempt):
                self._of_runs.forget(run, attempt)
            raise

    async def _resumed(self, tx: Tx, run: str, attempt: int, step: str) -> dict[str, dict[str, Any]]:
        """Where the red jobs of an ended run go on. Raises SparkiError; one that has not ended is told by the retry itself."""
        row = await runs.get(tx, run)
        if row is None or not row.state.terminal:
            return {}
        chosen = self._kept.choose(plan_from_json((await runs.documents(tx, run))[0]), await jobs.of_run(tx, run), step)
        self._kept.want(run, attempt, chosen)
        return chosen

    async def _file_changed(self, row: runs.RunRow) -> bool:
        """Whether the pipeline's file is another now than the run's own, by which its attempts go."""

        def differs(spec: dict[str, Any]) -> bool:
            try:
                own = source_files.read(from_json(spec["source"]["snapshot"]), row.file)
                with open(os.path.join(spec["source"]["worktree"], row.file), "rb") as file:
                    return own is not None and file.read() != own
            except (OSError, SparkiError):
                return False  # no working tree, or no file in it: there is nothing to mix it up with

        _, spec = await self._store.read(lambda tx: runs.documents(tx, row.id))
        return await self._beside(differs, spec)

    async def _is_at(self, run: str, attempt: int) -> bool:
        """Whether somebody else has begun that attempt meanwhile."""
        row = await self._store.read(lambda tx: runs.get(tx, run))
        return row is not None and row.attempt >= attempt and not row.state.terminal

    async def _secrets_again(self, row: runs.RunRow, given: Given) -> dict[str, str]:
        """The values of the secrets that a run read, for another attempt: those of the first are gone."""

        async def read(tx: Tx) -> tuple[Plan, dict[str, Any], str]:
            plan, spec = await runs.documents(tx, row.id)
            return plan_from_json(plan), spec, await projects.path_of(tx, row.project) or ""

        plan, spec, project = await self._store.read(read)
        names = secrets_of_plan(plan) | set(row.options.get("secrets", ()))
        if not names and not given.values and not given.names:
            return {}
        from sparki_daemon.vault.sources import Sources  # noqa: PLC0415  # as above
        from sparki_daemon.vault.store import Secrets  # noqa: PLC0415

        sources = Sources(Secrets(self._home), project, spec["source"]["worktree"], given.values)
        values = await self._beside(sources.values, names, given.names)
        if gone := sorted(set(row.options.get("secrets", ())) - values.keys()):
            again = " ".join(f"--secret {name}" for name in gone)
            message = f"run {row.id} was given {', '.join(gone)} when it was started, and no value is kept once a run has ended"
            hint = f"sparki retry {row.id} {again}   (with {'its value' if len(gone) == 1 else 'their values'} in the environment)"
            raise SparkiError(Problem(code="secrets_gone", message=message, hint=hint))
        return values


def _prepared(
    request: dict[str, Any], objects: str, secret_names: Callable[[Repository], Collection[str]], early: EarlySource | None
) -> Prepared:
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
        secrets=secret_names,
        actions=request.get("actions"),
        update=update_from_json(request["pushed"]) if request.get("pushed") else None,
        early=early,
    )


def _summary(job: jobs.JobRow) -> str:
    """The Markdown that the steps of a job wrote; empty where it was pruned."""
    try:
        with open(summary_path(job.log), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
