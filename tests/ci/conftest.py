"""Repositories whose daemons, if they got any, end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ci_repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path)
    yield made
    if (made.home / "daemon.json").exists():
        made.sparki("daemon", "stop", "--force")
