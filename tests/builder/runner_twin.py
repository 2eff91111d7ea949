"""A runner and a ledger that do what a test says: real lock, real socket, real spool file; no process, no state file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Turn
from sparki_daemon.model.wire import Frame, Unpacker, pack
from sparki_daemon.system import files


class RunnerTwin:
    """Answers HELLO, and sends its spool from where it is asked, unless `sends` is off."""

    def __init__(self, home: Path, name: str) -> None:
        self.home, self.name = home, name
        self.job: str | None = None
        self.epoch = 0
        self.sends = True
        self.asked: list[int] = []  # the offset of each RESUME
        self.orders: list[tuple[Frame, Any]] = []
        self.spool = home / "spool" / name
        for folder in ("runners", "spool"):
            (home / folder).mkdir(exist_ok=True)
        self.spool.touch()
        self._writers: list[asyncio.StreamWriter] = []
        self._lock: int | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> RunnerTwin:
        self._lock = files.try_lock(str(self.home / "runners" / f"{self.name}.lock"))
        self._server = await asyncio.start_unix_server(self._serve, self.home / "runners" / f"{self.name}.sock")
        return self

    def write(self, *records: Any, torn: str = "") -> bytes:
        """Append records to the spool."""
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        with self.spool.open("ab") as file:
            file.write(data + torn.encode())
        return data

    def send(self, offset: int, data: bytes) -> None:
        """A frame of records to the present builder."""
        self._writers[-1].write(pack(Frame.RECORDS, data, offset))

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def die(self) -> None:
        """The lock goes with the process, then the connection."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._server:
            self._server.close()
        self.hang_up()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        hello = {"protocol": 1, "runner": self.name, "pid": 7, "start": 1, "boot": "b", "spool": self.spool.stat().st_size}
        writer.write(pack(Frame.HELLO, json.dumps({**hello, "job": self.job, "epoch": self.epoch or None}).encode()))
        unpacker = Unpacker()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for kind, _, body in unpacker.feed(data):
                    self._hear(kind, json.loads(body))
        writer.close()

    def _hear(self, kind: Frame, body: Any) -> None:
        if kind is not Frame.RESUME:
            self.orders.append((kind, body))
            return
        self.asked.append(body["from"])
        if self.sends and (data := self.spool.read_bytes()[body["from"] :]):
            self.send(body["from"], data)


@dataclass
class LedgerTwin:
    """Keeps bytes as the journal would: each once, no hole."""

    taken: dict[str, bytes] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    attached: list[Attached] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    fails: int = 0  # turns that can't be written
    answer: Callable[[list[str]], Turn] = lambda _: Turn()

    async def turn(
        self,
        arrived: list[Arrived],
        gone: list[Gone],
        attached: list[Attached],
        holding: dict[str, list[str]],
        *,
        committed: Callable[[Turn], None],
    ) -> Turn:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise OSError("no space left")
        for piece in arrived:
            have = self.taken.get(piece.runner, b"")
            assert piece.offset <= len(have), f"a hole: {piece}, have {len(have)}"
            assert piece.data.endswith(b"\n")
            self.taken[piece.runner] = have + piece.data[len(have) - piece.offset :]
        self.gone += gone
        self.attached += attached
        turn = self.answer([name for name, held in holding.items() if not held])
        committed(turn)
        return turn

    async def cursor(self, runner: str) -> int:
        return len(self.taken.get(runner, b""))

    async def forget(self, runner: str) -> None:
        self.forgotten.append(runner)


class SupervisorTwin:
    """Hears what the pool asks of the supervisor."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, what: str) -> None:
        self.asked.append(what)
