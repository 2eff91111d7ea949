"""The stand on which the adapters' contract test runs the twin: as every package should bring one with its adapter."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparki_twin import ADAPTER


class TwinStand:
    """Reads the file that is the platform."""

    adapter = ADAPTER
    settings: Mapping[str, Any] = {"command": "serve", "watch_s": 0.0}
    patience_s = 0.05

    def __init__(self, folder: Path) -> None:
        self.path = folder / "platform.json"
        archive = folder.parent / "release.tar"
        with tarfile.open(archive, "w"):
            pass
        self.artifact = {"kind": "source", "digest": hashlib.sha256(archive.read_bytes()).hexdigest(), "path": str(archive)}

    def running(self) -> set[str]:
        return set(self._read("running", {}))

    def serves(self) -> str:
        return str(self._read("traffic", ""))

    def started(self) -> list[str]:
        return [release for _, release in self._read("starts", [])]

    def lose(self) -> None:
        """A file does not die."""

    def unanswered(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing outlives it."""

    def _read(self, key: str, otherwise: Any) -> Any:
        return json.loads(self.path.read_text())[key] if self.path.exists() else otherwise
