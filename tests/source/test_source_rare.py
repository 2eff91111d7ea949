"""Repositories of a rarer make: sparse, with long ids, partial."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError


def test_a_sparse_checkout_keeps_what_is_not_there(repo, tree_of):
    repo.write("other/file")
    repo.commit("two")
    repo.git("sparse-checkout", "set", "--cone", "src")
    repo.write("src/new")

    with repo.untouched():
        taken = repo.take()

    assert set(tree_of(taken)) == {"README.md", "other/file", "src/a b.txt", "src/new", "src/run.sh"}


def test_a_sparse_index_is_read(repo, tree_of):
    repo.write("other/deep/file")
    repo.commit("two")
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "src")
    repo.write("src/new")

    with repo.untouched(times=False):  # to write such an index out git must see the trees, and freshens their times
        taken = repo.take()

    assert {"other/deep/file", "src/new"} <= set(tree_of(taken))


def test_a_repository_with_long_ids_is_taken(new_repo, tree_of):
    repo = new_repo("long", "--object-format=sha256")
    repo.write("a")
    repo.commit()
    assert repo.take().commit == repo.git("rev-parse", "HEAD")
    repo.write("b")

    with repo.untouched():
        taken = repo.take()

    assert set(tree_of(taken)) == {"a", "b"}
    assert len(taken.tree) == len(taken.commit) == 64


def test_an_intended_file_is_taken_with_its_content(repo, content_of):
    repo.write("later", "content\n")
    repo.git("add", "--intent-to-add", "later")

    assert content_of(repo.take(), "later") == b"content\n"


def test_a_missing_object_of_a_partial_clone_is_an_error_and_no_fetch(repo, tmp_path):
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    repo.git("clone", "-q", "--no-checkout", "--filter=blob:none", Path(repo.root).as_uri(), str(tmp_path / "partial"))
    repo.root = tmp_path / "partial"
    repo.git("sparse-checkout", "set", "--no-cone", "/README.md")
    repo.git("checkout", "-q")
    assert sorted(os.listdir(repo.root)) == [".git", "README.md"]

    with repo.untouched(), pytest.raises(SparkiError) as caught:
        repo.take()

    assert caught.value.problems[0].code == "missing_object"


def test_a_complete_partial_clone_is_taken(repo, tmp_path):
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("clone", "-q", "--filter=blob:none", Path(repo.root).as_uri(), str(tmp_path / "partial"))
    repo.root = tmp_path / "partial"

    with repo.untouched():
        assert repo.take().dirty is False
