"""What a run's end promises of its logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparki_daemon.engine.specs import Specs
from sparki_daemon.system import files


def test_the_names_of_a_runs_logs_and_of_its_folder_are_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs" / "r-1").mkdir(parents=True)
    synced: list[str] = []
    really = files.sync_folder
    monkeypatch.setattr(files, "sync_folder", lambda path: (synced.append(path), really(path)))

    Specs(str(tmp_path), str(tmp_path / "fast")).keep_logs("r-1")

    assert synced == [f"{tmp_path}/logs/r-1", f"{tmp_path}/logs"]


def test_a_run_without_logs_ends_all_the_same(tmp_path: Path) -> None:
    Specs(str(tmp_path), str(tmp_path / "fast")).keep_logs("r-1")

    assert not (tmp_path / "logs").exists()
