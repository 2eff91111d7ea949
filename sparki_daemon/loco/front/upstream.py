"""One connection to a release's process: reads answers, hands them to the exchange that it serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from sparki_daemon.loco.front.reading import Reading

if TYPE_CHECKING:
    from sparki_daemon.loco.front.exchange import Exchange
    from sparki_daemon.loco.front.head import Headers
    from sparki_daemon.loco.front.route import Upstream

HEAD_LIMIT_BYTES = 128 * 1024


class UpstreamLink(Reading):
    """Idle in its upstream's list, or busy with one exchange."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self.tunnel = False
        self.bodiless = False  # the answer to HEAD, whose head ends it: the parser does not know
        self._parser: httptools.HttpResponseParser | None = None
        self._reason = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._in_head = True
        self._parsed_at_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def serve(self, exchange: Exchange, *, bodiless: bool) -> None:
        """Belong to this exchange until its answer has ended."""
        self.exchange, self.bodiless = exchange, bodiless
        self._in_head, self._head_bytes = True, 0
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)

    def free(self, *, reusable: bool) -> None:
        """The exchange is over: wait for another, or close."""
        self.exchange = None
        if self.bodiless:
            self._parser = None  # it waits for a body that never comes
        if reusable and not self.transport.is_closing():
            self.transport.resume_reading()  # a slow client may have stopped it
            self.upstream.give_back(self)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None or self._parser is None:
            self.transport.close()  # bytes that nobody asked for: what follows them can't be trusted
            return
        if self.tunnel:
            exchange.client.transport.write(data)
            return
        exchange.heard_upstream()
        first = self._in_head and not self._head_bytes
        if first and (known := self.upstream.known.find(data)) is not None and exchange.answer_whole(*known, data):
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            exchange.upgraded(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            if self.exchange is exchange and not exchange.over:
                exchange.broken(f"the service's answer is no HTTP: {error}")
            elif not self.transport.is_closing():
                self.upstream.forget(self)
                self.transport.close()
            return
        if self._in_head and self._head_bytes > HEAD_LIMIT_BYTES:
            exchange.broken("the head of the service's answer is too large")
        else:
            exchange.flush_answer()
            if (
                first
                and exchange.told is not None
                and self.exchange is None
                and self._parser is not None
                and not self.transport.is_closing()
            ):
                self.upstream.known.learn(data, self._parser.get_status_code(), self._headers, exchange.told)

    # -- what the parser calls ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reason, self._headers, self._in_head = b"", [], True
        if self.exchange is None and not self.transport.is_closing():  # a second answer to one request
            self.upstream.forget(self)
            self.transport.close()

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer, which RFC 9110 §6.5.1 lets an intermediary discard
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.exchange is None or parser is None:
            return
        self._in_head = False
        status = parser.get_status_code()
        if status < 200:
            self.exchange.interim(status, self._reason, self._headers)
        else:
            self.exchange.answer_head(status, self._reason, self._headers, reusable=parser.should_keep_alive())
            if self.bodiless and self.exchange is not None:
                self.exchange.answer_end()

    def on_body(self, data: bytes) -> None:
        if self.exchange is not None:
            self.exchange.answer_body(data)

    def on_message_complete(self) -> None:
        if self.exchange is not None and self.exchange.answered:
            self.exchange.answer_end()

    # -- flow and end ---------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_full(full=True)

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_full(full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            self.upstream.forget(self)
        else:
            exchange.upstream_lost(clean=exc is None)
