"""A source that is asked for early is the one that would be found and taken at the end, errors too."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.early import EarlySource


def test_it_is_the_same_repository_and_the_same_snapshot(repo):
    repo.write("README.md", "changed\n")
    repo.write("new")
    early = EarlySource(str(repo.root), str(repo.objects.parent / "early"))
    early.compare()

    with repo.untouched():
        taken = early.snapshot()
        assert early.repository() == repo.found()
        assert taken == replace(repo.take(), objects=taken.objects)
    assert taken.dirty is True
    assert taken.objects == str(repo.objects.parent / "early")


def test_it_compares_when_it_is_asked_where_nobody_began_it(repo):
    repo.write("new")
    early = EarlySource(str(repo.root), str(repo.objects))

    assert early.snapshot().tree == repo.take().tree


@pytest.mark.parametrize("compare", [False, True])
@pytest.mark.parametrize(("name", "code"), [("plain", "no_repository"), ("nonesuch", "no_such_folder"), ("a\0b", "no_such_folder")])
def test_what_is_wrong_with_the_folder_is_told_to_whoever_asks(tmp_path, compare, name, code):
    (tmp_path / "plain").mkdir()
    early = EarlySource(str(tmp_path / name), str(tmp_path / "objects"))
    if compare:
        early.compare()

    for ask in (early.repository, early.snapshot, early.snapshot):
        with pytest.raises(SparkiError) as told:
            ask()
        assert [problem.code for problem in told.value.problems] == [code]


def test_what_is_wrong_with_the_files_is_told_with_the_snapshot(repo):
    repo.git("checkout", "-q", "-b", "other")
    repo.write("README.md", "theirs\n")
    repo.commit()
    repo.git("checkout", "-q", "-")
    repo.write("README.md", "ours\n")
    repo.commit()
    assert subprocess.run(["git", "merge", "other"], cwd=repo.root, capture_output=True, check=False).returncode == 1
    early = EarlySource(str(repo.root), str(repo.objects))
    early.compare()

    assert early.repository() == repo.found()
    with pytest.raises(SparkiError) as told:
        early.snapshot()
    assert [problem.code for problem in told.value.problems] == ["unmerged_files"]
