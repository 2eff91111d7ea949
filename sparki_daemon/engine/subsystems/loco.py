"""The engine's client of loco: asks for deployments, approves, cancels, settles and shows them; it never performs one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sparki_daemon.engine.deploy_views import deployment_line, deployment_view, steps_of
from sparki_daemon.engine.subsystems.going_back import before_live, live_release, never_live, pruned, refused
from sparki_daemon.engine.subsystems.releasing import Releasing, fresh, new_release, own_name
from sparki_daemon.engine.subsystems.request_digest import request_digest
from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.deployment import INDEX, SWITCH, DeploymentState, SagaEvent
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.prepare.releasing import Shipped
from sparki_daemon.queue.protocol import DEPLOYMENTS, Queue
from sparki_daemon.source import repository
from sparki_daemon.source.push import update_from_json
from sparki_daemon.store import deployments, environments, journal, keys, projects, releases
from sparki_daemon.store.deployments import DeploymentRow, NewDeployment
from sparki_daemon.store.deployments_of_release import once_live
from sparki_daemon.store.deployments_of_run import add_runs
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.releases import NewRelease, ReleaseRow

USUAL_OF = 5  # deployments whose times make the usual ones
_OUTCOMES = {"live": SagaEvent.RESOLVED_LIVE, "failed": SagaEvent.RESOLVED_FAILED, "retry": SagaEvent.RESOLVED_RETRY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a deployment is to be made of: a new release, or one that is there."""

    project: str
    environment: str
    adapter: str
    release: NewRelease | ReleaseRow
    kind: str = "deploy"
    run: str = ""
    directory: str = ""
    override: str = ""
    notes: tuple[Problem, ...] = ()


class Deployments:
    """Makes deployments, and what people ask of them later."""

    def __init__(self, store: Store, queue: Queue, releasing: Releasing) -> None:
        self._store = store
        self._queue = queue
        self._releasing = releasing

    async def order(self, order: Order, key: str | None, digest: str) -> dict[str, Any]:
        """Keep release, deployment and the queue's entry in one transaction; the same key makes them once."""

        async def work(tx: Tx) -> dict[str, Any]:
            if key and (known := await keys.recall(tx, key, digest)):
                return dict(known)
            since = await journal.head(tx)
            await environments.find_or_add(tx, order.project, order.environment, adapter=order.adapter)
            made = order.release if isinstance(order.release, ReleaseRow) else await releases.create(tx, order.release)
            row = await deployments.create(tx, _deployment(order, made))
            awaited = made.artifact.get("awaits") or []
            await add_runs(tx, row.id, [*awaited, *([order.run] if order.run else [])])
            if awaited:
                await deployments.wait(tx, row.id, [{"for": "run", "runs": awaited}])
            await self._queue.put(tx, DEPLOYMENTS, [row.id])
            answer = {
                "deployment": row.id,
                "environment": order.environment,
                "release": made.id,
                "number": made.number,
                "commit": made.commit,
                "run": order.run or None,
                "since": since,
                "notes": [note.to_json() for note in order.notes],
            }
            if key:
                await keys.remember(tx, key, digest, answer)
            return answer

        return await self._store.write(work)

    async def project_of(self, directory: str) -> str:
        """The id of the project that a folder is of, kept from here on. Raises SparkiError `no_repository`."""
        path = (await asyncio.to_thread(repository.find, directory)).common_dir
        return await self._store.write(lambda tx: projects.find_or_add(tx, path, fresh=fresh("p")))

    # -- asking ----------------------------------------------------------------------------------------------------------

    async def deploy(self, request: Mapping[str, Any], key: str | None, artifact_of: Any) -> dict[str, Any]:
        """A deployment of a commit, or of the release that `request` names. `artifact_of`: see `RunsFirst.artifact`."""
        digest = request_digest(request)
        if key and (known := await self._store.read(lambda tx: keys.recall(tx, key, digest))):
            return dict(known)
        project = await self.project_of(request["directory"])
        if request.get("release"):
            return await self._again(project, request, key, digest)
        update = update_from_json(request["pushed"]) if request.get("pushed") else None
        source = await self._releasing.shipped(request["directory"], request["environment"], request.get("ref"), update)
        await self._releasing.check(source, project)
        async with self._releasing.keeping:
            artifact, run = await artifact_of(source, project, request)
            order = self._new(source, project, artifact, run, request)
            return await self.order(order, key, digest)

    def _new(self, source: Shipped, project: str, artifact: Mapping[str, Any], run: str, request: Mapping[str, Any]) -> Order:
        return Order(
            project=project,
            environment=source.environment.name,
            adapter=source.environment.settings["adapter"],
            release=new_release(source, project=project, artifact=artifact, run=run, author=own_name()),
            kind=request.get("kind", "deploy"),
            run=run,
            directory=request["directory"],
            override=request.get("override") or "",
            notes=source.notes,
        )

    async def _again(self, project: str, request: Mapping[str, Any], key: str | None, digest: str) -> dict[str, Any]:
        """A deployment of a release that is there."""
        environment = request["environment"]
        row = await self._store.read(lambda tx: releases.find(tx, request["release"], project=project, environment=environment))
        return await self.order(self._of_release(row, request, "deploy"), key, digest)

    def _of_release(self, row: ReleaseRow, request: Mapping[str, Any], kind: str) -> Order:
        if row.pruned:
            raise pruned(row)
        if row.artifact.get("awaits"):
            message = f"release {row.number} of '{row.environment}' ({row.id}) was never made: its run did not go well"
            raise refused("release_not_made", message, exit_code=ExitCode.NOT_FOUND)
        adapter = row.settings["adapter"]
        self._releasing.adapter(adapter)
        return Order(
            project=row.project,
            environment=row.environment,
            adapter=adapter,
            release=row,
            kind=kind,
            run=row.run,
            directory=request["directory"],
            override=request.get("override") or "",
        )

    async def rollback(self, request: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        """A deployment of an old release's very artifact; without one, of that which was live before the present one."""
        project, environment = await self.project_of(request["directory"]), request["environment"]
        word = request.get("release")

        async def read(tx: Tx) -> tuple[ReleaseRow, bool]:
            if not word:
                return await before_live(tx, project, environment), True
            row = await releases.find(tx, word, project=project, environment=environment)
            known, once = await environments.get(tx, project, environment), await once_live(tx, project, environment)
            return row, row.id in once or (known is not None and known.live == row.id)

        row, was_live = await self._store.read(read)
        order = self._of_release(row, request, "rollback")
        if not was_live:
            raise never_live(row)
        return await self.order(order, key, request_digest({**request, "rollback": True}))

    async def promote(self, request: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        """A release of one environment made from what is live in another: its artifact, and its commit's settings."""
        project, source_name = await self.project_of(request["directory"]), request["source"]
        live = await self._store.read(lambda tx: live_release(tx, project, source_name))
        if live.pruned:
            raise pruned(live)
        try:
            source = await self._releasing.shipped(request["directory"], request["environment"], live.commit)
        except SparkiError as error:
            if error.problems[0].code != "no_such_revision":
                raise
            message = f"commit {live.commit[:12]} of release {live.number} is not in this repository, so its sparki.yml can't be read"
            raise refused("commit_gone", message, hint="fetch it, or deploy another commit", exit_code=ExitCode.NOT_FOUND) from None
        await self._releasing.check(source, project)
        asked = {**request, "kind": "promote"}
        return await self.order(self._new(source, project, live.artifact, live.run, asked), key, request_digest(asked))

    # -- steering --------------------------------------------------------------------------------------------------------

    async def approve(self, word: str) -> dict[str, Any]:
        """Say yes as this user. Raises SparkiError: `own_deployment`, `deployment_begun`, `no_approval_needed`."""
        person = own_name()

        async def work(tx: Tx) -> str:
            row = await deployments.find(tx, word)
            release = await releases.get(tx, row.release)
            approvals = (release.settings.get("approvals") if release else None) or {}
            if row.state not in (DeploymentState.QUEUED, DeploymentState.WAITING):
                raise refused("deployment_begun", f"{row.id} is {row.state.value}: it waits for no approval")
            if not approvals.get("count"):
                raise refused("no_approval_needed", f"the environment '{row.environment}' asks for no approval")
            if approvals.get("not_author") and person == row.author:
                message = f"{row.id} was asked for by {person}, and '{row.environment}' wants the approval of somebody else"
                raise refused("own_deployment", message, exit_code=ExitCode.NOT_ALLOWED)
            await deployments.approve(tx, row.id, person)
            await self._queue.put(tx, DEPLOYMENTS, [row.id])
            return row.id

        return await self.show(await self._store.write(work))

    async def cancel(self, word: str, *, keep: bool) -> dict[str, Any]:
        """Ask for the end of one; one that nobody has begun has ended when this comes back.

        `keep` counts from the switch on: of one that has not come so far nothing is live, and nothing of it becomes so.
        """

        async def work(tx: Tx) -> str:
            row = await deployments.find(tx, word)
            if row.state.terminal:
                raise refused("deployment_finished", f"{row.id} has ended: {row.state.value}")
            if row.state is DeploymentState.UNKNOWN:
                hint = f"sparki resolve {row.id} --live, --failed or --retry"
                raise refused("deployment_unknown", f"the end of {row.id} is unknown", hint=hint, exit_code=ExitCode.UNKNOWN_END)
            if not await deployments.drop(tx, row.id, "cancelled"):
                await deployments.ask(tx, row.id, "keep" if keep and INDEX.get(row.step, 0) >= SWITCH else "cancel")
            await self._queue.put(tx, DEPLOYMENTS, [row.id])
            return row.id

        return await self.show(await self._store.write(work))

    async def resolve(self, word: str, outcome: str) -> dict[str, Any]:
        """What a person found of one whose end is unknown: it is `live`, it `failed`, or loco is to `retry`."""

        async def work(tx: Tx) -> str:
            row = await deployments.find(tx, word)
            if row.state is not DeploymentState.UNKNOWN:
                raise refused("deployment_not_unknown", f"{row.id} is {row.state.value}: there is nothing to resolve")
            await deployments.move(tx, row, _OUTCOMES[outcome], reason=f"{own_name()} resolved it as {outcome}")
            await _note_what_is_live(tx, row, outcome)
            await self._queue.put(tx, DEPLOYMENTS, [row.id])
            return row.id

        return await self.show(await self._store.write(work))

    # -- looking ---------------------------------------------------------------------------------------------------------

    async def listing(self, *, directory: str | None, environment: str | None, limit: int) -> list[dict[str, Any]]:
        """Deployments of a project, or of all, the newest first."""
        path = (await asyncio.to_thread(repository.find, directory)).common_dir if directory else None

        async def read(tx: Tx) -> list[dict[str, Any]]:
            project = await projects.find(tx, path) if path else ""
            if project is None:
                return []
            rows = await deployments.listing(tx, project=project, environment=environment or "", limit=limit)
            return [deployment_line(row, await releases.get(tx, row.release)) for row in rows]

        return await self._store.read(read)

    async def show(self, word: str) -> dict[str, Any]:
        """One with its steps. Raises SparkiError: `no_such_deployment`, `ambiguous_deployment`."""

        async def read(tx: Tx) -> dict[str, Any]:
            row = await deployments.find(tx, word)
            return deployment_view(
                row,
                await releases.get(tx, row.release),
                await deployments.moves_of(tx, row.id),
                approvals=await deployments.approvals(tx, row.id),
                usual_ms=await usual_ms(tx, row.project, row.environment),
            )

        return await self._store.read(read)


async def usual_ms(tx: Tx, project: str, environment: str) -> dict[str, int]:
    """How long each step took in the last few deployments that went live: the median."""
    rows = await deployments.listing(tx, project=project, environment=environment, limit=4 * USUAL_OF)
    good = [row for row in rows if row.state is DeploymentState.LIVE][:USUAL_OF]
    took: dict[str, list[int]] = {}
    for row in good:
        for step in steps_of(await deployments.moves_of(tx, row.id)):
            if step["took_ms"] is not None:
                took.setdefault(step["name"], []).append(step["took_ms"])
    return {name: sorted(times)[len(times) // 2] for name, times in took.items()}


async def _note_what_is_live(tx: Tx, row: DeploymentRow, outcome: str) -> None:
    known = await environments.get(tx, row.project, row.environment)
    live = known.live if known else ""
    if outcome == "live" and live != row.release:
        await environments.set_live(tx, row.project, row.environment, release=row.release, deployment=row.id)
    elif outcome == "failed" and live == row.release:
        await environments.set_live(tx, row.project, row.environment, release=row.previous, deployment=row.id)


def _deployment(order: Order, made: ReleaseRow) -> NewDeployment:
    return NewDeployment(
        id=fresh("d"),
        project=order.project,
        environment=order.environment,
        target=f"{order.project}/{order.environment}",
        release=made.id,
        kind=order.kind,
        author=own_name(),
        run=order.run,
        directory=order.directory,
        override=order.override,
    )
