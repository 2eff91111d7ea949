"""One line of the journal: what happened, when, to what."""

from __future__ import annotations

from typing import Any

from sparki_daemon.model.dataclass import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """`seq` counts every event of a state folder from 1 with no gap; `stream` is the run's (later the deployment's) id."""

    seq: int
    time: str  # RFC 3339, UTC
    stream: str
    kind: str
    data: dict[str, Any]
    text: str = field(default="", compare=False, repr=False)  # `data` as JSON where the store has just written it; empty otherwise

    def to_json(self) -> dict[str, Any]:
        return {"seq": self.seq, "time": self.time, "stream": self.stream, "kind": self.kind, "data": self.data}
