"""Runs what a request asks for in this process tree, with the scheduler and the ledger that a daemon has, over a store in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from sparki_daemon.ci.begin import Begun
from sparki_daemon.ci.yard import Yard
from sparki_daemon.engine.ledger import Ledger
from sparki_daemon.engine.scheduler import Scheduler
from sparki_daemon.engine.specs import Specs
from sparki_daemon.engine.subsystems.run import Runs
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.store import runs
from sparki_daemon.store.artifacts import Artifacts
from sparki_daemon.store.memory import MemoryStore
from sparki_daemon.store.sqlite_tx import drive
from sparki_daemon.system import process

MOST_RUNNERS = 64
T = TypeVar("T")


class Signals(Protocol):
    """Counts the signals that ask for an end; `fileno` becomes readable with each."""

    count: int

    def fileno(self) -> int: ...
    def drain(self) -> None: ...


class Hearer(Protocol):
    """Who tells people what happens."""

    def begin(self, answer: dict[str, Any], views: list[dict[str, Any]]) -> None:
        """The runs are planned and written: the API's answer to `POST /v1/runs`, and each as `sparki show --json` has it."""
        ...

    def events(self, events: Sequence[Event]) -> None:
        """What has happened, in order."""
        ...

    def grew(self, job: str) -> None:
        """There is more text in the log of the job (uid)."""
        ...

    def cancelling(self, *, force: bool) -> None:
        """A signal came: the runs are being cancelled, or with `force` ended."""
        ...


class Bench:
    """Everything that a run needs, until `close`: folders that are removed then, processes that are ended."""

    def __init__(self, begun: Begun, *, cache: str = "") -> None:
        """`cache`: where caches are kept between runs; empty: with all else, so not at all."""
        self._begun = begun
        self._folders = begun.folders
        self._failures: list[Exception] = []  # of whoever tells people: nobody would see the rest of the run
        self._store = MemoryStore(self._failures.append)
        self._queue = EmbeddedQueue()
        self._specs = Specs(self._folders.home, self._folders.fast, cache, lasting=False)
        self._scheduler = Scheduler(self._store, self._queue, self._specs, system=process.system_name())
        self._ledger = Ledger(self._store, self._queue, self._specs, self._scheduler)
        self._runs = Runs(self._store, self._scheduler, self._folders.home, self._specs, beside=_at_once, early=begun.source)

    def log_path(self, run: str, job: str) -> str:
        """The log of a job (by its key)."""
        return self._specs.log_path(run, job, 1) + ".log"

    def show(self, run: str) -> dict[str, Any]:
        """A run as `sparki show --json` tells it."""
        return drive(self._runs.show(run, directory=None))

    def run(self, request: dict[str, Any], hearer: Hearer, signals: Signals) -> list[dict[str, Any]]:
        """Start what `request` (as for `POST /v1/runs`) asks for, and follow it to its end; the runs as `show` has them.

        Raises SparkiError for what can't be planned; then nothing was run.
        """
        most = request.get("max_parallel") or max(2, os.cpu_count() or 2)
        yard = Yard(self._folders.home, self._begun.nursery, self._ledger, min(most, MOST_RUNNERS), hearer.grew)
        try:
            self._store.on_commit(hearer.events)
            answer = drive(self._runs.start(request, None))
            started = [one["run"] for one in answer["runs"]]
            hearer.begin(answer, [self.show(run) for run in started])
            self._follow(yard, hearer, signals)
        finally:
            yard.close()  # they end while people are told
        return [self.show(run) for run in started]

    def _follow(self, yard: Yard, hearer: Hearer, signals: Signals) -> None:
        heard = 0
        while drive(self._store.read(runs.active)):
            yard.wait(signals.fileno())
            signals.drain()
            if signals.count > heard:
                heard = signals.count
                hearer.cancelling(force=heard > 1)
                self._cancel(yard, force=heard > 1)
            yard.turn()
            if self._failures:
                raise self._failures[0]

    def _cancel(self, yard: Yard, *, force: bool) -> None:
        for run in drive(self._store.read(runs.active)):
            try:
                stops = drive(self._store.write(partial(self._scheduler.cancel, run=run.id, force=force)))
            except SparkiError:
                continue  # it has just ended
            for stop in stops:
                yard.stop(stop)

    def export_artifacts(self, folder: str) -> None:
        """Copy what the runs' jobs left as artifacts to `folder`/NAME. Raises OSError."""
        import shutil  # noqa: PLC0415  # its compression modules take 5 ms to load

        kept = Artifacts(os.path.join(self._folders.home, "artifacts"))
        for run in os.listdir(kept.root) if os.path.isdir(kept.root) else ():
            for artifact in kept.listing(run):
                shutil.copytree(os.path.join(artifact.folder, "files"), os.path.join(folder, artifact.name), dirs_exist_ok=True)

    def close(self) -> list[str]:
        """End what is left of the processes, and remove the folders; gives what could not be removed, as messages."""
        return self._begun.close()


async def _at_once(work: Callable[..., T], /, *arguments: Any) -> T:
    """Fills `Beside`: nobody waits for anything else here."""
    return work(*arguments)
