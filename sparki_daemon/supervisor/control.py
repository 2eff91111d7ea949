"""What the supervisor and the engine say to each other: JSON lines over an inherited socket pair.

The engine asks `{"do": "spawn"}` (one more runner), `{"do": "sweep"}` (end what runners left that were not the supervisor's children),
`{"do": "loco"}` (there is a deployment to bring on), `{"do": "stop"}` (end everything), `{"do": "restart"}` (start anew, keep the rest).
The supervisor tells `{"runners": {name: pid}, "tag": …}` once an engine starts (names of runners that it forked itself begin with
the tag: the others run an older program), then `{"born": name, "pid": pid}` and
`{"died": name, "pid": pid, "status": wait status}`; the latter only after the runner's tree is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LISTEN_FD, CONTROL_FD = 3, 4  # where the engine finds the listening socket and its end of the pair
DEATH_FD = 3  # where loco finds the pipe whose end is the supervisor's death


def pack(message: dict[str, Any]) -> bytes:
    """One message's line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Bytes in, whole messages out."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Each message that `data` completes. Raises ValueError for a line that is no JSON."""
        *whole, self._held = (self._held + data).split(b"\n")
        for line in whole:
            yield json.loads(line)
