"""The front: takes connections on the inherited public socket, and changes the route when it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from sparki_daemon.loco.counts import NO_RELEASE, Sheet
from sparki_daemon.loco.front.client_link import ClientLink
from sparki_daemon.loco.front.known import KnownRequests
from sparki_daemon.loco.front.route import Maintenance, Route, Upstream
from sparki_daemon.loco.front.upstream import UpstreamLink

SWEEP_S = 1.0
BACKLOG = 1024


class Front:
    """One front process's state. `sheet` is where it counts."""

    def __init__(self, listener: socket.socket, sheet: Sheet) -> None:
        self.listener = listener
        self.sheet = sheet
        self.no_release = sheet.row(NO_RELEASE)
        self.route = Route()
        self.known = KnownRequests()
        self.clients: set[ClientLink] = set()
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._drain_by = 0.0
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to take connections. Not before the first route is known: what comes earlier waits in the socket's queue."""
        if self._server is None and not self.route.draining:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: ClientLink(self), sock=self.listener, backlog=BACKLOG)
            self._sweeping = loop.create_task(self._sweep())

    def set_upstream(self, release: str, port: int, row: int) -> None:
        """Cut: every request from now on goes there; those under way end where they are."""
        now = self.route.upstream
        if now is not None and (now.release, now.port) == (release, port):
            return
        self._leave(now)
        self.route.upstream = Upstream(release, port, self.sheet.row(row), UpstreamLink)

    def unset_upstream(self) -> None:
        self._leave(self.route.upstream)
        self.route.upstream = None

    def set_maintenance(self, maintenance: Maintenance | None) -> None:
        self.route.maintenance = maintenance

    def _leave(self, upstream: Upstream | None) -> None:
        if upstream is not None:
            upstream.current = False
            upstream.close_idle()

    def drain(self, limit_s: float) -> None:
        """Take no new connection, end each with its next answer, and be gone after `limit_s` at the latest."""
        if not self.route.draining:
            self.route.draining = True
            self._drain_by = time.monotonic() + limit_s
            if self._server is not None:
                self._server.close()
            else:
                self.gone.set()

    async def _sweep(self) -> None:
        """Ends what is overdue, and the drained front."""
        while True:
            await asyncio.sleep(0.05 if self.route.draining else SWEEP_S)
            now = time.monotonic()
            if self.route.draining and (not self.clients or now > self._drain_by):
                self.gone.set()
                return
            for client in list(self.clients):
                why = client.overdue(now)
                if why:
                    with contextlib.suppress(Exception):  # one broken connection must not end the sweep
                        client.expire(why)
            if self.route.upstream is not None:
                self.route.upstream.close_idle(older_than_s=60.0)
