"""Cache entries: found by key, never changed, and given back only as they were saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparki_daemon.store.cache import Caches, EntryDamaged, prune

MAIN, FEATURE = "refs/heads/main", "refs/heads/feature"


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(str(tmp_path / "cache"), "/project")


@pytest.fixture
def paths(tmp_path: Path) -> list[tuple[str, str]]:
    base = tmp_path / "work"
    (base / "deps" / "bin").mkdir(parents=True)
    (base / "deps" / "tool").write_text("tool")
    os.chmod(base / "deps" / "tool", 0o751)
    os.utime(base / "deps" / "tool", (1_000_000, 1_000_000))
    os.symlink("../tool", base / "deps" / "bin" / "tool")
    os.link(base / "deps" / "tool", base / "deps" / "twin")
    names = ("deps", "deps/tool", "deps/bin", "deps/bin/tool", "deps/twin")
    return [(f"workspace/{name}", str(base / name)) for name in names]


def test_an_entry_comes_back_with_modes_times_and_links(caches: Caches, paths: list, tmp_path: Path) -> None:
    os.chmod(tmp_path / "work" / "deps" / "bin", 0o555)
    assert caches.save("k", "v", MAIN, paths)
    entry = caches.find(["k"], "v", [MAIN])
    assert entry
    other = tmp_path / "other"
    other.mkdir()
    caches.restore(entry, {"workspace": str(other)})
    os.chmod(tmp_path / "work" / "deps" / "bin", 0o755)
    tool = os.stat(other / "deps" / "tool")

    assert (tool.st_mode & 0o777, tool.st_mtime, tool.st_nlink) == (0o751, 1_000_000, 2)
    assert os.readlink(other / "deps" / "bin" / "tool") == "../tool"
    assert os.stat(other / "deps" / "bin").st_mode & 0o777 == 0o555
    assert (other / "deps" / "twin").read_text() == "tool"
    os.chmod(other / "deps" / "bin", 0o755)


def test_an_entry_is_never_changed(caches: Caches, paths: list) -> None:
    first = caches.save("k", "v", MAIN, paths)

    assert first
    assert caches.save("k", "v", MAIN, paths[:1]) is None
    assert caches.find(["k"], "v", [MAIN]) == first
    assert caches.has("k", "v", MAIN)
    assert not caches.has("k", "v", FEATURE)


def found(caches: Caches, keys: list[str], scopes: list[str], version: str = "v") -> tuple[str, str] | None:
    entry = caches.find(keys, version, scopes)
    return (entry.key, entry.scope) if entry else None


def test_the_own_branch_is_searched_first_and_by_prefixes_before_another_is(caches: Caches, paths: list) -> None:
    for key, scope in (("npm-1", MAIN), ("npm-2", MAIN), ("npm-0", FEATURE), ("pip-1", MAIN)):
        assert caches.save(key, "v", scope, paths[:1])

    assert found(caches, ["npm-1"], [MAIN]) == ("npm-1", MAIN)
    assert found(caches, ["npm-3", "npm-"], [MAIN]) == ("npm-2", MAIN)
    assert found(caches, ["npm-3", "npm-"], [FEATURE, MAIN]) == ("npm-0", FEATURE)
    assert found(caches, ["npm-1"], [FEATURE, MAIN]) == ("npm-1", MAIN)
    assert found(caches, ["npm"], [MAIN]) == ("npm-2", MAIN)
    assert found(caches, ["x", "pip", "npm"], [MAIN]) == ("pip-1", MAIN)
    assert found(caches, ["npm-1"], [FEATURE]) is None
    assert found(caches, ["npm-1"], [MAIN], version="other") is None


def test_projects_do_not_see_each_others_entries(caches: Caches, paths: list, tmp_path: Path) -> None:
    caches.save("k", "v", MAIN, paths)

    assert Caches(str(tmp_path / "cache"), "/other").find(["k"], "v", [MAIN]) is None


def test_a_damaged_entry_is_removed_and_nothing_of_it_is_written(caches: Caches, paths: list, tmp_path: Path) -> None:
    entry = caches.save("k", "v", MAIN, paths)
    assert entry
    data = Path(entry.folder, "data.tar")
    data.write_bytes(data.read_bytes().replace(b"tool", b"fool"))
    (tmp_path / "other").mkdir()

    with pytest.raises(EntryDamaged):
        caches.restore(entry, {"workspace": str(tmp_path / "other")})
    assert os.listdir(tmp_path / "other") == []
    assert caches.find(["k"], "v", [MAIN]) is None
    assert caches.save("k", "v", MAIN, paths)


def test_restoring_writes_anew_what_is_there(caches: Caches, paths: list, tmp_path: Path) -> None:
    entry = caches.save("k", "v", MAIN, paths)
    assert entry
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "other" / "deps").mkdir(parents=True)
    os.symlink(tmp_path / "precious", tmp_path / "other" / "deps" / "tool")
    caches.restore(entry, {"workspace": str(tmp_path / "other")})

    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / "other" / "deps" / "tool").read_text() == "tool"


def test_a_name_that_leads_out_of_its_place_is_refused(caches: Caches, paths: list, tmp_path: Path) -> None:
    for name in ("workspace/../x", "elsewhere/x", "workspace//x"):
        entry = caches.save(name, "v", MAIN, [(name, paths[1][1])])
        assert entry
        with pytest.raises(EntryDamaged):
            caches.restore(entry, {"workspace": str(tmp_path)})
    assert not (tmp_path / "x").exists()


def test_a_failed_save_leaves_no_entry(caches: Caches, paths: list) -> None:
    with pytest.raises(FileNotFoundError):
        caches.save("k", "v", MAIN, [*paths, ("workspace/gone", "/nowhere/gone")])

    assert [*caches.entries()] == []


def test_what_was_not_used_for_longest_goes_first(caches: Caches, paths: list, tmp_path: Path) -> None:
    for age, key in enumerate(("newest", "used", "oldest")):
        entry = caches.save(key, "v", MAIN, paths[:1])
        assert entry
        os.utime(os.path.join(entry.folder, "entry.json"), (10_000 - age, 10_000 - age))
    used = caches.find(["used"], "v", [MAIN])
    assert used
    caches.restore(used, {"workspace": str(tmp_path)})

    assert prune(str(tmp_path / "cache"), 10**9) == 0
    assert prune(str(tmp_path / "cache"), 12_000) > 20_000
    assert [entry.key for entry in caches.entries()] == ["used"]
    assert prune(str(tmp_path / "none"), 0) == 0
