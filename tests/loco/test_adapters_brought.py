"""Adapters that other packages bring: found by their entry point, and a broken one is told as such, by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sparki_daemon.loco import adapters
from sparki_daemon.model.problem import SparkiError

WHOLE = """
from sparki_daemon.loco.adapters.process.adapter import ProcessAdapter
class Own(ProcessAdapter):
    name = "own"
ADAPTER = Own()
"""
Bring = Callable[[str, str], None]


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    """Installs a package that brings an adapter: its module's text, and what its entry point names."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text: str, value: str) -> None:
        (tmp_path / "own_adapter.py").write_text(text)
        about = tmp_path / "own_adapter-1.5.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-adapter\nVersion: 1.5\n")
        (about / "entry_points.txt").write_text(f"[sparki.adapters]\nown = {value}\n")
        monkeypatch.delitem(sys.modules, "own_adapter", raising=False)

    return make


def test_an_adapter_of_another_package_is_loaded_by_its_entry_point(bring: Bring) -> None:
    bring(WHOLE, "own_adapter:ADAPTER")

    assert adapters.load("own").name == "own"
    assert adapters.names() == ["own", "process"]


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("import nothing_of_that_name", "own_adapter:ADAPTER", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("ADAPTER = 1 / 0", "own_adapter:ADAPTER", "ZeroDivisionError"),
        ("", "own_adapter:ADAPTER", "has no attribute 'ADAPTER'"),
        ("class ADAPTER: pass", "own_adapter:ADAPTER", "own_adapter:ADAPTER has no problems, do, look, undo"),
        (WHOLE + "Own.capabilities = {}", "own_adapter:ADAPTER", "does not say its capabilities"),
    ],
)
def test_a_broken_adapter_is_told_with_its_package_and_what_is_wrong(bring: Bring, text: str, value: str, why: str) -> None:
    bring(text, value)

    with pytest.raises(SparkiError) as error:
        adapters.load("own")

    assert error.value.problems[0].code == "broken_adapter"
    assert "the adapter 'own' of own-adapter 1.5 can't be loaded" in error.value.problems[0].message
    assert why in error.value.problems[0].message


def test_an_adapter_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(SparkiError) as error:
        adapters.load("heroku")

    assert error.value.problems[0].code == "unknown_adapter"
    assert error.value.problems[0].hint == "there are: process"
