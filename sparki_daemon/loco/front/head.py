"""Decides what a request's or an answer's head becomes on the other side; pure.

Sources: RFC 9110 (HTTP semantics) §7.6 for fields of one hop; RFC 9112 (HTTP/1.1) §6 for the length of a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

HEAD_LIMIT_BYTES = 64 * 1024
FIELDS_LIMIT = 128
TARGET_LIMIT_BYTES = 16 * 1024

Headers = list[tuple[bytes, bytes]]

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"})
ONE_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
FRAMING = frozenset({b"content-length", b"host"})  # a `Connection` that names them is not obeyed: they would be a body's borders
FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip"})
WATCHED = ONE_HOP | FRAMING | FORWARDED | {b"expect"}  # every other field passes unseen


class RefusedError(Exception):
    """A request that is answered by the front and never passed on."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(slots=True)
class Request:
    """One request's head, judged."""

    method: bytes
    head: bytes  # as the upstream gets it
    keep_alive: bool  # what the client wants
    old: bool  # HTTP/1.0: knows no chunks and no 1xx
    chunked: bool
    length: int | None
    upgrade: bool  # asks for a WebSocket

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.length)

    @property
    def idempotent(self) -> bool:
        return self.method in IDEMPOTENT


def judge_request(method: bytes, target: bytes, version: str, headers: Headers, keep_alive: bool, peer: str) -> Request:
    """What the upstream is to get. `peer` is the client's address; `headers` as the parser gave them.

    X-Forwarded-* of a client on this machine are kept (it is a TLS terminator, or may say what it likes anyway), of others replaced.
    Raises RefusedError for what two readers could understand in two ways, and for what is too large.
    """
    if version not in ("1.1", "1.0"):
        raise RefusedError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method == b"CONNECT":
        raise RefusedError(405, "CONNECT is for proxies of another kind")
    if len(target) > TARGET_LIMIT_BYTES:
        raise RefusedError(414, f"the address is longer than {TARGET_LIMIT_BYTES} bytes")
    if len(headers) > FIELDS_LIMIT:
        raise RefusedError(431, f"there are more than {FIELDS_LIMIT} header fields")
    if sum(map(len, chain.from_iterable(headers))) + 4 * len(headers) > HEAD_LIMIT_BYTES:
        raise RefusedError(431, f"the header is larger than {HEAD_LIMIT_BYTES} bytes")
    passed: Headers = []
    seen: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        low = name.lower()
        if low in WATCHED:
            seen.setdefault(low, []).append(value)
        else:
            passed.append((name, value))
    named = _named(seen)
    if named:
        passed = [field for field in passed if field[0].lower() not in named]
    old = version == "1.0"
    chunked, length = _framing(seen, old)
    target, host = _target(target, seen, old)
    upgrade = not old and b"upgrade" in named and [value.lower() for value in seen.get(b"upgrade", ())] == [b"websocket"]
    top = [b"%b %b HTTP/1.1\r\n" % (method, target), b"Host: %b\r\n" % host]
    top += [b"Expect: %b\r\n" % value for value in seen.get(b"expect", ()) if not old]
    if chunked:
        top.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        top.append(b"Content-Length: %d\r\n" % length)
    if upgrade:
        top.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    head = b"".join((*top, _lines(passed), *_forwarded(seen, host, peer), b"\r\n"))
    return Request(method, head, keep_alive, old, chunked, length, upgrade)


def _lines(headers: Headers) -> bytes:
    return b"\r\n".join([*map(b": ".join, headers), b""])


def _named(seen: dict[bytes, list[bytes]]) -> set[bytes]:
    """The fields that `Connection` keeps to one hop."""
    values = seen.get(b"connection")
    return {part.strip().lower() for value in values for part in value.split(b",")} - FRAMING - {b""} if values else set()


def _framing(seen: dict[bytes, list[bytes]], old: bool) -> tuple[bool, int | None]:
    codings, lengths = seen.get(b"transfer-encoding", []), seen.get(b"content-length", [])
    if codings and (lengths or old or len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
        raise RefusedError(400, "Transfer-Encoding is only taken as `chunked`, once, without Content-Length, in HTTP/1.1")
    if len(lengths) > 1 or (lengths and not (lengths[0].isdigit() and len(lengths[0]) < 19)):
        raise RefusedError(400, "Content-Length must be one number, given once")
    return bool(codings), int(lengths[0]) if lengths else None


def _target(target: bytes, seen: dict[bytes, list[bytes]], old: bool) -> tuple[bytes, bytes]:
    """The target as a path, with the host that it is for."""
    hosts = seen.get(b"host", [])
    if len(hosts) > 1 or not (hosts or old):
        raise RefusedError(400, "Host must be given once")
    host = hosts[0] if hosts else b""
    if target.startswith(b"/") or target == b"*":
        return target, host
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        raise RefusedError(400, "the address must be a path, or begin with http://")
    authority, slash, path = rest.partition(b"/")  # RFC 9112 §3.2.2: the address wins over Host
    return slash + path if slash else b"/", authority


def _forwarded(seen: dict[bytes, list[bytes]], host: bytes, peer: str) -> list[bytes]:
    trusted = peer.startswith("127.") or peer in ("::1", "::ffff:127.0.0.1", "")
    told = seen if trusted else {}
    way = b", ".join((*told.get(b"x-forwarded-for", ()), peer.encode()))
    lines = [b"X-Forwarded-For: %b\r\n" % way]
    lines.append(b"X-Forwarded-Proto: %b\r\n" % told.get(b"x-forwarded-proto", [b"http"])[0])
    lines.append(b"X-Forwarded-Host: %b\r\n" % told.get(b"x-forwarded-host", [host])[0])
    lines += [b"%b: %b\r\n" % (name, value) for name in (b"Forwarded", b"X-Real-IP") for value in told.get(name.lower(), ())]
    return lines


@dataclass(slots=True)
class Answer:
    """One answer's head, judged."""

    head: bytes  # as the client gets it
    chunk: bool  # put the body into chunks
    close: bool  # the client's connection ends with this answer


def judge_answer(status: int, reason: bytes, headers: Headers, request: Request, *, close: bool) -> Answer:
    """What the client is to get. `close`: the connection shall end after it, whatever the client wants.

    Raises RefusedError where the answer's end can't be told.
    """
    low = [name.lower() for name, _ in headers]
    kept = headers
    if not ONE_HOP.isdisjoint(low):
        seen = list(zip(low, (value for _, value in headers), strict=True))
        if any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in seen):
            raise RefusedError(502, "the service answered with a Transfer-Encoding other than `chunked`")
        named = {part.strip().lower() for name, value in seen if name == b"connection" for part in value.split(b",")} - FRAMING
        kept = [field for name, field in zip(low, headers, strict=True) if name not in ONE_HOP and name not in named]
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason), _lines(kept)]
    bodiless = request.method == b"HEAD" or status in (204, 304)
    unbounded = not bodiless and b"content-length" not in low
    chunk = unbounded and not request.old
    close = close or not request.keep_alive or (unbounded and request.old)
    if chunk:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if close:
        lines.append(b"Connection: close\r\n")
    elif request.old:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    return Answer(b"".join(lines), chunk, close)


def interim_head(status: int, reason: bytes, headers: Headers) -> bytes:
    """A 1xx answer as the client gets it; 101 keeps the fields that make the upgrade."""
    keep = (b"upgrade", b"connection") if status == 101 else ()
    fields = [b"%b: %b\r\n" % (name, value) for name, value in headers if name.lower() not in ONE_HOP or name.lower() in keep]
    return b"".join((b"HTTP/1.1 %d %b\r\n" % (status, reason), *fields, b"\r\n"))


REASONS = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


def plain(status: int, text: str, *, close: bool, head_only: bool = False, retry_after_s: int | None = None) -> bytes:
    """An answer of the front's own: plain text."""
    body = text.encode() + b"\n"
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS[status])]
    lines.append(b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\n" % len(body))
    if retry_after_s is not None:
        lines.append(b"Retry-After: %d\r\n" % retry_after_s)
    if close:
        lines.append(b"Connection: close\r\n")
    return b"".join((*lines, b"\r\n", b"" if head_only else body))
