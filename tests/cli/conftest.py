from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_stories import Program
from stand_in import StandIn

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture
def sparki(home: Path, folder: Path) -> Program:
    return Program(home, folder)


@pytest.fixture
def stand_in(home: Path) -> Iterator[StandIn]:
    server = StandIn(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Holds text against tests/cli/golden/NAME; SPARKI_UPDATE_GOLDEN=1 writes it anew."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("SPARKI_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{name} is missing: run with SPARKI_UPDATE_GOLDEN=1 and read what it holds"
        assert text == path.read_text()

    return check
