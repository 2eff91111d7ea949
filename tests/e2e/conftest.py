"""A bench for kills a test, cleaned up whatever happens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from death_bench import Bench
from kill_yard import KillYard
from service_site import Site


@pytest.fixture
def make_bench(tmp_path) -> Any:
    """Makes benches; all that they started is ended with the test."""
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        folder = tmp_path / f"b{len(made)}"
        folder.mkdir()
        made.append(Bench(folder, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.end()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[KillYard]:
    """With a release that is live."""
    made = KillYard(tmp_path)
    try:
        made.deploy()
        made.asking.begun.set()
        yield made
    finally:
        made.end()
    assert made.left() == []


@pytest.fixture
def site(tmp_path: Path, free_port: int) -> Iterator[Site]:
    found = Site(tmp_path, free_port)
    yield found
    found.end()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
