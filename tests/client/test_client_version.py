from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sparki_daemon.client.version import VERSION, is_newer


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


@pytest.mark.parametrize(
    ("version", "other", "newer"),
    [("0.2.0", "0.1.9", True), ("0.10.0", "0.9.0", True), ("0.1.0", "0.1.0", False), ("0.1.0", "0.2.0", False), ("0.1.0", "None", True),
     ("1.0", "1.0rc1", False), ("1.0.1", "1.0", True)],
)  # fmt: skip
def test_newer_is_by_numbers(version: str, other: str, newer: bool) -> None:
    assert is_newer(version, other) is newer
