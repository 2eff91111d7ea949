"""Where requests go now: the one thing that a cut changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparki_daemon.loco.front.known import KnownAnswers

if TYPE_CHECKING:
    from sparki_daemon.loco.front.upstream import UpstreamLink

KEPT_S = 4.0  # servers close kept connections after 2 s (gunicorn) to 75 s; most after 5
KEPT_UNREPEATABLE_S = 1.0  # for a request that can't be sent again: only what is surely still open


@dataclass(eq=False)
class Upstream:
    """One release's address, with the connections to it that wait for a request."""

    release: str
    port: int
    row: memoryview[int]
    make_link: Callable[[Upstream], UpstreamLink]
    current: bool = True  # new requests come here
    idle: list[UpstreamLink] = field(default_factory=list)
    known: KnownAnswers = field(default_factory=KnownAnswers)

    def take(self, *, repeatable: bool) -> UpstreamLink | None:
        """A connection that has served before and still seems open: the one that was used last."""
        limit_s = KEPT_S if repeatable else KEPT_UNREPEATABLE_S
        if self.idle and time.monotonic() - self.idle[-1].idle_since < limit_s:
            return self.idle.pop()
        return None

    async def dial(self) -> UpstreamLink:
        """A new connection. Raises OSError."""
        _, link = await asyncio.get_running_loop().create_connection(lambda: self.make_link(self), "127.0.0.1", self.port)
        return link

    def give_back(self, link: UpstreamLink) -> None:
        if self.current:
            link.idle_since = time.monotonic()
            self.idle.append(link)
        else:
            link.transport.close()

    def forget(self, link: UpstreamLink) -> None:
        if link in self.idle:
            self.idle.remove(link)

    def close_idle(self, *, older_than_s: float = 0.0) -> None:
        """Close the waiting connections that have waited at least so long."""
        limit = time.monotonic() - older_than_s
        for link in [link for link in self.idle if link.idle_since <= limit]:
            self.idle.remove(link)
            link.transport.close()


@dataclass(frozen=True)
class Maintenance:
    """What every request is told while the service is being worked on."""

    text: str
    retry_after_s: int | None = None


@dataclass
class Route:
    """What a request that comes in now meets."""

    upstream: Upstream | None = None
    maintenance: Maintenance | None = None
    draining: bool = False  # this front takes no new connections, and ends each with its next answer
