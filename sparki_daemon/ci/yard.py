"""The runners of one `sparki ci`: forked by this process, fed turn by turn, and gone with it. One thread, no event loop.

It stands where supervisor and builder stand in a daemon. A turn is the ledger's: what it decides is decided here as there.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Ledger, Stop, Turn
from sparki_daemon.ci.links import Link
from sparki_daemon.ci.nursery import Nursery
from sparki_daemon.store.sqlite_tx import drive
from sparki_daemon.supervisor.children import end_adopted

MOST_DEATHS = 8  # runners that may die before a job is theirs: then something here kills them all


class Yard:
    """At most `most` runners under `home`. `on_growth` hears the uid of a job whose log grew."""

    def __init__(self, home: str, nursery: Nursery, ledger: Ledger, most: int, on_growth: Callable[[str], None]) -> None:
        self._home = home
        self._nursery = nursery
        self._ledger = ledger
        self._most = most
        self._on_growth = on_growth
        self._links: dict[str, Link] = {}
        self._gone: list[Gone] = []
        self._attached: list[Attached] = []
        self._arrived: list[Arrived] = []
        self._newborn = [nursery.fork()]  # they don't listen yet
        self._idle_deaths = 0
        self._poll = select.poll()

    def wait(self, fd: int, limit_s: float | None = None) -> None:
        """Until a runner says something, dies, or `fd` can be read; at most `limit_s`."""
        self._poll.register(fd, select.POLLIN)
        while self._newborn:
            self._meet(*self._newborn.pop())
        by_fd = {link.fileno(): link for link in self._links.values()}
        for ready, _ in self._poll.poll(None if limit_s is None else int(limit_s * 1000)):
            if ready in by_fd:
                self._hear(by_fd[ready])

    def turn(self) -> None:
        """Take what was heard into the journal, and hand out what follows from it."""
        arrived, self._arrived = self._arrived, []
        gone, self._gone = self._gone, []
        attached, self._attached = self._attached, []
        holding = {link.name: tuple(link.jobs) for link in self._links.values() if link.ready}
        turn = drive(self._ledger.turn(arrived, gone, attached, holding, committed=self._committed))
        self._fork_missing(turn.waiting)

    def stop(self, stop: Stop) -> None:
        """Cancel a job where it runs."""
        if link := self._links.get(stop.runner):
            link.stop(stop)

    def close(self) -> None:
        """End every runner; the nursery's `close` waits for their ends."""
        self._nursery.end([*(link.pid for link in self._links.values()), *(pid for _, pid in self._newborn)])
        for link in self._links.values():
            self._poll.unregister(link.fileno())
            link.close()
        self._links.clear()
        self._newborn.clear()

    # -- what a turn decided -------------------------------------------------------------------------------------------

    def _committed(self, turn: Turn) -> None:
        for link in self._links.values():
            link.ended(turn.ended)
        for name, spec in turn.assign:
            if to := self._links.get(name):
                to.assign(spec)
        for recall in turn.recall:
            if holder := self._links.get(recall.runner):
                holder.recall(recall)
        for stop in turn.stop:
            self.stop(stop)

    def _fork_missing(self, waiting: int) -> None:
        """As many as there are jobs to do, and no more than may be: runners that are born now take what waits next turn."""
        coming = len(self._newborn) + sum(not link.ready for link in self._links.values())
        for _ in range(min(waiting - coming, self._most - len(self._links) - len(self._newborn))):
            self._newborn.append(self._nursery.fork())

    def _meet(self, name: str, pid: int) -> None:
        try:
            link = Link(name, pid, self._nursery.path(name))
        except OSError:
            os.kill(pid, signal.SIGKILL)  # it has ended, or never will listen
            os.waitpid(pid, 0)
            if not self._nursery.died_at_birth():
                raise
            self._newborn.append(self._nursery.fork())
            return
        self._links[name] = link
        self._poll.register(link.fileno(), select.POLLIN)

    # -- what runners say ----------------------------------------------------------------------------------------------

    def _hear(self, link: Link) -> None:
        said = link.receive()
        if said is None:
            self._bury(link)
            return
        arrived, attached, grown = said
        self._arrived += arrived
        self._attached += attached
        for job in grown:
            self._on_growth(job)

    def _bury(self, link: Link) -> None:
        """A runner has hung up, so it is dying: end what is left of its tree, then have its job judged."""
        from sparki_daemon.builder.remains import how_it_died, rest_of  # noqa: PLC0415  # most runs lose no runner

        self._poll.unregister(link.fileno())
        link.close()
        del self._links[link.name]
        with contextlib.suppress(ProcessLookupError):
            os.kill(link.pid, signal.SIGKILL)
        try:
            status = os.waitpid(link.pid, 0)[1]
        except ChildProcessError:
            status = signal.SIGKILL
        end_adopted(self._nursery.others | {one.pid for one in self._links.values()} | {pid for _, pid in self._newborn})
        if whole := rest_of(os.path.join(self._home, "spool", link.name), link.received):
            self._arrived.append(Arrived(link.name, link.received, whole))
        self._gone.append(Gone(link.name, how_it_died(status)))
        self._idle_deaths += not link.jobs
        if self._idle_deaths > MOST_DEATHS:
            raise OSError(f"runners die as soon as they start: {how_it_died(status)}")
