"""The runners of one `sparki ci`: forked by this process, fed turn by turn, and gone with it. One thread, no event loop.

It stands where supervisor and builder stand in a daemon. A turn is the ledger's: what it decides is decided here as there.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from functools import partial

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Ledger, Stop, Turn
from sparki_daemon.builder.remains import how_it_died, rest_of
from sparki_daemon.ci.links import Link
from sparki_daemon.runner.main import serve
from sparki_daemon.store.sqlite_tx import drive
from sparki_daemon.supervisor.children import end_adopted, fork_runner, namespaces_wanted, reap_until
from sparki_daemon.system import process

END_LIMIT_S = 5.0
MOST_DEATHS = 8  # runners that may die before a job is theirs: then something here kills them all


class Yard:
    """At most `most` runners under `home`. `on_growth` hears the uid of a job whose log grew."""

    def __init__(self, home: str, ledger: Ledger, most: int, on_growth: Callable[[str], None]) -> None:
        self._home = home
        self._ledger = ledger
        self._most = most
        self._on_growth = on_growth
        self._links: dict[str, Link] = {}
        self._gone: list[Gone] = []
        self._attached: list[Attached] = []
        self._arrived: list[Arrived] = []
        self._born = 0
        self._idle_deaths = 0
        self._others = set(process.children(os.getpid()))  # children that came with this process are none of ours
        self._death_read, self._death_write = os.pipe2(os.O_CLOEXEC)
        self._poll = select.poll()
        process.become_subreaper()
        self._namespace = namespaces_wanted()
        for folder in ("runners", "spool"):
            os.makedirs(os.path.join(home, folder), mode=0o700, exist_ok=True)

    def wait(self, fd: int, limit_s: float | None = None) -> None:
        """Until a runner says something, dies, or `fd` can be read; at most `limit_s`."""
        self._poll.register(fd, select.POLLIN)
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
        """End every runner and what came of it."""
        pids = [link.pid for link in self._links.values()]
        for link in self._links.values():
            self._poll.unregister(link.fileno())
            link.close()
        self._links.clear()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap_until(time.monotonic() + END_LIMIT_S, pids)
        end_adopted(self._others, END_LIMIT_S)
        os.close(self._death_write)
        os.close(self._death_read)

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
        coming = sum(not link.ready for link in self._links.values())
        for _ in range(min(waiting - coming, self._most - len(self._links))):
            self._fork()

    def _fork(self) -> None:
        self._born += 1
        name = f"ci-{self._born}"
        main = partial(serve, outlives=False)
        pid = fork_runner(main, name, self._home, self._death_read, namespace=self._namespace)
        link = Link(name, pid, os.path.join(self._home, "runners", f"{name}.sock"))
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
        self._poll.unregister(link.fileno())
        link.close()
        del self._links[link.name]
        with contextlib.suppress(ProcessLookupError):
            os.kill(link.pid, signal.SIGKILL)
        try:
            status = os.waitpid(link.pid, 0)[1]
        except ChildProcessError:
            status = signal.SIGKILL
        end_adopted(self._others | {one.pid for one in self._links.values()})
        if whole := rest_of(os.path.join(self._home, "spool", link.name), link.received):
            self._arrived.append(Arrived(link.name, link.received, whole))
        self._gone.append(Gone(link.name, how_it_died(status)))
        self._idle_deaths += not link.jobs
        if self._idle_deaths > MOST_DEATHS:
            raise OSError(f"runners die as soon as they start: {how_it_died(status)}")
