from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.repository import find


def code_of(caught: pytest.ExceptionInfo[SparkiError]) -> str:
    return caught.value.problems[0].code


def test_a_repository_is_found_from_a_folder_deep_inside(repo):
    with repo.untouched():
        found = find(str(repo.root / "src"))

    assert found.root == str(repo.root)
    assert found.git_dir == found.common_dir == str(repo.root / ".git")
    assert found.head == repo.git("rev-parse", "HEAD")
    assert found.tree == repo.git("rev-parse", "HEAD^{tree}")
    assert found.branch == "refs/heads/main"
    assert found.object_format == "sha1"
    assert found.objects == str(repo.root / ".git" / "objects")


def test_a_folder_in_no_repository_is_refused_with_a_hint(tmp_path):
    with pytest.raises(SparkiError) as caught:
        find(str(tmp_path))

    assert code_of(caught) == "no_repository"
    assert "git init" in caught.value.problems[0].hint


def test_a_path_inside_the_git_folder_is_in_no_working_tree(repo):
    with pytest.raises(SparkiError) as caught:
        find(str(repo.root / ".git"))

    assert code_of(caught) == "no_repository"


@pytest.mark.parametrize("path", ["nowhere", "src/run.sh"])
def test_a_path_that_is_no_folder_is_refused(repo, path):
    with pytest.raises(SparkiError) as caught:
        find(str(repo.root / path))

    assert code_of(caught) == "no_such_folder"


def test_a_bare_repository_is_refused(new_repo):
    bare = new_repo("bare", "--bare")

    with pytest.raises(SparkiError) as caught:
        find(str(bare.root))

    assert code_of(caught) == "bare_repository"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_repository_is_refused_until_it_is_declared_safe(repo):
    os.chown(repo.root, 12345, 12345)
    os.chown(repo.root / ".git", 12345, 12345)

    with pytest.raises(SparkiError) as caught:
        repo.found()
    repo.git("config", "--global", "--add", "safe.directory", str(repo.root))

    assert code_of(caught) == "unsafe_repository"
    assert "safe.directory" in caught.value.problems[0].hint
    assert repo.found().head
    assert repo.take().dirty is False


def test_a_missing_git_is_told(repo, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SparkiError) as caught:
        repo.found()

    assert code_of(caught) == "git_missing"


def test_a_detached_head_has_no_branch(repo):
    repo.git("checkout", "-q", "--detach")

    assert repo.found().branch is None
    assert repo.found().head


def test_an_unborn_head_has_a_branch_and_no_commit(new_repo):
    fresh = new_repo("fresh").found()

    assert (fresh.head, fresh.tree, fresh.branch) == (None, None, "refs/heads/main")


def test_a_damaged_head_is_an_error_and_not_a_fresh_repository(repo):
    (repo.root / ".git" / "refs" / "heads" / "main").write_text("1" * 40 + "\n")

    with pytest.raises(SparkiError):
        repo.found()


def test_a_linked_worktree_shares_its_common_folder(repo, tmp_path):
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")

    linked = find(str(tmp_path / "linked"))

    assert linked.root == str(tmp_path / "linked")
    assert linked.common_dir == str(repo.root / ".git")
    assert linked.git_dir == str(repo.root / ".git" / "worktrees" / "linked")
    assert linked.branch == "refs/heads/side"


def test_a_folder_name_with_a_line_end_is_understood(new_repo):
    odd = new_repo("odd\nname")

    assert odd.found().root == str(odd.root)


def test_git_variables_of_a_hook_do_not_lead_elsewhere(repo, new_repo, monkeypatch):
    other = new_repo("other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))

    assert repo.found().root == str(repo.root)


def test_settings_of_user_and_repository_count_the_repositorys_last(repo):
    repo.git("config", "user.name", "Grace Hopper")

    config = repo.found().config

    assert config["user.name"] == "Grace Hopper"
    assert config["user.email"] == "ada@example.org"


def test_settings_do_not_show_in_the_representation(repo):
    repo.git("remote", "add", "origin", "https://ada:secret@example.org/a/b.git")

    assert "secret" not in repr(repo.found())


def test_a_partial_clone_is_known_as_one(repo, tmp_path):
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("clone", "-q", "--filter=blob:none", Path(repo.root).as_uri(), str(tmp_path / "partial"))

    assert find(str(tmp_path / "partial")).is_partial
    assert not repo.found().is_partial
