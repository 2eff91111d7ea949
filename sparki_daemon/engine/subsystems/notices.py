"""Tells people of ends: the `notify` of a project's sparki.yml, by command or webhook, beside everything else and never in its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Iterable, Mapping

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.run import RunState
from sparki_daemon.pipeline.environments import Notice
from sparki_daemon.pipeline.settings import FILE, read_settings
from sparki_daemon.source import files, repository
from sparki_daemon.store import deployments, releases, runs
from sparki_daemon.store.protocol import Store, Tx
from sparki_daemon.store.runs import RunRow

AT_ONCE, MOST = 4, 200  # notices under way; those beyond MOST are dropped and told in the log
COMMAND_LIMIT_S, WEBHOOK_LIMIT_S = 30.0, 10.0
SEARCHED = 200
KINDS = frozenset({"run.finished", "deployment.finished", "deployment.step", "deployment.waiting"})
_PEOPLE = frozenset({"approval", "freeze", "environment"})  # waits that somebody may want to do something about
log = logging.getLogger("sparki.notices")


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that people may want to hear of. `facts` become variables of a command, and the JSON of a webhook."""

    words: tuple[str, ...]  # of `on`
    directory: str
    facts: Mapping[str, str]


class Notices:
    """`tell` takes an event; what follows from it goes on by itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(AT_ONCE)

    def tell(self, event: Event) -> None:
        if event.kind not in KINDS or (event.kind == "deployment.step" and event.data.get("status") != "unknown"):
            return
        if len(self._tasks) >= MOST:
            log.warning("too many notices are under way: none for %s of %s", event.kind, event.stream)
            return
        task = asyncio.create_task(self._told(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _told(self, event: Event) -> None:
        try:
            async with self._free:
                occasion = await self._store.read(lambda tx: _occasion(tx, event))
                if occasion is None:
                    return
                for notice in await asyncio.to_thread(_notices, occasion.directory):
                    if not set(notice.on).isdisjoint(occasion.words):
                        await _deliver(notice, occasion)
        except Exception:
            log.exception("a notice of %s failed", event.stream)


def _notices(directory: str) -> Iterable[Notice]:
    """What the working tree's sparki.yml says now; none, and that is told in the log, where it or the folder can't be read."""
    try:
        return read_settings(files.read_worktree(repository.find(directory), FILE)).deploying.notify
    except SparkiError as error:
        first = error.problems[0]
        log.warning(
            "nobody is told of an end: the settings in %s can't be read: %s%s",
            directory,
            first.message,
            f" ({first.at})" if first.at else "",
        )
        return ()


async def _occasion(tx: Tx, event: Event) -> Occasion | None:
    if event.kind == "run.finished":
        row = await runs.get(tx, event.stream)
        return None if row is None else _of_run(row, await _was_broken(tx, row))
    return await _of_deployment(tx, event)


def _of_run(row: RunRow, was_broken: bool) -> Occasion | None:  # one of two facts
    if row.state is RunState.CANCELLED:
        return None
    good = row.state is RunState.SUCCESS
    words = ("success", *(["recovered"] if was_broken else [])) if good else ("failure",)
    how = ("recovered" if was_broken else "passed") if good else "failed"
    summary = f"{row.pipeline} {how}" + (f": {row.title}" if row.title else "")
    facts = {"summary": summary, "status": row.state.value, "run": row.id, "pipeline": row.pipeline, "reason": row.reason}
    return Occasion(words, row.options.get("directory", ""), {**facts, "commit": row.source.get("commit") or ""})


async def _was_broken(tx: Tx, row: RunRow) -> bool:
    """Whether the run of the same pipeline before it, on the same branch, went red."""
    for other in await runs.listing(tx, project=row.project, limit=SEARCHED, before=row.seq):
        same = other.file == row.file and other.source.get("branch") == row.source.get("branch")
        if same and other.state.terminal and other.state is not RunState.CANCELLED:
            return other.state is not RunState.SUCCESS
    return False


async def _of_deployment(tx: Tx, event: Event) -> Occasion | None:
    row = await deployments.get(tx, event.stream)
    release = await releases.get(tx, row.release) if row else None
    if row is None or release is None:
        return None
    status = str(event.data.get("status", ""))
    waits = {wait["for"] for wait in event.data.get("waits", ())}
    if status == "cancelled" or (status == "waiting" and waits.isdisjoint(_PEOPLE)):
        return None
    said = {"live": "is live in", "failed": "did not go live in", "reverted": "was taken back in", "waiting": "waits to be deployed to"}
    words = said.get(status, "ended in an unknown way in")
    summary = f"release {release.number} ({release.commit[:10]}) {words} {row.environment}"
    facts = {"summary": summary, "status": status, "deployment": row.id, "environment": row.environment, "release": release.id}
    more = {"commit": release.commit, "run": row.run, "reason": row.reason, "waits_for": ", ".join(sorted(waits))}
    return Occasion((status,), row.directory, {**facts, **more})


async def _deliver(notice: Notice, occasion: Occasion) -> None:
    if notice.command:
        await _command(notice.command, occasion)
    if notice.webhook:
        await asyncio.to_thread(_webhook, notice.webhook, occasion)


async def _command(command: str, occasion: Occasion) -> None:
    """Run it in the repository's folder; it and its children are ended when it takes too long."""
    variables = {f"SPARKI_{name.upper()}": value for name, value in occasion.facts.items()}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command,
        cwd=occasion.directory,
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(COMMAND_LIMIT_S):
            if code := await process.wait():
                log.warning("the notice `%s` ended with %d", command, code)
    except TimeoutError:
        log.warning("the notice `%s` was ended after %.0f s", command, COMMAND_LIMIT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _webhook(address: str, occasion: Occasion) -> None:
    """POST the facts as JSON. What goes wrong is told in the log: the address may hold a key, so only its host is named."""
    import http.client  # noqa: PLC0415  # as the next
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415  # it loads TLS: an engine that no webhook is asked of does not pay for it

    host = address.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if not address.startswith(("http://", "https://")):
        log.warning("a webhook must be an http or https address, and one isn't")
        return
    body = json.dumps({"on": list(occasion.words), **occasion.facts}).encode()
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json", "User-Agent": "sparki"}, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=WEBHOOK_LIMIT_S):  # noqa: S310  # its scheme was checked
            pass
    except urllib.error.HTTPError as error:
        log.warning("the webhook at %s answered %d", host, error.code)
        error.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        log.warning("the webhook at %s failed: %s", host, reason if isinstance(reason, OSError) else type(reason).__name__)
