"""The engine's end of the socket pair to the supervisor."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any


class SupervisorLink(asyncio.Protocol):
    """Hears who was born and who died; asks for runners, for a restart, for the end.

    `on_message` gets each message; `on_gone` is called once when the supervisor has died.
    """

    def __init__(self, on_message: Callable[[dict[str, Any]], None], on_gone: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._held = b""

    @classmethod
    async def open(cls, fd: int, on_message: Callable[[dict[str, Any]], None], on_gone: Callable[[], None]) -> SupervisorLink:
        """The link over the inherited descriptor `fd`."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: cls(on_message, on_gone), sock=socket.socket(fileno=fd))
        return link

    def ask(self, what: str) -> None:
        """`spawn`, `sweep`, `stop` or `restart`."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(json.dumps({"do": what}).encode() + b"\n")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._held = (self._held + data).split(b"\n")
        for line in whole:
            self._on_message(json.loads(line))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._on_gone()
