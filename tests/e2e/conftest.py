"""A bench for kills a test, cleaned up whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from death_bench import Bench


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
