"""Pushes to bound repositories: each one that a hook has written down becomes runs, and deployments that wait for them, exactly once.

The hook's file is the intent. It goes after everything that follows from it is in the journal; each step on the way bears a key made of
its name, so an engine that was killed in between is followed by one that does the rest and nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.pipeline.environments import BranchRule
from sparki_daemon.pipeline.select import rule_problems
from sparki_daemon.prepare.pushed import QUEUE, SKIP, Judged, Received, judge, parse, with_others
from sparki_daemon.source.bound import Bind, all_binds, git_dir_of, read_bind
from sparki_daemon.source.push import Update
from sparki_daemon.store import keys
from sparki_daemon.store.protocol import Store, Tx

Ask = Callable[[dict[str, Any], str | None], Awaitable[dict[str, Any]]]  # what starts runs, or a deployment, by a request and its key
FORGOTTEN_S = 30.0  # a push that no hook has asked about for so long: its hook was killed
_PASSING = ("disk_full", "cannot_write")
_NOTHING_STARTS = ("nothing_to_run", "no_pipeline")
_OF_NAMES = ("no_pipeline", "no_such_pipeline", "ambiguous_pipeline")
log = logging.getLogger("sparki.bind")


class Pushes:
    """Takes pushes up. `start_runs` and `deploy` are those of the engine."""

    def __init__(self, home: str, store: Store, start_runs: Ask, deploy: Ask) -> None:
        self._home = home
        self._store = store
        self._start_runs = start_runs
        self._deploy = deploy
        self._doing: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def receive(self, project: str, push: str, env: Mapping[str, str]) -> dict[str, Any]:
        """What became of a push, which this sees to unless that was done before. Raises SparkiError `no_such_push`."""
        task = self._doing.get(push)
        if task is None:
            task = self._doing[push] = asyncio.ensure_future(self._take(project, push, env))
            task.add_done_callback(lambda _: self._doing.pop(push, None))
        return await asyncio.shield(task)  # whoever asked may leave: it goes on

    async def recover(self, *, older_than_s: float = 0.0) -> None:
        """See to every push that no hook will ask about any more, with the environment of this engine."""
        before = time.time() - older_than_s
        for bind in await asyncio.to_thread(lambda: list(all_binds(self._home))):
            for push in await asyncio.to_thread(_waiting, bind, before):
                try:
                    await self.receive(bind.project, push, os.environ)
                except SparkiError as error:
                    log.warning("the push %s to %s: %s", push, bind.git_dir, error)
                    if error.problems[0].code == "broken_push":  # it will be no better the next time
                        await asyncio.to_thread(_forget, bind.git_dir, push)
                except Exception:
                    log.exception("the push %s to %s waits for the next start", push, bind.git_dir)

    async def _take(self, project: str, push: str, env: Mapping[str, str]) -> dict[str, Any]:
        key = f"push-{push}"
        known = await self._store.read(lambda tx: keys.recall(tx, key, project))
        if known is None:
            known = await self._new(project, push, key, env)
        await asyncio.to_thread(_forget, git_dir_of(self._home, project), push)
        return dict(known)

    async def _new(self, project: str, push: str, key: str, env: Mapping[str, str]) -> dict[str, Any]:
        bind, received = await asyncio.to_thread(self._read, project, push)
        answer = await self._all(bind, received, push, env)

        async def work(tx: Tx) -> None:
            await tx.append("push.received", stream=project, push=push, updates=answer["updates"])
            await keys.remember(tx, key, project, answer)

        await self._store.write(work)
        return answer

    def _read(self, project: str, push: str) -> tuple[Bind, Received]:
        bind = read_bind(git_dir_of(self._home, project))
        try:
            if bind is None or os.path.basename(push) != push or push.startswith("."):
                raise FileNotFoundError
            with open(os.path.join(bind.pending, push), "rb") as file:
                received = parse(file.read(), bind.git_dir)
        except FileNotFoundError:
            problem = Problem(code="no_such_push", message=f"no push '{push}' waits here")
            raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND) from None
        if received is None:
            raise SparkiError(Problem(code="broken_push", message=f"what the hook wrote of push '{push}' is not whole"))
        return bind, with_others(received, bind.git_dir)

    async def _all(self, bind: Bind, received: Received, push: str, env: Mapping[str, str]) -> dict[str, Any]:
        problems = list(received.problems())
        skipped = SKIP in received.options
        told = []
        for index, update in enumerate(received.updates):
            if skipped or problems:
                told.append(_told(update, note=f"skipped, as {SKIP} asks" if skipped and not problems else "nothing is run"))
            else:
                told.append(await self._one(bind, update, f"push-{push}-{index}", env))
        return {
            "updates": told,
            "problems": [problem.to_json() for problem in problems],
            "directory": bind.directory,
            "follow": QUEUE not in received.options,
        }

    async def _one(self, bind: Bind, update: Update, key: str, env: Mapping[str, str]) -> dict[str, Any]:
        """What follows from one ref: runs, and the deployment that waits for them. What is wrong with the source is told, once for all."""
        objects = os.path.join(self._home, "snapshots", secrets.token_hex(8))
        try:
            judged = await asyncio.to_thread(judge, update, objects)
        except SparkiError as error:
            return _told(update, error=_of_the_push(error))
        if judged.why_not:
            return _told(update, note=f"nothing is run: {judged.why_not}")
        try:
            started = await self._start_runs(_run_request(bind, update, judged, env), key)
        except SparkiError as error:
            if judged.rule and judged.rule.run and error.problems[0].code in _OF_NAMES:
                return _told(update, error=_at_rule(judged.rule, _of_the_push(error)))
            if error.problems[0].code in _NOTHING_STARTS:
                deploys = judged.rule is not None and judged.rule.deploy
                return _told(update, note="no pipeline starts on this push" + (", so nothing is deployed" if deploys else ""))
            return _told(update, error=_of_the_push(error))
        return await self._deployed(bind, update, judged, started, key, env)

    async def _deployed(
        self, bind: Bind, update: Update, judged: Judged, started: dict[str, Any], key: str, env: Mapping[str, str]
    ) -> dict[str, Any]:
        rule = judged.rule
        if rule is None or not rule.deploy:
            return _told(update, started=started, note=judged.note)
        runs = [one["run"] for one in started["runs"]]
        request = {
            "directory": bind.directory,
            "environment": rule.deploy,
            "ref": update.after,
            "awaits": runs,
            "pushed": update.to_json(),
            "env": dict(env),
        }
        try:
            return _told(update, started=started, deployment=await self._deploy(request, f"{key}-deploy"))
        except SparkiError as error:
            return _told(update, started=started, error=_of_the_push(error))


def _of_the_push(error: SparkiError) -> SparkiError:
    """`error`, which the push is to blame for. Raises it where the next engine may do better: then the push waits for that."""
    if error.exit_code is ExitCode.UNREACHABLE or error.problems[0].code in _PASSING:
        raise error
    return error


def _at_rule(rule: BranchRule, error: SparkiError) -> SparkiError:
    """`error` with the place of the rule's `run` where it is about a pipeline that this names."""
    if error.problems[0].code == "no_pipeline":
        return SparkiError(*rule_problems([rule], ()), exit_code=error.exit_code)
    placed = (replace(one, at=rule.run_at) if one.code in _OF_NAMES else one for one in error.problems)
    return SparkiError(*placed, exit_code=error.exit_code)


def _run_request(bind: Bind, update: Update, judged: Judged, env: Mapping[str, str]) -> dict[str, Any]:
    return {
        "directory": bind.directory,
        "pipelines": list(judged.rule.run) if judged.rule else [],
        "ref": update.after,
        "event": "push",
        "pushed": update.to_json(),
        "env": dict(env),
    }


def _told(
    update: Update,
    *,
    note: str = "",
    started: Mapping[str, Any] | None = None,
    deployment: Mapping[str, Any] | None = None,
    error: SparkiError | None = None,
) -> dict[str, Any]:
    return {
        "ref": update.ref,
        "before": update.before,
        "after": update.after,
        "note": note,
        "notes": [*(started["notes"] if started else ()), *(deployment["notes"] if deployment else ())],
        "runs": [{name: run[name] for name in ("run", "pipeline", "file")} for run in started["runs"]] if started else [],
        "since": started["since"] if started else 0,
        "deployment": dict(deployment) if deployment else None,
        "problems": [problem.to_json() for problem in error.problems] if error else [],
    }


def _waiting(bind: Bind, before: float) -> Sequence[str]:
    """The pushes that nobody has seen to, the oldest first."""
    with os.scandir(bind.pending) as entries:
        found = [(entry.stat().st_mtime, entry.name) for entry in entries if not entry.name.startswith(".")]
    return [name for written, name in sorted(found) if written <= before]


def _forget(git_dir: str, push: str) -> None:
    bind = read_bind(git_dir)
    if bind is not None:
        try:
            os.unlink(os.path.join(bind.pending, push))
        except FileNotFoundError:
            return
