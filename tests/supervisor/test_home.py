"""A state folder is known by itself, and not by its name."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
from pathlib import Path

import pytest

from sparki_daemon.loco.keeper.launch import launch
from sparki_daemon.supervisor.home import Home
from sparki_daemon.supervisor.kept import kept_pids
from sparki_daemon.system import held, process


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


def test_what_cannot_be_told_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(_fd: int) -> os.stat_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    home = Home(str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", stale)  # what a file system of the network says now and then
        lost = home.lost
    assert not lost


def keeper_of(home: Path) -> process.Identity:
    folder = home / "environments" / "shop" / "staging"
    folder.mkdir(parents=True)
    launch(str(folder))
    found = held.holder(str(folder / "keeper.lock"))
    assert found is not None
    return found


def killed(keeper: process.Identity) -> None:
    if process.alive(keeper):
        os.kill(keeper.pid, signal.SIGKILL)


def test_the_keeper_of_a_removed_folder_is_ended_and_one_in_a_new_folder_of_that_name_is_not(tmp_path: Path) -> None:
    with contextlib.ExitStack() as ends:
        old = keeper_of(tmp_path / "home")
        ends.callback(killed, old)
        home = Home(str(tmp_path / "home"))
        shutil.rmtree(tmp_path / "home")
        new = keeper_of(tmp_path / "home")
        ends.callback(killed, new)
        home.end_services()
        assert (process.alive(old), process.alive(new)) == (False, True)


def test_whom_a_moved_folder_keeps_is_known_wherever_it_is(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path / "home")
    with contextlib.ExitStack() as ends:
        ends.callback(killed, keeper)
        home = Home(str(tmp_path / "home"))
        (tmp_path / "home").rename(tmp_path / "elsewhere")
        home.end_services()
        assert keeper.pid in kept_pids(home.inside)
        assert process.alive(keeper)
