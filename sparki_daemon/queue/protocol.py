"""The seam of the queues: who is woken for which id; the store holds the truth."""

from __future__ import annotations

from typing import Protocol

from sparki_daemon.store.protocol import Tx

BUILDS = "builds"
DEPLOYMENTS = "deployments"


class Queue(Protocol):
    """Queues of ids. Delivery is at least once: whoever takes an id claims it in the store, by compare and set."""

    async def put(self, tx: Tx, queue: str, ids: list[str]) -> None:
        """Queue `ids`, oldest first, with the transaction that makes them ready. An id that is queued already stays where it is."""
        ...

    async def take(self, tx: Tx, queue: str, limit: int, *, skip: frozenset[str] = frozenset()) -> list[str]:
        """Up to `limit` ids, oldest first, not in `skip`; they leave the queue if this transaction commits."""
        ...

    async def drop(self, tx: Tx, queue: str, ids: list[str]) -> None:
        """Take `ids` out of the queue, for jobs that were cancelled before anyone took them."""
        ...

    async def waiting(self, tx: Tx, queue: str) -> list[str]:
        """Every id that waits, oldest first: for whoever starts and must know what was queued before."""
        ...

    async def depth(self, tx: Tx, queue: str, *, most: int = 2**31) -> int:
        """How many ids wait; counted no further than `most`."""
        ...
