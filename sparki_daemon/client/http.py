"""HTTP/1.1 over a Unix socket by hand: one request a connection, its answer whole or as a stream.

`http.client` and `socket` would cost more time to load than a short command takes; `_socket` is the same kernel interface.
Everything that goes wrong on the way is an OSError, so that callers need to catch one thing.
"""

from __future__ import annotations

import _socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 65536
MAX_HEAD_BYTES = 65536


class BrokenError(ConnectionError):
    """The far side went, or talked nonsense, before its answer was whole."""


class Body:
    """The decoder of a body: by its length, in chunks, or up to the end of file."""

    __slots__ = ("_chunked", "_held", "_left", "ended")

    def __init__(self, headers: dict[str, str]) -> None:
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length")
        self._left = int(length) if length is not None and not self._chunked else -1
        self._held = b""
        self.ended = self._left == 0

    def feed(self, data: bytes) -> bytes:
        """The body's bytes that `data` completes."""
        if self._chunked:
            return self._feed_chunked(data)
        if self._left >= 0:
            data = data[: self._left]
            self._left -= len(data)
            self.ended = self._left == 0
        return data

    def end_of_file(self) -> None:
        """The connection ended. Raises BrokenError when the body is not whole."""
        if not self.ended and (self._chunked or self._left > 0):
            raise BrokenError("the connection ended before the answer did")
        self.ended = True

    def _feed_chunked(self, data: bytes) -> bytes:
        held = self._held + data
        out = []
        at = 0
        while not self.ended:
            line_end = held.find(b"\r\n", at)
            if line_end < 0:
                break
            size = int(held[at:line_end].split(b";", 1)[0], 16)
            start = line_end + 2
            if len(held) < start + size + 2:
                break
            out.append(held[start : start + size])
            at = start + size + 2
            self.ended = size == 0
        self._held = held[at:]
        return b"".join(out)


class Exchange:
    """A request that was sent and whose head came back; the body is read from here."""

    __slots__ = ("_body", "_first", "_socket", "headers", "status")

    def __init__(self, sock: _socket.socket, status: int, headers: dict[str, str], rest: bytes) -> None:
        self._socket = sock
        self.status = status
        self.headers = headers
        self._body = Body(headers)
        self._first = self._body.feed(rest)

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def ended(self) -> bool:
        """Whether all of the body came, and was handed out."""
        return self._body.ended and not self._first

    @property
    def waiting(self) -> bool:
        """Whether body came together with the head: it is to be taken before the socket is waited for."""
        return bool(self._first)

    def take_now(self) -> bytes:
        """What of the body is there without waiting, which may be nothing. Raises OSError; BrokenError when cut off."""
        if self._first or self._body.ended:
            return self._take_first()
        try:
            data = self._socket.recv(READ_BYTES, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        if not data:
            self._body.end_of_file()
        return self._decode(data)

    def _take_first(self) -> bytes:
        first, self._first = self._first, b""
        return first

    def receive(self) -> bytes:
        """The next bytes of the body, waiting for them; nothing once `ended`. Raises OSError; BrokenError when cut off."""
        while True:
            if self._first:
                return self._take_first()
            if self._body.ended:
                return b""
            data = self._socket.recv(READ_BYTES)
            if not data:
                self._body.end_of_file()
                return b""
            decoded = self._decode(data)
            if decoded:
                return decoded

    def read(self) -> bytes:
        """The whole body; the connection is closed then. Raises OSError; BrokenError when cut off."""
        parts = []
        try:
            while not self.ended:
                parts.append(self.receive())
        finally:
            self.close()
        return b"".join(parts)

    def lines(self) -> Iterator[list[bytes]]:
        """The body's lines without their ends, those together that came together; the connection is closed after the last.

        Raises OSError; BrokenError when cut off.
        """
        held = b""
        try:
            while not self.ended:
                *whole, held = (held + self.receive()).split(b"\n")
                if whole:
                    yield whole
        finally:
            self.close()
        if held:
            yield [held]

    def wait_at_most(self, timeout_s: float | None) -> None:
        """How long `receive` may wait from here on; None: for ever."""
        self._socket.settimeout(timeout_s)

    def close(self) -> None:
        self._socket.close()

    def _decode(self, data: bytes) -> bytes:
        try:
            return self._body.feed(data)
        except ValueError:
            raise BrokenError("the answer's chunks make no sense") from None


def dial(address: str, timeout_s: float) -> _socket.socket:
    """A connection to the Unix socket at `address`. Raises OSError; TimeoutError when the listener is there, and takes nobody."""
    deadline = time.monotonic() + timeout_s
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        while True:
            try:
                sock.connect(address)
                return sock
            except BlockingIOError:  # the backlog is full: with a timeout set, the kernel does not wait by itself
                if time.monotonic() > deadline:
                    raise TimeoutError("the daemon takes no connections") from None
                time.sleep(0.005)
    except BaseException:
        sock.close()
        raise


def exchange(sock: _socket.socket, method: str, target: str, body: bytes = b"", headers: tuple[str, ...] = ()) -> Exchange:
    """Send one request on `sock` and wait for the head of its answer. Owns `sock` from here. Raises OSError, and BrokenError."""
    try:
        sock.sendall(_head(method, target, body, headers) + body)
        return _answer(sock)
    except BaseException:
        sock.close()
        raise


def _head(method: str, target: str, body: bytes, headers: tuple[str, ...]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: sparki", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _answer(sock: _socket.socket) -> Exchange:
    held = b""
    while True:
        end = held.find(b"\r\n\r\n")
        if end >= 0:
            break
        if len(held) > MAX_HEAD_BYTES:
            raise BrokenError("the answer's head has no end")
        data = sock.recv(READ_BYTES)
        if not data:
            raise BrokenError("the connection ended before an answer came")
        held += data
    first, *lines = held[:end].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise BrokenError("the answer is no HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        return Exchange(sock, int(status), headers, held[end + 4 :])
    except ValueError:
        raise BrokenError("the answer's length makes no sense") from None


_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:")


def quoted(text: str) -> str:
    """`text` as it may stand in a request target. Source: RFC 3986, section 2; `/` and `:` are allowed in a query."""
    if _SAFE.issuperset(text):
        return text
    return "".join(c if c in _SAFE else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogateescape")) for c in text)
