"""A workspace that is filled from an earlier one is as a fresh one, whatever a job did in the earlier one."""

from __future__ import annotations

import mmap
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.source import filled, index_file
from sparki_daemon.source.snapshot import Snapshot
from sparki_daemon.source.workspace import fill

Picture = dict[str, tuple[object, ...]]


class Desk:
    """One workspace after the other, each filled from what the one before it left; a runner does the same."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept = root / "kept"
        self.numbers = 0

    def fill(self, snapshot: Snapshot) -> Path:
        self.numbers += 1
        workspace = self.root / f"workspace-{self.numbers}"
        fill(snapshot, str(workspace), branch="refs/heads/main", kept=str(self.kept))
        return workspace

    def leave(self, workspace: Path) -> bool:
        """What a runner does once the job has ended."""
        if not Path(filled.index_of(str(self.kept))).exists() or not filled.tidy(str(workspace), str(self.kept)):
            shutil.rmtree(workspace)
            return False
        workspace.rename(self.kept)
        return True

    def later(self, workspace: Path) -> None:
        """Note the index anew, once the clock of the file system has gone on: what is of its tick is never used again."""
        place, newest = self.root / "tick", max(path.lstat().st_ctime_ns for path in workspace.rglob("*"))
        while True:
            place.touch()
            if place.stat().st_mtime_ns > newest:
                break
        filled.note((workspace / ".git/index").read_bytes(), str(self.kept))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "desk"
    root.mkdir()
    before = os.umask(0o022)  # as a runner has it
    yield Desk(root)
    os.umask(before)


@pytest.fixture
def source(repo: Any) -> Any:
    """Files of several sizes and kinds, two of one size beside each other."""
    repo.write("src/deep/one.txt", "one\n")
    repo.write("src/deep/two.txt", "two\n")
    repo.write("lib/big.txt", "0123456789" * 5000)
    repo.write(".gitignore", "*.ignored\n")
    (repo.root / "lib/link").symlink_to("big.txt")
    repo.commit()
    return repo


def picture(folder: Path) -> Picture:
    """All that is in a folder but the repository: kind, rights, content, names and attributes of each thing."""
    seen: Picture = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/", maxsplit=1)[0] == ".git":
            continue
        about = path.lstat()
        content: object = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        links = 0 if stat.S_ISDIR(about.st_mode) else about.st_nlink
        attributes = [] if path.is_symlink() else os.listxattr(path)
        seen[name] = (oct(about.st_mode), about.st_uid, about.st_gid, links, content, attributes)
    return seen


def fresh(snapshot: Snapshot, tmp_path: Path) -> Picture:
    folder = tmp_path / "fresh"
    fill(snapshot, str(folder), branch="refs/heads/main")
    seen = picture(folder)
    shutil.rmtree(folder)
    return seen


def is_clean(workspace: Path) -> bool:
    """Whether git finds nothing, with contents compared."""
    subprocess.run(["git", "update-index", "--really-refresh"], cwd=workspace, check=True, capture_output=True)
    told = subprocess.run(["git", "status", "--porcelain", "--ignored"], cwd=workspace, check=True, capture_output=True)
    return not told.stdout


# -- what a job may have done ----------------------------------------------------------------------------------------------


def same_size_and_time(workspace: Path) -> None:
    place = workspace / "src/deep/one.txt"
    about = place.stat()
    place.write_text("eno\n")
    os.utime(place, ns=(about.st_atime_ns, about.st_mtime_ns))


def through_a_mapping(workspace: Path) -> None:
    with (workspace / "lib/big.txt").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:4] = b"abcd"


def rights_taken(workspace: Path) -> None:
    (workspace / "src/deep/one.txt").chmod(0o600)


def made_executable(workspace: Path) -> None:
    (workspace / "src/deep/one.txt").chmod(0o755)


def made_plain(workspace: Path) -> None:
    (workspace / "src/run.sh").chmod(0o644)


def linked_and_changed(workspace: Path) -> None:
    other = workspace.parent / "other"
    os.link(workspace / "src/deep/one.txt", other)
    other.write_text("eno\n")


def names_swapped(workspace: Path) -> None:
    one, two, aside = (workspace / "src/deep" / name for name in ("one.txt", "two.txt", "aside"))
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


def folders_swapped(workspace: Path) -> None:
    (workspace / "src").rename(workspace / "aside")
    (workspace / "lib").rename(workspace / "src")
    (workspace / "aside").rename(workspace / "lib")


def folder_is_a_link(workspace: Path) -> None:
    elsewhere = workspace.parent / "elsewhere"
    (workspace / "src").rename(elsewhere)
    (workspace / "src").symlink_to(elsewhere)


def link_is_a_folder(workspace: Path) -> None:
    (workspace / "lib/link").unlink()
    (workspace / "lib/link").mkdir()
    (workspace / "lib/link/in it").touch()


def link_leads_elsewhere(workspace: Path) -> None:
    (workspace / "lib/link").unlink()
    (workspace / "lib/link").symlink_to("gib.txt")


def file_is_a_folder(workspace: Path) -> None:
    (workspace / "src/run.sh").unlink()
    (workspace / "src/run.sh").mkdir()


def folder_is_a_file(workspace: Path) -> None:
    shutil.rmtree(workspace / "src/deep")
    (workspace / "src/deep").touch()


def things_left(workspace: Path) -> None:
    for name in ("new", "src/new.ignored", "build/out/x.o", "src/deep/.gitattributes", ".gitmodules"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("* text eol=crlf\n")
    (workspace / "empty/inside").mkdir(parents=True)
    os.mkfifo(workspace / "src/fifo")
    subprocess.run(["git", "init", "-q", "inner"], cwd=workspace, check=True)


def unreadable_folder_left(workspace: Path) -> None:
    (workspace / "locked/in").mkdir(parents=True)
    (workspace / "locked/in/file").touch()
    (workspace / "locked/in").chmod(0)
    (workspace / "locked").chmod(0o500)


def folder_for_all(workspace: Path) -> None:
    (workspace / "src/deep").chmod(0o777)


def folder_for_the_group(workspace: Path) -> None:
    (workspace / "src").chmod(0o2755)


def folder_with_attributes(workspace: Path) -> None:
    try:
        os.setxattr(workspace / "src", b"user.sparki", b"1")
    except OSError:
        pytest.skip("this file system has no attributes")


def repository_turned(workspace: Path) -> None:
    """What git would convert by, and what it would not look at."""
    (workspace / ".git/info/attributes").write_text("* eol=crlf text filter=no\n")
    (workspace / "src/deep/one.txt").write_text("eno\n")
    for words in (
        ["config", "core.autocrlf", "true"],
        ["config", "core.trustctime", "false"],
        ["update-index", "--assume-unchanged", "src/deep/one.txt"],
        ["update-index", "--skip-worktree", "src/deep/two.txt"],
    ):
        subprocess.run(["git", *words], cwd=workspace, check=True)
    (workspace / "src/deep/two.txt").write_text("owt\n")


def committed(workspace: Path) -> None:
    (workspace / "src/deep/one.txt").write_text("eno\n")
    (workspace / ".gitattributes").write_text("* eol=crlf text\n")
    for words in (["add", "-A"], ["commit", "-q", "-m", "by a step"], ["rm", "-q", "lib/big.txt"]):
        subprocess.run(["git", *words], cwd=workspace, check=True)


def index_written_over(workspace: Path) -> None:
    """In place, as `cp` does: whoever shares its bytes reads these."""
    place = workspace / ".git/index"
    subprocess.run(["git", "rm", "-q", "--cached", "src/run.sh"], cwd=workspace, check=True)
    place.write_bytes(place.read_bytes())


def all_removed(workspace: Path) -> None:
    for path in workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


TOUCHES: list[Callable[[Path], None]] = [
    same_size_and_time, through_a_mapping, rights_taken, made_executable, made_plain, linked_and_changed, names_swapped, folders_swapped,
    folder_is_a_link, link_is_a_folder, link_leads_elsewhere, file_is_a_folder, folder_is_a_file, things_left, unreadable_folder_left,
    folder_for_all, folder_for_the_group, folder_with_attributes, repository_turned, committed, index_written_over, all_removed,
]  # fmt: skip


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
def test_whatever_a_job_did_the_next_one_meets_the_tree(source: Any, desk: Desk, tmp_path: Path, touch: Callable[[Path], None]) -> None:
    snapshot = source.take()
    expected = fresh(snapshot, tmp_path)
    workspace = desk.fill(snapshot)
    desk.later(workspace)

    touch(workspace)
    desk.leave(workspace)
    workspace = desk.fill(snapshot)

    assert picture(workspace) == expected
    assert is_clean(workspace)


def test_what_is_used_again_is_what_no_job_touched_with_the_time_of_now(source: Any, desk: Desk) -> None:
    snapshot = source.take()
    workspace = desk.fill(snapshot)
    desk.later(workspace)
    names = ("src/deep/one.txt", "src/deep/two.txt", "lib/big.txt", "lib/link", "src/run.sh")
    before = {name: (workspace / name).lstat() for name in names}
    (workspace / "src/deep/two.txt").write_text("2\n")

    assert desk.leave(workspace)
    workspace = desk.fill(snapshot)
    after = {name: (workspace / name).lstat() for name in names}

    again = {name for name in names if after[name].st_ino == before[name].st_ino}
    assert again >= {*names} - {"src/deep/two.txt"}
    assert all(after[name].st_mtime_ns > before[name].st_mtime_ns for name in names)


def test_another_source_is_met_in_full(source: Any, desk: Desk, tmp_path: Path) -> None:
    workspace = desk.fill(source.take())
    desk.later(workspace)
    desk.leave(workspace)
    source.write("src/deep/one.txt", "1\n")
    (source.root / "src/deep/two.txt").unlink()
    source.write("src/deep/two.txt/inside", "a folder where a file was\n")
    shutil.rmtree(source.root / "lib")
    source.write("lib", "a file where a folder was\n")
    (source.root / "src/run.sh").chmod(0o644)
    source.write("new/file", "new\n")
    source.commit()
    snapshot = source.take()

    workspace = desk.fill(snapshot)

    assert picture(workspace) == fresh(snapshot, tmp_path)
    assert is_clean(workspace)


@pytest.mark.parametrize("first", ["* text eol=crlf\n", None])
@pytest.mark.parametrize("then", ["* text eol=crlf\n", "* text eol=lf\n", None])
def test_attributes_that_appear_change_or_go_are_obeyed_by_all_files(
    source: Any, desk: Desk, tmp_path: Path, first: str | None, then: str | None
) -> None:
    if first:
        source.write(".gitattributes", first)
        source.commit()
    workspace = desk.fill(source.take())
    if Path(filled.index_of(str(desk.kept))).exists():
        desk.later(workspace)
    desk.leave(workspace)
    (source.root / ".gitattributes").unlink(missing_ok=True)
    if then:
        source.write(".gitattributes", then)
    source.commit()
    snapshot = source.take()

    workspace = desk.fill(snapshot)

    assert picture(workspace) == fresh(snapshot, tmp_path)
    assert ((workspace / "src/deep/one.txt").read_bytes() == b"one\r\n") is (then == "* text eol=crlf\n")


def test_git_looks_into_files_of_which_all_that_is_noted_is_the_same(
    source: Any, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system in memory nothing tells of what was written through a mapping."""
    snapshot = source.take()
    workspace = desk.fill(snapshot)
    desk.later(workspace)
    monkeypatch.setattr(index_file, "is_seen_at", lambda _index, _place, _about: True)
    inode = (workspace / "src/deep/one.txt").stat().st_ino
    same_size_and_time(workspace)
    (workspace / "src/deep/two.txt").write_text("owt\n")
    source.write(".gitignore", "another tree\n")
    source.commit()
    snapshot = source.take()
    os.utime(filled.index_of(str(desk.kept)), (2**32, 2**32))

    assert desk.leave(workspace)
    assert (desk.kept / "src/deep/one.txt").read_text() == "eno\n"
    assert (desk.kept / "src/deep/one.txt").stat().st_ino == inode
    workspace = desk.fill(snapshot)

    assert picture(workspace) == fresh(snapshot, tmp_path)
    assert is_clean(workspace)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no file system in memory is at hand")
def test_in_memory_a_mapping_that_is_written_to_is_seen_too(source: Any, tmp_path: Path, shm: Path) -> None:
    snapshot = source.take()
    desk = Desk(shm)
    workspace = desk.fill(snapshot)
    desk.later(workspace)

    through_a_mapping(workspace)
    desk.leave(workspace)
    workspace = desk.fill(snapshot)

    assert picture(workspace) == fresh(snapshot, tmp_path)


@pytest.fixture
def shm() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="sparki-test-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("damage", [b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\xff" + b"\xff" * 200, b"no index at all" * 40])
def test_an_index_that_says_nothing_leaves_nothing(source: Any, desk: Desk, tmp_path: Path, damage: bytes) -> None:
    snapshot = source.take()
    workspace = desk.fill(snapshot)
    Path(filled.index_of(str(desk.kept))).write_bytes(damage)

    assert not desk.leave(workspace)
    assert picture(desk.fill(snapshot)) == fresh(snapshot, tmp_path)


def test_a_kept_workspace_that_was_written_to_meanwhile_is_looked_at_again(source: Any, desk: Desk, tmp_path: Path) -> None:
    snapshot = source.take()
    workspace = desk.fill(snapshot)
    desk.later(workspace)
    desk.leave(workspace)

    things_left(desk.kept)
    same_size_and_time(desk.kept)

    assert picture(desk.fill(snapshot)) == fresh(snapshot, tmp_path)


def test_a_kept_workspace_that_is_a_link_is_left_alone(source: Any, desk: Desk, tmp_path: Path) -> None:
    snapshot = source.take()
    workspace = desk.fill(snapshot)
    desk.later(workspace)
    desk.leave(workspace)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    shutil.rmtree(desk.kept)
    desk.kept.symlink_to(mine)

    assert picture(desk.fill(snapshot)) == fresh(snapshot, tmp_path)
    assert (mine / "precious").exists()


def test_files_that_are_large_are_written_rather_than_compared(source: Any, desk: Desk) -> None:
    for number in range(8):
        source.write(f"lib/{number}.bin", bytes(filled.MOST_MEAN_BYTES * 4))
    source.commit()

    assert not desk.leave(desk.fill(source.take()))


def test_unless_clean_a_change_in_the_second_of_the_checkout_is_undone_too(source: Any, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    snapshot = source.take()
    fill(snapshot, str(workspace))
    same_size_and_time(workspace)
    (workspace / "mine").touch()
    while int(time.time()) == int((workspace / "mine").stat().st_mtime):  # an index that is written now would seem to be the later one
        time.sleep(0.01)

    fill(snapshot, str(workspace), clean=False)

    assert (workspace / "src/deep/one.txt").read_text() == "one\n"
    assert (workspace / "mine").exists()
