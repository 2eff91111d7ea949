"""JSON lines over a socket: how the small processes talk to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def pack(message: dict[str, Any]) -> bytes:
    """One message's line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Bytes in, whole messages out."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def held_bytes(self) -> int:
        """How much of a message is here whose end is not."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Each message that `data` completes. Raises ValueError for a line that is no JSON."""
        *whole, self._held = (self._held + data).split(b"\n")
        for line in whole:
            yield json.loads(line)
