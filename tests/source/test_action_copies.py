"""Folders that stand for others' repositories, copied as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.action_copies import copied


def test_files_links_and_modes_are_copied_and_what_git_keeps_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    (folder / ".git").mkdir(parents=True)
    (folder / "dist").mkdir()
    (folder / "dist" / "main.sh").write_text("echo main")
    (folder / "dist" / "main.sh").chmod(0o755)
    (folder / "link").symlink_to("dist/main.sh")
    (folder / "loop").symlink_to(".")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")

    found = copied({"octo/tools": str(folder)}, str(tmp_path / "copies"))

    there = Path(found["octo/tools"])
    assert sorted(os.listdir(there)) == ["dangling", "dist", "link", "loop"]
    assert os.access(there / "dist" / "main.sh", os.X_OK)
    assert os.readlink(there / "link") == "dist/main.sh"


def test_a_folder_that_holds_the_copies_is_copied_without_them(tmp_path: Path) -> None:
    (tmp_path / "action.yml").write_text("x")

    found = copied({"a/b": str(tmp_path)}, str(tmp_path / "state" / "copies"))

    assert {"action.yml", "state"} <= set(os.listdir(found["a/b"]))
    assert os.listdir(Path(found["a/b"]) / "state") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_can_not_be_read_is_told_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "closed").write_text("x")
    (tmp_path / "tools" / "closed").chmod(0)

    with pytest.raises(SparkiError) as caught:
        copied({"a/b": str(tmp_path / "tools")}, str(tmp_path / "copies"))

    assert "closed" in caught.value.problems[0].message
    assert not (tmp_path / "copies").exists()


def test_a_folder_that_has_gone_is_told_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(SparkiError) as caught:
        copied({"a/b": str(tmp_path / "tools")}, str(tmp_path / "copies"))

    assert caught.value.problems[0].code == "unreadable_action"
    assert not (tmp_path / "copies").exists()
