"""Heads that were judged before: who keeps asking sends the same fields again and again, and they need not be parsed each time.

Nothing is guessed: a head is known when it is, byte for byte, one that the parser took and that `head` let pass. A request's
first line, which differs, is taken when it has no letter that could be read in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparki_daemon.loco.front.head import Answer, Headers, Request

LIMIT_BYTES = 4096  # of a head that is kept
LIMIT = 256  # heads; all are forgotten when there are more
LINE = re.compile(rb"(GET|HEAD) /[!-~]{0,2000} HTTP/1\.1")


class KnownRequests:
    """Requests without a body, of HTTP/1.1 on connections that go on."""

    def __init__(self) -> None:
        self._once = Once()
        self._rests: dict[tuple[str, bytes], bytes] = {}  # the client's address, its fields → what the upstream gets behind the first line

    def find(self, data: bytes, peer: str) -> Request | None:
        """The request that these bytes are, when they are nothing but one with known fields."""
        end = data.find(b"\r\n")
        rest = self._rests.get((peer, data[end:]))
        line = LINE.fullmatch(data, 0, end) if rest is not None and end > 0 else None
        return None if line is None or rest is None else Request(line[1], data[:end] + rest, True, False, False, None, False)

    def learn(self, data: bytes, peer: str, request: Request) -> None:
        """`data` was this request, whole, and nothing else."""
        end = data.find(b"\r\n")
        if not self._once.again((peer, data[end:])):
            return
        plain = request.keep_alive and not (request.old or request.chunked or request.upgrade) and request.length is None
        if plain and is_one_head(data) and LINE.fullmatch(data, 0, end):
            if len(self._rests) >= LIMIT:
                self._rests.clear()
            self._rests[peer, data[end:]] = request.head[request.head.index(b"\r\n") :]


@dataclass(slots=True, frozen=True)
class KnownAnswer:
    """One head of an answer with a length, to a request of HTTP/1.1, on connections that go on."""

    status: int
    head: bytes  # as the client gets it
    length: int  # of the body
    as_came: bool  # it is what the service sent


class KnownAnswers:
    """The answers of one release."""

    def __init__(self) -> None:
        self._once = Once()
        self._answers: dict[bytes, KnownAnswer] = {}

    def find(self, data: bytes) -> tuple[KnownAnswer, int] | None:
        """The answer that these bytes are, when they are nothing but one with a known head; and where its body begins."""
        body = data.find(b"\r\n\r\n") + 4
        found = self._answers.get(data[:body])
        return (found, body) if found is not None and len(data) - body == found.length else None

    def learn(self, data: bytes, status: int, headers: Headers, answer: Answer) -> None:
        """`data` was this answer, whole, and nothing else."""
        body = data.find(b"\r\n\r\n") + 4
        if not self._once.again(data[:body]):
            return
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        if answer.chunk or answer.close or lengths != [b"%d" % (len(data) - body)] or not is_one_head(data[:body]):
            return
        if len(self._answers) >= LIMIT:
            self._answers.clear()
        self._answers[data[:body]] = KnownAnswer(status, answer.head, len(data) - body, answer.head == data[:body])


class Once:
    """What was seen once: a head that never comes again shall cost next to nothing."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def again(self, what: object) -> bool:
        """Whether it was here lately. Two that are taken for each other cost nobody anything."""
        if (mark := hash(what)) in self._seen:
            return True
        if len(self._seen) >= 4 * LIMIT:
            self._seen.clear()
        self._seen.add(mark)
        return False


def is_one_head(data: bytes) -> bool:
    """Lines that end as they should, the last one empty; not too many bytes to be kept."""
    ends = data.count(b"\r\n")
    return (
        len(data) <= LIMIT_BYTES
        and data.endswith(b"\r\n\r\n")
        and data.count(b"\r\n\r\n") == 1
        and ends == data.count(b"\n") == data.count(b"\r")
    )
