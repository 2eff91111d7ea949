from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import StandIn

from sparki_daemon.client.engine import Engine
from sparki_daemon.client.paths import Paths


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")  # short: a socket's path has its limit


@pytest.fixture
def paths(home: Path) -> Paths:
    return Paths(str(home), str(home / "config"), str(home / "cache"))


@pytest.fixture
def stand_in(home: Path) -> Iterator[StandIn]:
    server = StandIn(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def engine(paths: Paths, stand_in: StandIn) -> Engine:
    return Engine(paths, may_start=False)
