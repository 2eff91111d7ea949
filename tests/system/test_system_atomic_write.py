"""What several writers of one file leave."""

from __future__ import annotations

import os
from pathlib import Path

from sparki_daemon.system import files


def test_writers_with_the_same_process_number_do_not_share_a_temporary_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "event.json"
    rename = os.rename

    def rename_later(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        files.write_atomic(str(path), b"other", durable=False)  # as a runner of another PID namespace would, just now
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_later)
    files.write_atomic(str(path), b"one", durable=False)

    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["event.json"]
