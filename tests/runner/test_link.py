"""When a runner speaks to its builder: often enough for whoever watches, and not more often."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.model.wire import Frame, Unpacker, pack
from sparki_daemon.runner import link as module
from sparki_daemon.runner.link import LAZIEST_S, LAZY_S, Link
from sparki_daemon.runner.loop import Loop
from sparki_daemon.runner.spool import Spool


class Owner:
    """Hears nothing."""

    def hello(self) -> dict[str, Any]:
        return {}

    def ordered(self, kind: Frame, message: dict[str, Any]) -> None:
        raise AssertionError(kind, message)

    def deserted(self) -> None:
        pass


class Bench:
    """A link, its spool, and a builder that is connected, has everything, and watches the job `j`."""

    def __init__(self, folder: Path) -> None:
        here = os.getcwd()
        self.loop = Loop()
        self.spool = Spool(str(folder / "spool"), self.loop.sleep)
        self.link = Link(self.loop, str(folder), "r", self.spool, Owner())
        os.chdir(here)
        self.builder = socket.socket(socket.AF_UNIX)
        self.builder.connect(str(folder / "r.sock"))
        self.loop.turn()
        for kind, body in ((Frame.RESUME, {"from": 0}), (Frame.WATCH, {"job": "j", "on": True})):
            self.builder.sendall(pack(kind, json.dumps(body).encode()))
            self.loop.turn()
        self.builder.setblocking(False)
        self._unpacker = Unpacker()
        self.heard()

    def heard(self) -> list[Frame]:
        """The frames that have come since the last call."""
        try:
            return [kind for kind, _, _ in self._unpacker.feed(self.builder.recv(65536))]
        except BlockingIOError:
            return []

    def tell(self) -> None:
        self.spool.append({"kind": "step.started"})
        self.link.told()

    def close(self) -> None:
        self.link.close()
        self.spool.close()
        self.builder.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_records_wait_for_company_and_no_longer_than_the_laziest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    def due() -> float:
        return bench.loop._timers["records"][0]

    bench.tell()
    assert due() == 1000.0 + LAZY_S
    now = 1000.008
    bench.tell()
    assert due() == pytest.approx(1000.008 + LAZY_S)
    now = 1000.016
    bench.tell()
    now = 1000.024
    bench.tell()
    assert due() == pytest.approx(1000.0 + LAZIEST_S)
    now = 1000.0 + LAZIEST_S
    bench.loop._ring()
    assert bench.heard() == [Frame.RECORDS]

    now = 1001.0
    bench.tell()
    assert due() == 1001.0 + LAZY_S


def test_growth_is_told_alone_only_where_no_records_are(bench: Bench) -> None:
    bench.link.grew("j", 10)
    bench.loop.sleep(2 * module.GREW_S)
    assert bench.heard() == [Frame.GREW]

    bench.link.grew("j", 20)
    bench.tell()
    bench.link.flush()
    bench.loop.sleep(2 * module.GREW_S)
    assert bench.heard() == [Frame.RECORDS]

    bench.link.grew("j", 30)
    bench.loop.sleep(2 * module.GREW_S)
    assert bench.heard() == [Frame.GREW]


def test_growth_that_nobody_watches_is_not_told(bench: Bench) -> None:
    bench.link.grew("another", 10)
    bench.loop.sleep(2 * module.GREW_S)

    assert bench.heard() == []
