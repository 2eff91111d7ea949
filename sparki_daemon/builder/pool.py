"""The builder role: gives queued jobs to runners, and brings what they did into the journal.

Order of writes: a job's assignment is committed before it is pushed; a runner's records are committed together with the
offset up to which they were read, so that each is taken exactly once, whoever dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Ledger, Stop, Turn
from sparki_daemon.builder.remains import how_it_died, rest_of
from sparki_daemon.builder.runner_link import RunnerLink
from sparki_daemon.builder.supervisor_link import SupervisorLink
from sparki_daemon.system import files

MOST_RUNNERS = 64
FIRST_WAIT_S = 0.004
log = logging.getLogger("sparki.builder")


class Pool:
    """The runners of one state folder. `size` runners stay; more are forked while a run asks for more at once."""

    def __init__(self, home: str, ledger: Ledger, size: int) -> None:
        self.home = home
        self.size = size
        self.wanted = size
        self.links: dict[str, RunnerLink] = {}
        self.supervisor: SupervisorLink | None = None
        self._ledger = ledger
        self.on_grew: Callable[[str], None] = lambda _: None  # the log of a watched job grew: its uid
        self._hellos: dict[str, dict[str, Any]] = {}  # said, and not yet caught up with
        self._arrived: list[Arrived] = []
        self._gone: list[Gone] = []
        self._attached: list[Attached] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._awaited: set[str] = set()  # runners that are to be connected to
        self._buried: set[str] = set()  # a name is used once: whoever hears of a death again has nothing to do
        self._spawning = 0
        self._children: set[str] = set()  # runners that this supervisor will tell the death of
        self._tag = ""  # with which the names of this supervisor's own runners begin
        self._wake = asyncio.Event()

    # -- lifetime ------------------------------------------------------------------------------------------------------

    async def recover(self, believed: set[str]) -> None:
        """Meet what earlier processes left: take the spools of dead runners, connect to those alive.

        `believed` are the runners that the journal thinks busy: one that left no trace at all is buried too.
        """
        folder = os.path.join(self.home, "runners")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.makedirs(os.path.join(self.home, "spool"), mode=0o700, exist_ok=True)
        names = {name.removesuffix(".lock") for name in os.listdir(folder) if name.endswith(".lock")}
        for name in sorted(names | believed | set(os.listdir(os.path.join(self.home, "spool")))):
            if files.is_locked(self._path("runners", f"{name}.lock")):
                self._connect(name)
            else:
                await self._bury(name, "its runner was gone")

    async def run(self) -> None:
        """Turn by turn, until cancelled: one transaction each, its consequences after its commit."""
        self._spawn_missing(0)
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            arrived, self._arrived = self._arrived, []
            gone, self._gone = self._gone, []
            attached, self._attached = self._attached, []
            self._retire_old()
            # An older program's runner gets nothing new: it goes, and may not know what a newer one is given.
            holding = {link.name: tuple(link.jobs) for link in self.links.values() if link.ready and link.name.startswith(self._tag)}
            try:
                turn = await self._ledger.turn(arrived, gone, attached, holding, committed=self._committed)
            except Exception:
                log.exception("a turn could not be written; it is tried again")
                self._arrived, self._gone, self._attached = arrived + self._arrived, gone + self._gone, attached + self._attached
                await asyncio.sleep(0.5)
                self._wake.set()
                continue
            await self._after(turn, gone)

    def close(self) -> None:
        """Let go of the runners; they work on and wait for the next builder."""
        for task in self._tasks:
            task.cancel()
        for link in self.links.values():
            link.close()

    def want(self, at_once: int) -> None:
        """A run asks for that many jobs at once: more runners than usual are forked while jobs wait."""
        self.wanted = max(self.wanted, min(at_once, MOST_RUNNERS))

    def wake(self) -> None:
        """Something was queued: take a turn."""
        self._wake.set()

    # -- what a turn decided -------------------------------------------------------------------------------------------

    def _committed(self, turn: Turn) -> None:
        """What can't wait for anything else once a turn is on disk: jobs go to their runners."""
        if turn.ended:
            for link in self.links.values():
                link.jobs = [job for job in link.jobs if job not in turn.ended]
                link.recalled -= turn.ended
                if link.idle and not link.name.startswith(self._tag):
                    self._wake.set()
        for name, spec in turn.assign:
            if to := self.links.get(name):
                to.jobs.append(spec["job"])
                to.assign(spec)
        for recall in turn.recall:
            if holder := self.links.get(recall.runner):
                holder.recall(recall)
        for stop in turn.stop:
            self.stop(stop)

    async def _after(self, turn: Turn, gone: list[Gone]) -> None:
        for dead in gone:
            await self._forget(dead.runner)
        self._spawn_missing(turn.waiting)
        self._retire_surplus(turn.waiting)

    def stop(self, stop: Stop) -> None:
        """Cancel a job where it runs; one whose runner is gone is judged by its death."""
        if link := self.links.get(stop.runner):
            link.stop(stop)

    def watch(self, job: str, *, on: bool) -> None:
        """Ask the runner of `job` to tell when its log grows, or no longer."""
        for link in self.links.values():
            if job in link.jobs:
                link.watch(job, on=on)

    def _spawn_missing(self, waiting: int) -> None:
        alive = len(self.links) + len(self._awaited) + self._spawning
        missing = max(self.size - alive, min(waiting, self.wanted - alive))
        for _ in range(min(missing, MOST_RUNNERS - alive)):
            if self.supervisor:
                self._spawning += 1
                self.supervisor.ask("spawn")

    def _retire_old(self) -> None:
        """Let idle runners go that an earlier supervisor forked: they run an older program."""
        for link in list(self.links.values()):
            if link.idle and not link.name.startswith(self._tag):
                link.ready = False
                link.quit()

    def _retire_surplus(self, waiting: int) -> None:
        """Once all is quiet, let the runners go that only a run with many jobs at once wanted."""
        if waiting or any(not link.idle for link in self.links.values()):
            return
        self.wanted = self.size
        for link in list(self.links.values())[self.size :]:
            link.ready = False
            link.quit()

    # -- what the supervisor says --------------------------------------------------------------------------------------

    def heard(self, message: dict[str, Any]) -> None:
        """A message of the supervisor's."""
        if "runners" in message:
            self._tag = message["tag"]
            self._children.update(message["runners"])
            for name in message["runners"]:
                self._connect(name)
        elif "born" in message:
            self._spawning = max(0, self._spawning - 1)
            self._children.add(message["born"])
            self._connect(message["born"])
        elif "died" in message:
            self._children.discard(message["died"])
            self._later(self._bury(message["died"], how_it_died(message["status"])))

    # -- what runners say (Listener) -----------------------------------------------------------------------------------

    def said_hello(self, link: RunnerLink, hello: dict[str, Any]) -> None:
        link.pid, link.jobs = hello["pid"], [hello["job"]] if hello["job"] else []
        self._hellos[link.name] = hello
        self._later(self._resume(link))

    def sent_records(self, link: RunnerLink, offset: int, data: bytes) -> None:
        if offset + len(data) <= link.received:
            return
        if offset > link.received:
            log.error("runner %s: records from %d, expected %d", link.name, offset, link.received)
            link.close()  # its spool has the hole; connecting anew reads it
            return
        self._arrived.append(Arrived(link.name, link.received, data[link.received - offset :]))
        link.received = offset + len(data)
        self._caught_up(link)
        self._wake.set()

    def log_grew(self, job: str) -> None:
        self.on_grew(job)

    def hung_up(self, link: RunnerLink) -> None:
        if self.links.get(link.name) is link:
            del self.links[link.name]
            self._hellos.pop(link.name, None)
            self._later(self._after_hang_up(link.name))

    async def _resume(self, link: RunnerLink) -> None:
        link.resume(max(link.received, await self._ledger.cursor(link.name)))
        self._caught_up(link)

    def _caught_up(self, link: RunnerLink) -> None:
        hello = self._hellos.get(link.name)
        if hello and link.received >= hello["spool"]:
            del self._hellos[link.name]
            self._attached.append(Attached(link.name, hello["job"], hello["epoch"] or 0))
            link.ready = True
            self._wake.set()

    async def _after_hang_up(self, name: str) -> None:
        """A runner that closed its socket is dying or wants a new connection; one of this supervisor's is told of by its death."""
        await asyncio.sleep(0.05)
        if files.is_locked(self._path("runners", f"{name}.lock")):
            self._connect(name)
        elif name not in self._children:
            await self._bury(name, "its runner died")
            if self.supervisor:
                self.supervisor.ask("sweep")  # nobody adopted what it left

    # -- connecting and burying ----------------------------------------------------------------------------------------

    def _connect(self, name: str) -> None:
        if name not in self.links and name not in self._awaited and name not in self._buried:
            self._awaited.add(name)
            self._later(self._keep_connecting(name))

    async def _keep_connecting(self, name: str) -> None:
        """Try until it answers or is buried: a runner just born has no socket yet, a stopped one accepts when it goes on."""
        wait_s = FIRST_WAIT_S
        while name in self._awaited:
            with contextlib.suppress(OSError):
                self.links[name] = await RunnerLink.open(name, self._path("runners", f"{name}.sock"), self)
                break
            await asyncio.sleep(wait_s)
            wait_s = min(1.0, wait_s * 1.5)
        self._awaited.discard(name)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bury(self, name: str, reason: str) -> None:
        """Take the rest of a dead runner's spool, then have its job judged; once, or its cursor could be gone before the second time."""
        if name in self._buried:
            return
        self._buried.add(name)
        self._awaited.discard(name)
        link = self.links.pop(name, None)
        received = link.received if link and link.received else await self._ledger.cursor(name)
        if link:
            link.close()
        if whole := rest_of(self._path("spool", name), received):
            self._arrived.append(Arrived(name, received, whole))
        self._gone.append(Gone(name, reason))
        self._wake.set()

    async def _forget(self, name: str) -> None:
        for path in (self._path("spool", name), self._path("runners", f"{name}.sock"), self._path("runners", f"{name}.lock")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        await self._ledger.forget(name)

    def _path(self, *parts: str) -> str:
        return os.path.join(self.home, *parts)
