"""Answers without an end that is known: sent as they come, ended when the client goes or takes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from sparki_daemon.engine.api.table import NDJSON
from sparki_daemon.engine.feed import encode
from sparki_daemon.model.problem import SparkiError

STALL_S = 20.0  # a client that takes nothing for so long is dropped
CHUNK_BYTES = 128 * 1024  # about a chunk: large enough for the throughput, small enough for a client's memory

Chunk = tuple[bytes, int | None]  # bytes, and the seq of the last event that they bring to an end
Chunks = AsyncGenerator[Chunk, None]

log = logging.getLogger("sparki.api")


class Stalled(Exception):  # noqa: N818  # reads as what happened
    """The client takes nothing."""


class Stream(Response):
    """A chunked answer. A cursor, where the chunks have one, is told to a client that is dropped: `{"dropped": {"since": SEQ}}`."""

    def __init__(
        self, chunks: Chunks, media_type: str = NDJSON, *, since: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.charset = "utf-8"
        self.init_headers(headers)
        self._chunks = chunks
        self._since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        connection = scope["state"].get("connection")
        try:
            await while_connected(receive, "http.disconnect", self._pump(send))
        except (Stalled, SparkiError):  # the second: so slow that the journal was pruned behind it
            last = b"" if self._since is None else encode({"dropped": {"since": self._since}}) + b"\n"
            connection.drop(last)
        except Exception:
            log.exception("%s broke off", scope["path"])
            connection.cut()
        finally:
            await self._chunks.aclose()

    async def _pump(self, send: Send) -> None:
        async for data, seq in self._chunks:
            await sent(send, {"type": "http.response.body", "body": data, "more_body": True})
            if seq is not None:
                self._since = seq
        await sent(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def sent(send: Callable[[Message], Awaitable[None]], message: Message) -> None:
    """Send, waiting for the client to take what it was sent before. Raises Stalled."""
    try:
        async with asyncio.timeout(STALL_S) as limit:
            await send(message)
    except TimeoutError:
        if not limit.expired():
            raise
        raise Stalled from None


async def while_connected(receive: Receive, end: str, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` until it is done, or until the message `end` comes: then it is cancelled. Whatever else a client sends is left unread."""

    async def left() -> None:
        while (await receive())["type"] != end:
            pass

    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(left())
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not doing.done():
            doing.cancel()
        await asyncio.wait((doing, leaving))
    if not doing.cancelled() and (error := doing.exception()):
        raise error
    if not leaving.cancelled():
        leaving.exception()


class Batch:
    """Lines on their way into one chunk."""

    __slots__ = ("_lines", "seq", "size")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.size = 0
        self.seq: int | None = None

    def add(self, line: bytes, seq: int | None = None) -> bool:
        """True: it is time to send."""
        self._lines.append(line)
        self.size += len(line) + 1
        if seq is not None:
            self.seq = seq
        return self.size >= CHUNK_BYTES

    def take(self) -> Chunk:
        """What was gathered, each line with its end, and nothing is left."""
        data = b"\n".join((*self._lines, b""))
        seq, self.seq = self.seq, None
        self._lines.clear()
        self.size = 0
        return data, seq


def batches(lines: Sequence[tuple[bytes, int]]) -> list[Chunk]:
    """Encoded events and their seqs as chunks of about CHUNK_BYTES."""
    batch = Batch()
    chunks = [batch.take() for line, seq in lines if batch.add(line, seq)]
    return [*chunks, batch.take()] if batch.size else chunks
