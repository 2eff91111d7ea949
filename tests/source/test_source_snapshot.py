from __future__ import annotations

import errno
import os
import subprocess
import zlib

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.repository import find
from sparki_daemon.source.snapshot import take


def test_a_clean_tree_is_heads_and_needs_no_object(repo):
    with repo.untouched():
        taken = repo.take()

    assert taken.tree == repo.git("rev-parse", "HEAD^{tree}")
    assert taken.commit == taken.head == repo.git("rev-parse", "HEAD")
    assert taken.dirty is False
    assert taken.objects is None
    assert not repo.objects.exists()
    assert taken.alternates == (str(repo.root / ".git" / "objects"),)


def test_changed_new_and_deleted_files_are_taken_and_ignored_ones_are_not(repo, tree_of, content_of):
    repo.write(".gitignore", "*.log\n")
    repo.write("README.md", "changed\n")
    repo.write("new/deep/file", "new\n")
    repo.write("noise.log")
    (repo.root / "src" / "a b.txt").unlink()

    with repo.untouched():
        taken = repo.take()

    assert tree_of(taken) == {".gitignore": "100644", "README.md": "100644", "new/deep/file": "100644", "src/run.sh": "100755"}
    assert content_of(taken, "README.md") == b"changed\n"
    assert taken.dirty is True
    assert taken.head == repo.git("rev-parse", "HEAD")


def test_the_tree_is_the_one_that_a_commit_of_everything_would_have(repo):
    repo.write("README.md", "changed\n")
    repo.write("new", "new\n")
    taken = repo.take()

    repo.commit("two")

    assert taken.tree == repo.git("rev-parse", "HEAD^{tree}")


def test_staged_changes_are_taken_as_they_lie_on_disk(repo, content_of, tree_of):
    repo.write("README.md", "staged\n")
    repo.write("only-staged", "kept\n")
    repo.git("add", "--all")
    repo.write("README.md", "on disk\n")
    repo.git("rm", "-q", "--cached", "src/a b.txt")

    with repo.untouched(times=False):  # git writes the tree of src, finds that it has it, and freshens its time
        taken = repo.take()

    assert content_of(taken, "README.md") == b"on disk\n"
    assert content_of(taken, "only-staged") == b"kept\n"
    assert "src/a b.txt" in tree_of(taken)


def test_a_commit_of_ours_stands_for_a_dirty_tree(repo):
    head = repo.git("rev-parse", "HEAD")
    repo.write("README.md", "changed\n")

    taken = repo.take()

    env = {**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": taken.objects}
    shown = subprocess.run(
        ["git", "show", "-s", "--format=%T %P %an %ae %ct", taken.commit],
        cwd=repo.root,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    time = repo.git("show", "-s", "--format=%ct", "HEAD")
    assert shown.stdout.strip() == f"{taken.tree} {head} Sparki sparki@localhost {time}"


def test_the_same_dirty_tree_gives_the_same_commit_each_time(repo, tmp_path):
    repo.write("README.md", "changed\n")

    first, second = take(repo.found(), str(tmp_path / "one")), take(repo.found(), str(tmp_path / "two"))

    assert first.commit == second.commit


def test_nothing_but_objects_is_left_in_the_object_folder(repo):
    repo.write("README.md", "changed\n")

    repo.take()

    assert all(len(name) == 2 for name in os.listdir(repo.objects))


def test_a_detached_head_is_taken(repo):
    repo.git("checkout", "-q", "--detach")
    repo.write("README.md", "changed\n")

    taken = repo.take()

    assert taken.head == repo.git("rev-parse", "HEAD")
    assert taken.ref is None


def test_the_first_files_are_taken_before_any_commit(new_repo, tree_of):
    fresh = new_repo("fresh")
    fresh.write("staged")
    fresh.git("add", "--all")
    fresh.write("untracked")

    with fresh.untouched():
        taken = fresh.take()

    assert set(tree_of(taken)) == {"staged", "untracked"}
    assert (taken.head, taken.dirty, taken.ref) == (None, True, "refs/heads/main")


def test_an_empty_repository_is_an_empty_tree(new_repo, tree_of):
    fresh = new_repo("fresh")

    assert tree_of(fresh.take()) == {}


def test_a_linked_worktree_is_taken_with_its_own_index_and_head(repo, tmp_path, tree_of):
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    (tmp_path / "linked" / "side-file").write_text("side\n")
    repo.write("main-file")

    with repo.untouched():
        taken = take(find(str(tmp_path / "linked")), str(repo.objects))

    assert "side-file" in tree_of(taken)
    assert "main-file" not in tree_of(taken)
    assert taken.ref == "refs/heads/side"


def test_a_held_index_lock_is_no_obstacle(repo):
    repo.write(".git/index.lock", "")
    repo.write("README.md", "changed\n")

    with repo.untouched():
        assert repo.take().dirty


def test_without_an_index_the_contents_are_compared(repo):
    (repo.root / ".git" / "index").unlink()

    with repo.untouched():
        assert repo.take().dirty is False


ODD_NAMES = [
    "a b",
    "line\nend",
    'quo"te',
    "back\\slash",
    "-dash",
    ":(exclude)x",
    "*",
    "[a]",
    "tab\t",
    os.fsdecode(b"\xff\xfe.bin"),
    "ü",
    " lead",
    "trail ",
]


def test_odd_names_are_taken(repo, tree_of, content_of):
    for name in ODD_NAMES:
        repo.write(f"odd/{name}", f"in {name!a}\n")

    with repo.untouched():
        taken = repo.take()

    assert {path for path in tree_of(taken) if path.startswith("odd/")} == {f"odd/{name}" for name in ODD_NAMES}
    assert content_of(taken, "odd/line\nend") == b"in 'line\\nend'\n"


def test_links_are_taken_as_links_and_the_executable_bit_is_kept(repo, tree_of, content_of):
    (repo.root / "link").symlink_to("README.md")
    (repo.root / "dangling").symlink_to("/nowhere/at/all")
    (repo.root / "README.md").chmod(0o755)
    (repo.root / "src" / "run.sh").chmod(0o644)

    taken = repo.take()

    modes = tree_of(taken)
    assert (modes["link"], modes["dangling"], modes["README.md"], modes["src/run.sh"]) == ("120000", "120000", "100755", "100644")
    assert content_of(taken, "dangling") == b"/nowhere/at/all"


def test_without_file_modes_the_executable_bit_is_the_indexs(repo, tree_of):
    repo.git("config", "core.fileMode", "false")
    repo.write("README.md", "changed\n").chmod(0o755)
    repo.write("src/run.sh", "changed\n").chmod(0o644)

    modes = tree_of(repo.take())

    assert (modes["README.md"], modes["src/run.sh"]) == ("100644", "100755")


def test_a_folder_where_a_file_was_and_a_file_where_a_folder_was_are_taken(repo, tree_of):
    (repo.root / "README.md").unlink()
    repo.write("README.md/inner")
    for path in (repo.root / "src").iterdir():
        path.unlink()
    (repo.root / "src").rmdir()
    repo.write("src", "now a file\n")

    assert tree_of(repo.take()) == {"README.md/inner": "100644", "src": "100644"}


def test_pipes_and_sockets_are_left_out(repo, tree_of):
    os.mkfifo(repo.root / "pipe")
    repo.write("new")

    assert "pipe" not in tree_of(repo.take())


def test_a_file_changed_within_the_indexs_own_second_is_seen(repo, content_of):
    about = (repo.root / "README.md").stat()
    repo.write("README.md", "HELLO\n")
    os.utime(repo.root / "README.md", ns=(about.st_atime_ns, about.st_mtime_ns))
    os.utime(repo.root / ".git" / "index", ns=(about.st_mtime_ns, about.st_mtime_ns))

    assert content_of(repo.take(), "README.md") == b"HELLO\n"


def test_a_touched_file_is_no_change(repo):
    os.utime(repo.root / "README.md", (1, 1))

    with repo.untouched():
        assert repo.take().dirty is False


def test_a_large_file_is_taken_whole(repo, content_of):
    data = os.urandom(1 << 20) * 9
    repo.write("large.bin", data)

    taken = repo.take()

    assert content_of(taken, "large.bin") == data


def test_unmerged_files_are_refused_and_the_first_five_named(repo):
    for number in range(7):
        repo.write(f"file{number}", "base\n")
    repo.commit("base")
    repo.git("checkout", "-q", "-b", "side")
    for number in range(7):
        repo.write(f"file{number}", "side\n")
    repo.commit("side")
    repo.git("checkout", "-q", "main")
    for number in range(7):
        repo.write(f"file{number}", "main\n")
    repo.commit("main")
    subprocess.run(["git", "merge", "-q", "side"], cwd=repo.root, capture_output=True, check=False)

    with repo.untouched(), pytest.raises(SparkiError) as caught:
        repo.take()

    problem = caught.value.problems[0]
    assert problem.code == "unmerged_files"
    assert problem.message == "unmerged files: file0, file1, file2, file3, file4 and 2 more"


def test_an_object_folder_that_cannot_be_made_is_told(repo, tmp_path):
    repo.write("README.md", "changed\n")
    (tmp_path / "blocked").write_text("a file\n")

    with pytest.raises(SparkiError) as caught:
        take(repo.found(), str(tmp_path / "blocked" / "objects"))

    assert caught.value.problems[0].code == "cannot_write"


def test_a_full_disk_is_told(repo, tmp_path, monkeypatch):
    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    repo.write("README.md", "changed\n")
    monkeypatch.setattr(zlib, "compress", full)

    with pytest.raises(SparkiError) as caught:
        repo.take()

    assert caught.value.problems[0].code == "disk_full"


def test_an_object_folder_inside_the_working_tree_does_not_take_itself(repo, tree_of):
    repo.write("new")

    taken = take(repo.found(), str(repo.root / ".sparki-state" / "objects"))

    assert set(tree_of(taken)) == {"README.md", "new", "src/a b.txt", "src/run.sh"}
