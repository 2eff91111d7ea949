"""The adapters that are held to their contract: ours, and what a package on the path brings; other tests know nothing of it."""

from __future__ import annotations

import pytest
from stands import BROUGHT


@pytest.fixture(autouse=True)
def _brought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BROUGHT)
