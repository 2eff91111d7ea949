from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.snapshot import at_revision
from sparki_daemon.source.sparse import cone_patterns
from sparki_daemon.source.workspace import fill


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "workspace"


def ask(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return os.fsdecode(done.stdout).rstrip("\n")


def files_in(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() and ".git" not in path.relative_to(folder).parts
    }


def test_a_workspace_is_a_repository_on_the_branch_at_the_commit(repo, folder):
    with repo.untouched():
        fill(repo.take(), str(folder), branch="refs/heads/main")

    assert ask(folder, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert ask(folder, "rev-parse", "HEAD", "refs/remotes/origin/main") == "\n".join([repo.git("rev-parse", "HEAD")] * 2)
    assert ask(folder, "status", "--porcelain") == ""
    assert files_in(folder) == {"README.md", "src/a b.txt", "src/run.sh"}
    assert os.access(folder / "src" / "run.sh", os.X_OK)


def test_without_a_branch_head_is_detached(repo, folder):
    fill(repo.take(), str(folder))

    assert ask(folder, "branch", "--show-current") == ""
    assert ask(folder, "rev-parse", "HEAD") == repo.git("rev-parse", "HEAD")


def test_a_destination_may_be_told_from_the_current_folder(repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    fill(repo.take(), "workspace")

    assert ask(tmp_path / "workspace", "status", "--porcelain") == ""


def test_a_dirty_tree_is_a_clean_workspace_at_the_commit_of_ours(repo, folder):
    repo.write("README.md", "changed\n")
    repo.write("new/file", "new\n")
    (repo.root / "link").symlink_to("README.md")
    (repo.root / "src" / "run.sh").unlink()
    taken = repo.take()

    with repo.untouched():
        fill(taken, str(folder), branch="refs/heads/main")

    assert ask(folder, "rev-parse", "HEAD") == taken.commit
    assert ask(folder, "rev-parse", "HEAD~1") == taken.head
    assert ask(folder, "status", "--porcelain") == ""
    assert files_in(folder) == {"README.md", "link", "new/file", "src/a b.txt"}
    assert (folder / "README.md").read_text() == "changed\n"
    assert os.readlink(folder / "link") == "README.md"


def test_the_index_stays_right_when_the_job_compares_contents(repo, folder):
    repo.write("README.md", "changed\n")
    fill(repo.take(), str(folder))
    (folder / "README.md").touch()

    ask(folder, "diff", "--exit-code")
    ask(folder, "fsck", "--full")


def test_the_whole_history_tags_and_remote_branches_are_there(repo, folder, new_repo):
    repo.git("tag", "v1")
    repo.git("tag", "-a", "v1-signed", "-m", "one")
    repo.commit("two")
    repo.git("branch", "feature/local")
    repo.git("update-ref", "refs/remotes/origin/elsewhere", "HEAD~1")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/elsewhere")

    fill(repo.take(), str(folder), branch="refs/heads/main")

    assert ask(folder, "log", "--format=%s").splitlines() == ["two", "one"]
    assert ask(folder, "tag").splitlines() == ["v1", "v1-signed"]
    assert ask(folder, "describe", "--tags", "v1-signed^{commit}") in ("v1", "v1-signed")
    remote = ask(folder, "for-each-ref", "--format=%(refname:short)", "refs/remotes").splitlines()
    assert remote == ["origin/elsewhere", "origin/feature/local", "origin/main"]
    assert ask(folder, "rev-parse", "origin/elsewhere") == repo.git("rev-parse", "HEAD~1")


def test_a_remote_of_another_name_is_origin_in_the_workspace(repo, folder):
    repo.git("update-ref", "refs/remotes/upstream/next", "HEAD")

    fill(repo.take(), str(folder), remote="upstream", origin="https://example.org/a/b.git")

    assert ask(folder, "rev-parse", "origin/next") == repo.git("rev-parse", "HEAD")
    assert ask(folder, "remote", "get-url", "origin") == "https://example.org/a/b.git"


def test_a_job_may_commit_branch_and_collect_garbage_without_touching_the_user(repo, folder):
    repo.write("README.md", "changed\n")
    fill(repo.take(), str(folder), branch="refs/heads/main")

    with repo.untouched(times=False):
        (folder / "README.md").write_text("by the job\n")
        (folder / "src" / "run.sh").write_text("by the job\n")
        ask(folder, "commit", "-q", "-a", "-m", "by the job")
        ask(folder, "checkout", "-q", "-b", "other")
        ask(folder, "gc", "-q", "--prune=now")
        assert (repo.root / "src" / "run.sh").read_text() == "#!/bin/sh\n"


def test_a_linked_worktree_and_a_shallow_clone_can_be_the_source(repo, folder, tmp_path):
    repo.commit("two")
    repo.git("clone", "-q", "--depth=1", repo.root.as_uri(), str(tmp_path / "shallow"))
    repo.root = tmp_path / "shallow"
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    repo.root = tmp_path / "linked"

    fill(repo.take(), str(folder), branch="refs/heads/side")

    assert ask(folder, "log", "--format=%s") == "two"
    ask(folder, "fsck")


def test_a_repository_without_a_commit_can_be_the_source(new_repo, folder):
    fresh = new_repo("fresh")
    fresh.write("a")

    fill(fresh.take(), str(folder), branch="refs/heads/main")

    assert ask(folder, "status", "--porcelain") == ""
    assert files_in(folder) == {"a"}


def test_a_repository_with_long_ids_can_be_the_source(new_repo, folder):
    repo = new_repo("long", "--object-format=sha256")
    repo.write("a")
    repo.commit()
    repo.write("b")

    fill(repo.take(), str(folder), branch="refs/heads/main")

    assert ask(folder, "status", "--porcelain") == ""
    assert ask(folder, "rev-parse", "--show-object-format") == "sha256"


@pytest.mark.parametrize("name", ["with:colon", '"quoted', "#hash", "line\nend", "back\\slash", " space "])
def test_odd_folder_names_can_be_the_source(new_repo, folder, name):
    repo = new_repo(name)
    repo.write("a")
    repo.commit()
    repo.write("b")

    fill(repo.take(), str(folder), branch="refs/heads/main")

    assert ask(folder, "status", "--porcelain") == ""
    assert files_in(folder) == {"a", "b"}


def test_cleaning_leaves_nothing_of_an_earlier_checkout(repo, folder):
    fill(repo.take(), str(folder))
    (folder / "left").write_text("over\n")
    locked = folder / "locked"
    locked.mkdir()
    (locked / "file").write_text("x\n")
    locked.chmod(0o500)

    fill(repo.take(), str(folder), clean=True)

    assert files_in(folder) == {"README.md", "src/a b.txt", "src/run.sh"}


def test_without_cleaning_untracked_files_stay_and_tracked_ones_are_put_right(repo, folder):
    fill(repo.take(), str(folder))
    (folder / "left").write_text("over\n")
    (folder / "README.md").write_text("by the job\n")
    (repo.root / "src" / "a b.txt").unlink()

    fill(repo.take(), str(folder), clean=False)

    assert files_in(folder) == {"README.md", "left", "src/run.sh"}
    assert (folder / "README.md").read_text() == "hello\n"
    assert ask(folder, "status", "--porcelain") == "?? left"


def test_a_folder_that_is_no_repository_is_emptied_even_without_cleaning(repo, folder):
    folder.mkdir()
    (folder / "left").write_text("over\n")

    fill(repo.take(), str(folder), clean=False)

    assert not (folder / "left").exists()


def test_a_git_folder_that_is_a_link_is_not_followed(repo, folder, new_repo):
    other = new_repo("other")
    other.write("a")
    other.commit()
    folder.mkdir()
    (folder / ".git").symlink_to(other.root / ".git")

    with other.untouched():
        fill(repo.take(), str(folder), clean=False)

    assert not (folder / ".git").is_symlink()


def test_a_sparse_workspace_has_the_folders_asked_for(repo, folder):
    repo.write("other/deep/file")
    repo.write("other/shallow")
    repo.write("third/file")

    fill(repo.take(), str(folder), sparse_patterns=cone_patterns(["other/deep"]))

    assert files_in(folder) == {"README.md", "other/deep/file", "other/shallow"}
    assert ask(folder, "status", "--porcelain") == ""


def test_a_missing_object_is_told(repo, folder):
    repo.write("README.md", "changed\n")
    taken = repo.take()
    shutil.rmtree(repo.objects)
    repo.objects.mkdir()

    with pytest.raises(SparkiError) as caught:
        fill(taken, str(folder))

    assert caught.value.problems[0].code == "missing_object"


def test_a_destination_that_cannot_be_made_is_told(repo, tmp_path):
    (tmp_path / "blocked").write_text("a file\n")

    with pytest.raises(SparkiError) as caught:
        fill(repo.take(), str(tmp_path / "blocked" / "workspace"))

    assert caught.value.problems[0].code == "cannot_write"


def test_an_old_commit_fills_a_workspace(repo, folder):
    first = repo.git("rev-parse", "HEAD")
    repo.write("later")
    repo.commit("two")

    fill(at_revision(repo.found(), "HEAD~1", str(repo.objects)), str(folder))

    assert ask(folder, "rev-parse", "HEAD") == first
    assert not (folder / "later").exists()


def test_cone_patterns_name_parents_once_and_drop_what_is_covered():
    assert cone_patterns(["a/b/c", "/a/b/c/d/", "x", "a/e", "."]).splitlines() == [
        "/*",
        "!/*/",
        "/a/",
        "!/a/*/",
        "/a/b/",
        "!/a/b/*/",
        "/a/b/c/",
        "/a/e/",
        "/x/",
    ]


def test_cone_patterns_take_names_literally():
    assert "/a\\*\\[b\\]/".replace("\\]", "]") in cone_patterns(["a*[b]"])


def test_cone_patterns_of_nothing_are_the_files_of_the_root():
    assert cone_patterns([]) == "/*\n!/*/\n"
