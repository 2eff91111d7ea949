"""A client's connection: uvicorn's protocols, which check the peer, and let go of clients that take nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from sparki_daemon.engine.api import peer

LINGER_S = 10.0  # how long the last words wait for a client that was dropped; with stream.STALL_S the 30 s of a dead client
SILENT_S = 10.0  # a stranger that asks nothing is closed then
TRY_AGAIN_LATER = 1013  # Source: the WebSocket Close Code Number Registry


class HttpConnection(HttpToolsProtocol):
    """Adds itself as `connection` to each request's state."""

    _refused = False
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        self.app_state = {**self.app_state, "connection": self}
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_UNIX and not peer.admitted(peer.uid_of(sock)):
            self._refused = True  # answered at its first byte: closing with unread bytes would reset the answer away
            self._end = self.loop.call_later(SILENT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
        elif not self.transport.is_closing():
            self.transport.write(peer.refused())
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
        self.app_state = {}  # the circle through `connection`

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words are not ours
        self.transport.write(peer.malformed())
        self.transport.close()

    def shutdown(self) -> None:
        """The engine goes. An open stream is cut without its last chunk: its client sees that it is not whole, and comes back."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.cut()
        else:
            super().shutdown()

    def cut(self) -> None:
        """End the connection in the middle of an answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._abort_later()

    def drop(self, last: bytes) -> None:
        """End a chunked answer whose client takes nothing: `last` is what it reads if it comes back within LINGER_S."""
        if not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last) if last else b"")
        self.cut()

    def _abort_later(self) -> None:
        if self._end is None:
            self._end = self.loop.call_later(LINGER_S, self.transport.abort)


class WebSocketConnection(WebSocketsSansIOProtocol):
    """Adds itself as `connection` to the session's state."""

    _end: asyncio.TimerHandle | None = None

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
        self.app_state = {}

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_later()

    def drop(self, reason: str) -> None:
        """Close with 1013 behind whatever the client has not taken yet; the socket goes after LINGER_S at the latest."""
        if not self.close_sent and not self.transport.is_closing():
            self.conn.send_close(TRY_AGAIN_LATER, reason)
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._end is None:
            self._end = self.loop.call_later(LINGER_S, self.transport.abort)


Connection = HttpConnection | WebSocketConnection


def transport_of(connection: object) -> asyncio.Transport:
    return cast("Connection", connection).transport
