from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Driver


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Driver]:
    """A runner in a process of its own; whatever it wrote to its standard error is a mistake of its own."""
    driver = Driver(tmp_path / "home").start()
    yield driver
    driver.stop()
    assert not (tmp_path / "home" / "stderr").read_text()
