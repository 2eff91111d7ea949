"""One request and its answer, between a client's connection and an upstream's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sparki_daemon.loco.counts import Field
from sparki_daemon.loco.front.head import Answer, Headers, RefusedError, Request, interim_head, judge_answer, plain

if TYPE_CHECKING:
    from sparki_daemon.loco.front.client_link import ClientLink
    from sparki_daemon.loco.front.known import KnownAnswer
    from sparki_daemon.loco.front.route import Upstream
    from sparki_daemon.loco.front.upstream import UpstreamLink

KEPT_BODY_BYTES = 64 * 1024  # so much of a body is held back in case that it must be sent again


class Exchange:
    """Lives from the request's head to the answer's end. Every way out goes through `_leave`, once: so in_flight is exact."""

    def __init__(self, client: ClientLink, request: Request, upstream: Upstream) -> None:
        self.client = client
        self.request = request
        self.upstream = upstream
        self.row = upstream.row
        self.link: UpstreamLink | None = None
        self.complete = not request.has_body  # the client has sent all
        self.answered = False  # the final answer's head has been read
        self.over = False
        self.blocked = True  # the client shall not send more: there is no connection yet, or it is full
        self._reused = False
        self._retried = False
        self._heard = False
        self._reusable = False
        self._chunk = False
        self._close = False
        self._bounded = True
        self.told: Answer | None = None  # the final answer's head
        self._out: list[bytes] = []
        self._waiting: list[bytes] = []  # of the body, until there is a connection
        self._sent: list[bytes] | None = []  # of the body, while it can still be sent again
        self._sent_bytes = 0
        self._dialling: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self.row[Field.REQUESTS] += 1
        self.row[Field.IN_FLIGHT] += 1

    # -- towards the upstream -------------------------------------------------------------------------------------------

    def begin(self, pieces: list[bytes]) -> None:
        """Find a connection and send the request, with what is there of its body."""
        self._waiting = pieces
        link = self.upstream.take(repeatable=self._repeatable())
        if link is not None:
            self._reused = True
            self._use(link)
        else:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())

    def send_body(self, pieces: list[bytes]) -> None:
        """More of the request's body."""
        if self.over or self.answered:
            return  # nobody wants it any more; what the client still sends is read and dropped
        if self.link is None:
            self._waiting += pieces
            return
        if self._sent is not None:
            self._sent += pieces
            self._sent_bytes += sum(map(len, pieces))
            if self._sent_bytes > KEPT_BODY_BYTES:
                self._sent = None
        data = self._framed(pieces)
        if data:
            self.link.transport.write(data)

    def _framed(self, pieces: list[bytes]) -> bytes:
        if not self.request.chunked:
            return b"".join(pieces)
        data = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece])
        return data + b"0\r\n\r\n" if self.complete else data

    def _repeatable(self) -> bool:
        return self.request.idempotent and self._sent is not None

    async def _dial(self) -> None:
        try:
            link = await self.upstream.dial()
        except OSError as error:
            self._dialling = None
            self._not_reached(error)
            return
        self._dialling = None
        if self.over:
            link.transport.close()
        else:
            self._reused = False
            self._use(link)

    def _not_reached(self, error: OSError) -> None:
        if self.over:
            return
        if self._move_on():
            self.begin(self._waiting)
        else:
            self.broken(f"the service does not answer at its port: {error.strerror or error}")

    def _move_on(self) -> bool:
        """Belong to the release that is live now, if that is another: nothing of this request has been worked on."""
        current = self.client.front.route.upstream
        if current is None or current is self.upstream:
            return False
        self.row[Field.REQUESTS] -= 1
        self.row[Field.IN_FLIGHT] -= 1
        self.upstream, self.row = current, current.row
        self.row[Field.REQUESTS] += 1
        self.row[Field.IN_FLIGHT] += 1
        return True

    def _use(self, link: UpstreamLink) -> None:
        self.link = link
        link.serve(self, bodiless=self.request.method == b"HEAD")
        pieces, self._waiting = self._waiting, []
        if self._sent is not None:
            self._sent += pieces
            self._sent_bytes += sum(map(len, pieces))
        link.transport.write(self.request.head + self._framed(pieces) if pieces or self.request.chunked else self.request.head)
        self.blocked = False
        if self.client.full:
            link.transport.pause_reading()
        self.client.steer_reading()

    def upstream_full(self, *, full: bool) -> None:
        """Back-pressure: the service reads slower than the client sends."""
        self.blocked = full
        self.client.steer_reading()

    # -- towards the client ---------------------------------------------------------------------------------------------

    def heard_upstream(self) -> None:
        if not self._heard:
            self._heard = True
            self.row[Field.FIRST_BYTE_US] += int((time.monotonic() - self._began) * 1e6)
            self.row[Field.ANSWERS] += 1

    def interim(self, status: int, reason: bytes, headers: Headers) -> None:
        if not self.request.old and (status != 101 or self.request.upgrade):
            self._out.append(interim_head(status, reason, headers))

    def answer_head(self, status: int, reason: bytes, headers: Headers, *, reusable: bool) -> None:
        if self.over:
            return
        close = self.client.front.route.draining or not self.complete
        try:
            answer = judge_answer(status, reason, headers, self.request, close=close)
        except RefusedError as refused:
            self.broken(refused.text)
            return
        self.answered, self.told = True, answer
        self.client.steer_reading()
        self._chunk, self._close, self._reusable = answer.chunk, answer.close, reusable and self.complete
        self._bounded = reusable or any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)
        if status >= 500:
            self.row[Field.ERRORS_5XX] += 1
        self._out.append(answer.head)

    def answer_whole(self, known: KnownAnswer, body: int, data: bytes) -> bool:
        """All of an answer whose head was judged before; False: for this request it must be judged anew."""
        client, link = self.client, self.link
        if client.front.route.draining or not self.complete or not self.request.keep_alive or self.request.old or link is None:
            return False
        if link.bodiless or self._out:
            return False
        self.answered, self.link = True, None
        if known.status >= 500:
            self.row[Field.ERRORS_5XX] += 1
        client.transport.write(data if known.as_came else known.head + data[body:])
        self._leave()
        link.free(reusable=True)
        client.exchange_ended(self, close=False)
        return True

    def answer_body(self, data: bytes) -> None:
        if self.over:
            return
        self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunk else data)

    def answer_end(self) -> None:
        """The answer is whole: the next request of this client may come."""
        if self.over:
            return
        if self._chunk:
            self._out.append(b"0\r\n\r\n")
        self.flush_answer()
        link, self.link = self.link, None
        self._leave()
        if link is not None:
            link.free(reusable=self._reusable)
        self.client.exchange_ended(self, close=self._close)

    def flush_answer(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self.client.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def client_full(self, *, full: bool) -> None:
        """Back-pressure: the client reads slower than the service answers."""
        if self.link is not None and not self.link.transport.is_closing():
            if full:
                self.link.transport.pause_reading()
            else:
                self.link.transport.resume_reading()

    # -- upgraded -------------------------------------------------------------------------------------------------------

    def upgraded(self, rest: bytes) -> None:
        """101: from here on bytes go through unread."""
        if self.link is None or not self.request.upgrade:
            self.broken("the service changed the protocol, and nobody had asked for it")
            return
        self.flush_answer()
        self.answered = self.link.tunnel = True
        self.row[Field.TUNNELS] += 1
        if rest:
            self.client.transport.write(rest)
        self.client.open_tunnel()

    # -- ways out -------------------------------------------------------------------------------------------------------

    def upstream_lost(self, *, clean: bool) -> None:
        """The service closed its connection, or died."""
        link, self.link = self.link, None
        if self.over:
            return
        if link is not None and link.tunnel:
            self._leave(tunnel=True)
            self.client.transport.close()
        elif self.answered and clean and not self._bounded:
            self.link = link
            self.answer_end()  # an answer without a length ends with its connection
        elif self.answered:
            self.row[Field.CUTS] += 1
            self.flush_answer()
            self._leave()
            self.client.transport.close()
        elif self._reused and not self._heard and not self._retried and self._repeatable():
            self._again()
        else:
            self.broken("the service closed the connection without an answer")

    def _again(self) -> None:
        """On a new connection to the release that is live now: a kept one may have been closed before the request got there."""
        self._retried, self.blocked = True, True
        self.row[Field.RETRIES] += 1
        self._move_on()
        self._waiting, self._sent, self._sent_bytes = self._sent or [], [], 0
        self.client.steer_reading()
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    def broken(self, text: str) -> None:
        """The upstream failed this request: 502, or the connection's end where an answer has begun."""
        if self.over:
            return
        link, self.link = self.link, None
        if link is not None:
            link.exchange = None
            link.transport.abort()
        begun = self.answered
        self.row[Field.CUTS if begun else Field.FAILED] += 1
        self._leave()
        if begun:
            self.client.transport.close()
            return
        close = not self.complete or not self.request.keep_alive or self.client.front.route.draining
        self.client.transport.write(plain(502, text, close=close, head_only=self.request.method == b"HEAD"))
        self.client.exchange_ended(self, close=close)

    def abandon(self) -> None:
        """The client left, or sent nonsense in its body."""
        if self.over:
            return
        link, self.link = self.link, None
        tunnel = link is not None and link.tunnel
        if not tunnel:
            self.row[Field.ABORTED] += 1
        self._leave(tunnel=tunnel)
        if self._dialling is not None:
            self._dialling.cancel()
        if link is not None:
            link.exchange = None
            if tunnel:
                link.transport.close()  # what the client sent last still gets there
            else:
                link.transport.abort()

    def _leave(self, *, tunnel: bool = False) -> None:
        self.over = True
        self.row[Field.IN_FLIGHT] -= 1
        if tunnel:
            self.row[Field.TUNNELS] -= 1
