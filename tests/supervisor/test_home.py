"""A state folder is known by itself, and not by its name."""

from __future__ import annotations

import shutil
from pathlib import Path

from sparki_daemon.supervisor.home import Home


def test_a_folder_that_is_there_is_not_lost_whatever_happens_in_it(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    home = Home(str(tmp_path / "home"))
    (tmp_path / "home" / "state.db").touch()
    assert (home.lost, home.removed) == (False, False)


def test_a_removed_folder_is_lost_and_another_one_in_its_place_is_not_it(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    home = Home(str(tmp_path / "home"))
    shutil.rmtree(tmp_path / "home")
    assert (home.lost, home.removed) == (True, True)
    (tmp_path / "home").mkdir()
    assert (home.lost, home.removed) == (True, True)
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").touch()
    assert home.lost


def test_a_folder_that_was_moved_is_lost_and_not_removed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    home = Home(str(tmp_path / "home"))
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    assert (home.lost, home.removed) == (True, False)
