"""How much room is told of file systems that have some, none, or that are not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparki_daemon.system import disk


def test_the_room_is_what_the_system_tells(tmp_path: Path) -> None:
    free = disk.free_bytes(str(tmp_path))
    assert free is not None
    usage = shutil.disk_usage(tmp_path)
    assert 0 < free <= usage.total
    assert not disk.is_full(disk.FULL_BELOW_BYTES)
    assert disk.is_full(disk.FULL_BELOW_BYTES - 1)


def test_where_nothing_can_be_written_there_is_no_room() -> None:
    assert disk.is_full(disk.free_bytes("/proc"))


def test_what_is_not_there_is_not_called_full(tmp_path: Path) -> None:
    assert disk.free_bytes(str(tmp_path / "none")) is None
    assert not disk.is_full(None)


def test_no_room_for_a_name_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    full = SimpleNamespace(f_files=100, f_ffree=0, f_favail=0, f_bavail=10_000, f_bfree=10_000, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert disk.free_bytes("/") == 0


def test_blocks_that_are_kept_for_the_superuser_are_room_for_it_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SimpleNamespace(f_files=0, f_ffree=0, f_favail=0, f_bavail=0, f_bfree=1000, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: kept)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert disk.free_bytes("/") == 0
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert disk.free_bytes("/") == 4_096_000
