"""The one file that each job gets anew."""

from __future__ import annotations

import os
from pathlib import Path

from sparki_daemon.runner.workspace import ENV_FILES, Folders


def put_away(folders: Folders, work: str, temp: str) -> None:
    folders.put_away_temp(temp)
    folders.put_away_work(work)


def test_a_copy_of_npms_settings_keeps_no_folder_from_being_used_again(tmp_path: Path) -> None:
    folders = Folders("one")
    first, second = (str(tmp_path / "fast" / name) for name in ("j-1.1", "j-2.1"))
    folders.make(str(tmp_path / "work" / "r-1" / "j-1.1"), first)
    made = os.stat(first).st_ino
    Path(first, "npmrc").write_text("registry=https://npm.example/\n")

    put_away(folders, str(tmp_path / "work" / "r-1" / "j-1.1"), first)
    folders.make(str(tmp_path / "work" / "r-1" / "j-2.1"), second)

    assert os.stat(second).st_ino == made
    assert sorted(os.listdir(second)) == sorted(ENV_FILES)
