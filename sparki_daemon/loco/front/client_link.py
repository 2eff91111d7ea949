"""One client's connection: reads requests, one after the other, and gives each to an exchange."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import httptools

from sparki_daemon.loco.counts import Field
from sparki_daemon.loco.front.exchange import Exchange
from sparki_daemon.loco.front.head import HEAD_LIMIT_BYTES, TARGET_LIMIT_BYTES, Headers, RefusedError, Request, judge_request, plain
from sparki_daemon.loco.front.reading import Reading

if TYPE_CHECKING:
    from sparki_daemon.loco.front.server import Front

HEAD_LIMIT_S = 30.0  # from a request's first byte to the end of its head
BODY_LIMIT_S = 60.0  # without one byte of a body that is waited for
IDLE_LIMIT_S = 120.0  # between two requests
LINGER_S = 2.0  # for a client to read an answer that came before it had sent all


class Incoming:
    """A request as it is read. Several can be there at once: a client may send the next before it has the answer."""

    __slots__ = ("began", "body", "complete", "headers", "request", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: Headers = []
        self.request: Request | None = None
        self.body: list[bytes] = []
        self.complete = False
        self.began = time.monotonic()


class ClientLink(Reading):
    """Answers go out in the order of the requests; while one is being answered, no more than one read of the next ones is held."""

    transport: asyncio.Transport

    def __init__(self, front: Front) -> None:
        self.front = front
        self.peer = ""
        self.exchange: Exchange | None = None
        self.heard = time.monotonic()
        self._parser = httptools.HttpRequestParser(self)
        self._making: Incoming | None = None  # what the parser is at
        self._current: Incoming | None = None  # what the exchange is at
        self._queue: list[Incoming] = []
        self._held: list[bytes] = []  # not parsed yet
        self._head_bytes = 0
        self._refused: RefusedError | None = None
        self._paused = False
        self.full = False
        self._tunnel = False
        self._discard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else ""
        self.front.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # however it ended
        self.front.clients.discard(self)
        if self.exchange is not None:
            self.exchange.abandon()
            self.exchange = None

    @property
    def idle(self) -> bool:
        """Between two requests."""
        return self.exchange is None and self._making is None and not self._queue and not self._held and self._refused is None

    # -- reading --------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        exchange = self.exchange
        if self._discard:
            return
        if self._tunnel and exchange is not None and exchange.link is not None:
            exchange.link.transport.write(data)
        elif exchange is not None and exchange.complete:
            self._held.append(data)  # the next request, before this one's answer
            self.steer_reading()
        elif exchange is None and self.idle and (known := self.front.known.find(data, self.peer)) is not None:
            self._start(known, [], complete=True)
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        fresh = self.idle
        if self._making is None or self._making.request is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            rest = data[upgrade.args[0] :]
            if rest:
                self._held.append(rest)
        except httptools.HttpParserError as error:
            self._refused = self._refused or RefusedError(400, f"this is no HTTP request: {error}")
        making, current = self._making, self._current
        if fresh and current is not None and current.complete and not self._queue and not self._refused and current.request is not None:
            self.front.known.learn(data, self.peer, current.request)
        if making and not making.request and not self._refused and self._head_bytes > HEAD_LIMIT_BYTES + TARGET_LIMIT_BYTES:
            self._refused = RefusedError(431, f"the header is larger than {HEAD_LIMIT_BYTES} bytes")
        self._proceed()

    def on_message_begin(self) -> None:
        self._making = Incoming()

    def on_url(self, url: bytes) -> None:
        if self._making is not None:
            self._making.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._making is not None and self._making.request is None:  # else a trailer, which may be discarded
            self._making.headers.append((name, value))

    def on_headers_complete(self) -> None:
        making, parser = self._making, self._parser
        if making is None:
            return
        self._head_bytes = 0
        try:
            making.request = judge_request(
                parser.get_method(), making.target, parser.get_http_version(), making.headers, parser.should_keep_alive(), self.peer
            )
        except RefusedError as refused:
            self._refused = refused
            raise
        if self._current is None and not self._queue:
            self._current = making
        else:
            self._queue.append(making)

    def on_body(self, data: bytes) -> None:
        if self._making is not None:
            self._making.body.append(data)

    def on_message_complete(self) -> None:
        if self._making is not None:
            self._making.complete, self._making = True, None

    # -- acting on what was read ----------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Start what can start, send what can be sent, refuse what must be refused."""
        current = self._current
        if current is not None and current.request is not None:
            pieces, current.body = current.body, []
            if self.exchange is None:
                self._start(current.request, pieces, complete=current.complete)
            elif not self.exchange.complete and (pieces or current.complete):
                self.exchange.complete = current.complete
                self.exchange.send_body(pieces)
        if self._refused is not None and (self.exchange is None or not self.exchange.complete):
            self._refuse(self._refused)
        else:
            self.steer_reading()

    def _start(self, request: Request, pieces: list[bytes], *, complete: bool) -> None:
        route = self.front.route
        if route.maintenance is not None:
            self._turn_away(request, route.maintenance.text, route.maintenance.retry_after_s, complete=complete)
        elif route.upstream is None:
            self._turn_away(request, "no release is live here yet", 1, complete=complete)
        else:
            exchange = self.exchange = Exchange(self, request, route.upstream)
            exchange.complete = complete
            exchange.begin(pieces)

    def _turn_away(self, request: Request, text: str, retry_after_s: int | None, *, complete: bool) -> None:
        row = self.front.no_release
        row[Field.REQUESTS] += 1
        row[Field.REFUSED] += 1
        close = not complete or not request.keep_alive or self.front.route.draining
        self.transport.write(plain(503, text, close=close, head_only=request.method == b"HEAD", retry_after_s=retry_after_s))
        self._next(close=close, complete=complete)

    def _refuse(self, refused: RefusedError) -> None:
        """Say why, and end: what follows can't be understood."""
        exchange, self.exchange = self.exchange, None
        begun = False
        if exchange is not None:
            begun = exchange.answered
            exchange.abandon()
        if not begun:
            self.transport.write(plain(refused.status, refused.text, close=True))
        self._end(linger=True)

    def exchange_ended(self, exchange: Exchange, *, close: bool) -> None:
        """The answer is on its way: go on with what has come meanwhile."""
        self.exchange = None
        self._next(close=close, complete=exchange.complete)

    def _next(self, *, close: bool, complete: bool) -> None:
        self._current = None
        if close:
            self._end(linger=not complete)
            return
        if self._queue:
            self._current = self._queue.pop(0)
            asyncio.get_running_loop().call_soon(self._proceed_if_open)  # not from within: a long pipeline must not recurse
        elif self._held:
            asyncio.get_running_loop().call_soon(self._proceed_if_open)
        elif self._refused is not None:
            self._refuse(self._refused)
        else:
            self.steer_reading()

    def _proceed_if_open(self) -> None:
        if self.transport.is_closing() or self._discard or self.exchange is not None:
            return
        if self._current is None and self._held:
            held, self._held = b"".join(self._held), []
            self._feed(held)
        else:
            self._proceed()

    def _end(self, *, linger: bool) -> None:
        """Close after what was written; `linger`: a reset for what is still coming must not destroy the answer on its way."""
        if linger and not self.transport.is_closing() and self.transport.can_write_eof():
            self._discard = True
            self.transport.write_eof()
            self.steer_reading()
            asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()

    # -- flow -----------------------------------------------------------------------------------------------------------

    def steer_reading(self) -> None:
        """Read on, or not: nothing is taken from the client that has nowhere to go."""
        exchange = self.exchange
        want = bool(self._held) or (exchange is not None and not exchange.answered and exchange.blocked and not exchange.complete)
        if self._tunnel:
            want = exchange is not None and exchange.blocked
        want = want and not self._discard
        if want != self._paused and not self.transport.is_closing():
            self._paused = want
            if want:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.full = True
        if self.exchange is not None:
            self.exchange.client_full(full=True)

    def resume_writing(self) -> None:
        self.full = False
        if self.exchange is not None:
            self.exchange.client_full(full=False)

    def open_tunnel(self) -> None:
        """What comes from now on goes through unread."""
        self._tunnel = True
        held, self._held = b"".join(self._held), []
        if held and self.exchange is not None and self.exchange.link is not None:
            self.exchange.link.transport.write(held)
        self.steer_reading()

    def overdue(self, now: float) -> str:
        """Why this connection has had its time; empty while it has not."""
        if self._tunnel or self._discard:
            return ""
        if self._making is not None and self._making.request is None:
            return "head" if now - self._making.began > HEAD_LIMIT_S else ""
        if self.exchange is not None:
            waits = not self.exchange.complete and not self._paused and not self.full
            return "body" if waits and now - self.heard > BODY_LIMIT_S else ""
        return "idle" if now - self.heard > IDLE_LIMIT_S else ""

    def expire(self, why: str) -> None:
        """End an overdue connection: with a word where a request had begun."""
        if why == "idle":
            self.transport.close()
        else:
            self._refuse(RefusedError(408, "the request came too slowly"))
