"""Golden files: what people or scripts read is kept beside the input; SPARKI_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent.parent / "golden" / "pipeline"


@pytest.fixture
def golden() -> Callable[[Path, str], None]:
    """Compares a text with a golden file."""

    def check(path: Path, text: str) -> None:
        if os.environ.get("SPARKI_UPDATE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing: run with SPARKI_UPDATE_GOLDEN=1 and read what it holds"
        assert text == path.read_text(encoding="utf-8")

    return check
