"""One run's events and log text, to its end: taken up where it broke off after every lost connection, nothing twice, nothing lost.

Made for one `poll` over several runs: `fileno` says what to wait for, `receive` takes what is there without waiting.
"""

from __future__ import annotations

import json

from sparki_daemon.client.engine import Engine, quoted_segment
from sparki_daemon.client.http import Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Following:
    """The stream of `run` after the event `since`; `log` asks for the text too."""

    def __init__(self, engine: Engine, run: str, since: int, *, log: bool) -> None:
        self.run = run
        self.ended = False
        self.since = since
        self.reconnects = 0
        self._engine = engine
        self._log = log
        self._at: dict[str, int] = {}  # by a job's uid: the bytes of its log that were handed out
        self._held = b""
        self._fruitless = 0
        self._exchange: Exchange | None = None

    def fileno(self) -> int:
        """What becomes readable; -1 while there is no connection: then `receive` makes one."""
        return self._exchange.fileno() if self._exchange else -1

    @property
    def waiting(self) -> bool:
        """Whether `receive` has something to do before the connection becomes readable."""
        return self._exchange is None or self._exchange.waiting

    def connect(self) -> None:
        """Open the stream after what was handed out. Raises SparkiError, after a bounded time."""
        query = f"since={self.since}&log={'true' if self._log else 'false'}"
        query += "".join(f"&at={uid}:{offset}" for uid, offset in self._at.items())
        self._exchange = self._engine.open(f"/v1/runs/{quoted_segment(self.run)}/follow?{query}")
        self._held = b""

    def receive(self) -> list[tuple[dict[str, Any], bytes]]:
        """The items that have come, each with its own line: events, and {"log": …} with text. Connects again when cut off.

        Raises SparkiError when the run can't be followed any longer.
        """
        if self._exchange is None:
            self.connect()
        exchange = self._exchange
        if exchange is None:  # connect() made one, or raised
            return []
        try:
            data = exchange.take_now()
            over = exchange.ended
        except OSError:
            data, over = b"", True
        items = self._take(data)
        if over and not self.ended:
            self._cut_off(fruitful=bool(items))
        return items

    def close(self) -> None:
        if self._exchange:
            self._exchange.close()
            self._exchange = None

    def _cut_off(self, *, fruitful: bool) -> None:
        """The stream ended before the run did: the next `receive` opens another."""
        self.close()
        self.reconnects += 1
        self._fruitless = self._engine.cut_off(self._fruitless, progress=fruitful)

    def _take(self, data: bytes) -> list[tuple[dict[str, Any], bytes]]:
        *lines, self._held = (self._held + data).split(b"\n")
        items = []
        for line in lines:
            if line:
                item = json.loads(line)
                if self._is_new(item):
                    items.append((item, line))
        return items

    def _is_new(self, item: dict[str, Any]) -> bool:
        if "log" in item:
            return self._is_new_text(item["log"])
        if "seq" not in item or item["seq"] <= self.since:  # "dropped": the stream ends, and the next begins where this one was
            return False
        self.since = item["seq"]
        if item["kind"] == "run.finished":
            self.ended = True
        elif item["kind"] in ("job.queued", "job.finished"):
            self._at.pop(item["data"].get("uid", ""), None)  # a new attempt begins a new text, after an end comes none
        return True

    def _is_new_text(self, log: dict[str, Any]) -> bool:
        """Whether text has not been handed out yet; what overlaps is cut off it."""
        start, end = log["from"], log.get("to", log["from"] + len(log["text"].encode("utf-8", "surrogatepass")))
        known = self._at.get(log["uid"], 0)
        if end <= known:
            return False
        if start < known:
            log["text"] = log["text"].encode("utf-8", "surrogatepass")[known - start :].decode("utf-8", "replace")
        self._at[log["uid"]] = end
        return True
