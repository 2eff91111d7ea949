"""Accepts connections on the socket that the supervisor holds, and ends them within a second."""

from __future__ import annotations

import asyncio
import os
import socket

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from sparki_daemon.engine.api.connection import HttpConnection, WebSocketConnection, transport_of

BACKLOG = 1024
PING_EACH_S = 20.0
PONG_WITHIN_S = 30.0  # longer than a stalled stream is borne: its end names the cursor, a ping's doesn't
MAX_FROM_CLIENT_BYTES = 64 * 1024  # of a WebSocket message; clients have nothing to say


class Serving:
    """An engine's open door. `await stop()` closes it; the listening socket itself stays the supervisor's."""

    def __init__(self, server: asyncio.Server, state: ServerState) -> None:
        self._server = server
        self._state = state

    @property
    def connections(self) -> int:
        return len(self._state.connections)

    async def stop(self, grace_s: float = 1.0) -> None:
        """Take no more connections, cut streams, let requests that are being answered end, for at most `grace_s` in all."""
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
        for connection in list(self._state.connections):
            transport_of(connection).abort()
        await asyncio.sleep(0)  # the transports tell their protocols in the loop's next turn
        if left := set(self._state.tasks):
            await asyncio.wait(left, timeout=0.1)


async def serve(app: ASGIApp, fd: int) -> Serving:
    """Serve `app` on the listening socket `fd`, which is duplicated and not closed. Raises OSError for what is no socket."""
    config = Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
        lifespan="off",
        workers=1,  # else WEB_CONCURRENCY of the shell that started the daemon would be read
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what matters is told by the app: uvicorn's own lines tell of clients that left
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        ws_max_size=MAX_FROM_CLIENT_BYTES,
        ws_ping_interval=PING_EACH_S,
        ws_ping_timeout=PONG_WITHIN_S,
        ws_per_message_deflate=False,  # same machine: the copy is cheaper than the compression
        timeout_keep_alive=60,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listener = socket.socket(fileno=os.dup(fd))
    listener.setblocking(False)
    server = await loop.create_server(lambda: HttpConnection(config, state, {}, loop), sock=listener, backlog=BACKLOG)
    return Serving(server, state)
