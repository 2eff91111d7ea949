"""Artifacts are there whole or not at all, and come out as they went in."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sparki_daemon.store import whole_folder
from sparki_daemon.store.artifacts import ArtifactDamaged, ArtifactExists, Artifacts, copy_out


@pytest.fixture
def source(tmp_path: Path) -> list[tuple[str, str]]:
    folder = tmp_path / "source"
    for name, text in (("a.txt", "one"), ("deep/b.bin", "two" * 1000), (".hidden", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    os.chmod(folder / "a.txt", 0o755)
    return [(name, str(folder / name)) for name in ("deep/b.bin", "a.txt", ".hidden")]


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path / "artifacts"))


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_is_saved_comes_out_again(artifacts: Artifacts, source: list, tmp_path: Path) -> None:
    saved = artifacts.save("r-1", 1, "My/../odd: näme", source)
    found = artifacts.find("r-1", "My/../odd: näme")
    assert found == saved
    copy_out(found, str(tmp_path / "out"))

    assert tree(tmp_path / "out") == {"a.txt": "one", "deep/b.bin": "two" * 1000, ".hidden": ""}
    assert (tmp_path / "out" / "a.txt").stat().st_mode & 0o777 == 0o644
    assert (saved.size_bytes, [path for path, _, _ in saved.files]) == (3003, [".hidden", "a.txt", "deep/b.bin"])


def test_the_digest_is_of_names_and_contents_alone(artifacts: Artifacts, source: list) -> None:
    first, second = artifacts.save("r-1", 1, "x", source), artifacts.save("r-2", 3, "y", reversed(source))

    assert first.digest == second.digest
    assert first.id != second.id
    Path(source[0][1]).write_text("other")
    assert artifacts.save("r-3", 1, "x", source).digest != first.digest


def test_a_name_is_taken_once_an_attempt_unless_it_is_overwritten(artifacts: Artifacts, source: list) -> None:
    first = artifacts.save("r-1", 1, "x", source)
    with pytest.raises(ArtifactExists):
        artifacts.save("r-1", 1, "x", source[:1])
    assert artifacts.find("r-1", "x") == first

    second = artifacts.save("r-1", 1, "x", source[:1], overwrite=True)
    assert artifacts.find("r-1", "x") == second
    assert os.listdir(os.path.dirname(second.folder)) == ["x"]


def test_the_newest_attempt_counts_and_older_ones_serve_what_it_lacks(artifacts: Artifacts, source: list) -> None:
    artifacts.save("r-1", 1, "build", source)
    artifacts.save("r-1", 1, "test", source)
    artifacts.save("r-1", 10, "test", source)
    artifacts.save("r-1", 2, "test", source)

    assert [(one.name, one.attempt) for one in artifacts.listing("r-1")] == [("build", 1), ("test", 10)]
    assert [(one.name, one.attempt) for one in artifacts.listing("r-1", up_to=2)] == [("build", 1), ("test", 2)]
    assert artifacts.listing("r-none") == []
    artifacts.remove("r-1")
    assert artifacts.find("r-1", "build") is None


@pytest.mark.parametrize("name", [".", "..", ".begun-x", "x" * 250, "a/b", "%2E", " "])
def test_any_name_has_a_folder_of_its_own(artifacts: Artifacts, source: list, name: str) -> None:
    artifacts.save("r-1", 1, name, source)
    artifacts.save("r-1", 1, f"{name}y", source)

    assert [one.name for one in artifacts.listing("r-1")] == sorted([name, f"{name}y"])


def test_a_failed_save_leaves_nothing(artifacts: Artifacts, source: list) -> None:
    with pytest.raises(FileNotFoundError):
        artifacts.save("r-1", 1, "x", [*source, ("gone", "/nowhere/gone")])
    with pytest.raises(ValueError, match="leads out"):
        artifacts.save("r-1", 1, "x", [("../x", source[0][1])])

    assert artifacts.listing("r-1") == []
    assert os.listdir(Path(source[0][1]).parents[2] / "artifacts" / "r-1" / "1") == []


def test_damage_is_found_when_it_is_read(artifacts: Artifacts, source: list, tmp_path: Path) -> None:
    saved = artifacts.save("r-1", 1, "x", source)
    path = Path(saved.folder, "files", "a.txt")
    path.chmod(0o644)
    path.write_text("0ne")

    with pytest.raises(ArtifactDamaged, match=r"a\.txt"):
        copy_out(saved, str(tmp_path / "out"))


def test_a_download_does_not_write_through_a_link(artifacts: Artifacts, source: list, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "precious", tmp_path / "out" / "a.txt")
    copy_out(artifacts.save("r-1", 1, "x", source), str(tmp_path / "out"))

    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / "out" / "a.txt").read_text() == "one"


def test_a_killed_save_leaves_no_part_of_an_artifact(artifacts: Artifacts, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for index in range(300):
        (many / str(index)).write_text("x" * 5000)
    files = [(str(index), str(many / str(index))) for index in range(300)]
    ends = []
    for delay_ms in range(0, 40, 4):
        pid = os.fork()
        if pid == 0:
            try:
                artifacts.save("r-1", 1, f"x{delay_ms}", files)
            finally:
                os._exit(0)
        time.sleep(delay_ms / 1000)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = artifacts.find("r-1", f"x{delay_ms}")
        ends.append(found is not None)
        if found:
            copy_out(found, str(tmp_path / f"out{delay_ms}"))
            assert len(os.listdir(tmp_path / f"out{delay_ms}")) == 300
    assert not ends[0]

    artifacts.save("r-1", 1, "last", files[:1])
    left = os.listdir(tmp_path / "artifacts" / "r-1" / "1")
    assert not [name for name in left if whole_folder.is_begun(name)]


def test_of_many_that_save_one_name_at_a_time_one_wins(artifacts: Artifacts, source: list) -> None:
    results: list[str] = []

    def save() -> None:
        try:
            results.append(artifacts.save("r-1", 1, "x", source).digest)
        except ArtifactExists:
            results.append("exists")

    threads = [threading.Thread(target=save) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results)[1:] == ["exists"] * 5
    assert artifacts.find("r-1", "x")


def test_a_sweep_never_takes_what_somebody_is_just_beginning(tmp_path: Path) -> None:
    failed: list[OSError] = []

    def fill() -> None:
        for _ in range(60):
            try:
                with whole_folder.begun(str(tmp_path)) as path:
                    Path(path, "x").write_text("x")
            except OSError as error:
                failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=fill) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    assert failed == []
    assert os.listdir(tmp_path) == []


def test_what_a_living_process_fills_is_left_alone(tmp_path: Path) -> None:
    with whole_folder.begun(str(tmp_path)) as path:
        Path(path, "x").write_text("x")
        whole_folder.sweep(str(tmp_path))
        assert os.path.exists(f"{path}/x")
    assert os.listdir(tmp_path) == []
