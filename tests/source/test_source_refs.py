from __future__ import annotations

import subprocess

import pytest

from sparki_daemon.source.refs import read_refs

FOLDERS = ("refs/tags", "refs/heads/", "refs/remotes/origin")


@pytest.fixture
def many(repo):
    repo.git("tag", "light")
    repo.git("tag", "-a", "heavy", "-m", "one")
    repo.git("branch", "feature/a")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    repo.git("update-ref", "refs/remotes/other/main", "HEAD")
    repo.git("update-ref", "refs/notes/x", "HEAD")
    return repo


@pytest.mark.parametrize("packing", [[], ["--all"], ["--no-all"]])
def test_refs_are_those_that_git_tells_loose_or_packed(many, packing):
    if packing:
        many.git("pack-refs", *packing)
    many.git("branch", "later")

    found = read_refs(str(many.root / ".git"), FOLDERS)

    assert found == {line.split(" ")[0]: line.split(" ")[1] for line in refs_without_symbolic(many)}
    assert len(found) == 6


def refs_without_symbolic(repo):
    done = subprocess.run(
        ["git", "for-each-ref", "--format=%(if)%(symref)%(then)%(else)%(refname) %(objectname)%(end)", *FOLDERS],
        cwd=repo.root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line]


def test_a_loose_ref_hides_the_packed_one(many):
    many.git("pack-refs", "--all")
    commit = many.commit("two")

    assert read_refs(str(many.root / ".git"), ["refs/heads"])["refs/heads/main"] == commit


def test_a_lock_or_a_broken_file_is_no_ref(many):
    many.write(".git/refs/heads/main.lock", "")
    many.write(".git/refs/heads/broken", "not an id\n")

    assert set(read_refs(str(many.root / ".git"), ["refs/heads"])) == {"refs/heads/main", "refs/heads/feature/a"}


def test_where_refs_are_in_no_files_git_is_asked(many):
    by_files = read_refs(str(many.root / ".git"), FOLDERS)
    (many.root / ".git" / "reftable").mkdir()

    assert read_refs(str(many.root / ".git"), FOLDERS) == by_files


def test_no_folder_has_no_ref(tmp_path):
    assert read_refs(str(tmp_path), FOLDERS) == {}
