"""A protocol whose bytes come by way of one buffer for all connections: asyncio else makes room for 256 KiB at every read."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

_ROOM = bytearray(256 * 1024)
_VIEW = memoryview(_ROOM)


class Reading(asyncio.BufferedProtocol, ABC):
    """Give it `data_received`. What was read is taken out at once, so nobody else's read can meet it."""

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # there is one size
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_VIEW[:nbytes]))

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
