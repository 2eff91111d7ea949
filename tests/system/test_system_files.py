"""Files that appear whole, locks that die with their holder, folders that go whatever lies in them."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sparki_daemon.system.files import is_locked, remove_tree, try_lock, write_atomic

HOLD = """
import sys
from sparki_daemon.system.files import try_lock
fd = try_lock(sys.argv[1])
print(fd is not None, flush=True)
sys.stdin.read()
"""


def test_a_written_file_has_its_content_and_mode_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0o077)
    try:
        write_atomic(str(path), b"one", mode=0o644)
        write_atomic(str(path), b"two", mode=0o644, durable=False)
    finally:
        os.umask(before)

    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [*tmp_path.iterdir()] == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    with pytest.raises(OSError, match="directory"):
        write_atomic(str(tmp_path / "missing" / "file"), b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(str(tmp_path / "folder"), b"new")

    assert path.read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_a_lock_has_one_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        assert try_lock(path) is None
        assert is_locked(path)
        holder.kill()
    assert not is_locked(path)
    fd = try_lock(path)
    assert fd is not None
    os.close(fd)


def test_a_lock_file_that_is_not_there_is_held_by_nobody(tmp_path: Path) -> None:
    assert not is_locked(str(tmp_path / "lock"))
    assert not (tmp_path / "lock").exists()


def test_two_who_ask_whether_a_lock_is_held_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_SH)
    try:
        assert not is_locked(str(path))
    finally:
        os.close(fd)


def test_a_lock_on_a_file_that_was_unlinked_is_none(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = try_lock(str(path))
    path.unlink()
    second = try_lock(str(path))
    assert first is not None
    assert second is not None

    assert os.fstat(first).st_ino != os.fstat(second).st_ino
    os.close(first)
    assert is_locked(str(path))
    os.close(second)


def test_a_tree_goes_with_all_that_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "link").symlink_to(tmp_path / "other")
    (tree / "broken").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    (tree / b"not \xff utf-8".decode("utf-8", "surrogateescape")).touch()

    assert remove_tree(str(tree)) == []
    assert not tree.exists()
    assert (tmp_path / "other" / "kept").exists()


def test_what_was_made_unwritable_goes_too(tmp_path: Path) -> None:
    """As a user without root's powers: Go's module cache is like this."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    tree = tmp_path / "tree"
    (tree / "sealed" / "inner").mkdir(parents=True)
    (tree / "sealed" / "inner" / "file").touch()
    (tree / "closed").mkdir()
    for folder, mode in ((tree / "sealed" / "inner", 0o555), (tree / "sealed", 0o555), (tree / "closed", 0o000)):
        folder.chmod(mode)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.chdir(tmp_path)  # the folders above are closed to others
            os.setgid(65534)
            os.setuid(65534)
            code = len(remove_tree("tree"))
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not tree.exists()


def test_a_tree_that_is_not_there_is_gone(tmp_path: Path) -> None:
    assert remove_tree(str(tmp_path / "none")) == []


def test_a_link_in_the_place_of_a_folder_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "mine")

    assert remove_tree(str(tmp_path / "link")) == []
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "mine" / "precious").read_text() == "kept"
