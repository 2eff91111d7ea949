from __future__ import annotations

import json
import subprocess

import pytest

from sparki_daemon.source.snapshot import at_revision, from_json
from sparki_daemon.source.workspace import Submodules, fill


@pytest.fixture
def parent(new_repo, repo):
    """`repo` with a submodule at `lib dir`, which has one at `deep`."""
    deep = new_repo("deep")
    deep.write("deep.txt", "deep\n")
    deep.commit()
    library = new_repo("library")
    library.write("lib.txt", "lib\n")
    library.git("submodule", "--quiet", "add", str(deep.root), "deep")
    library.commit()
    repo.git("submodule", "--quiet", "add", str(library.root), "lib dir")
    repo.git("submodule", "--quiet", "update", "--init", "--recursive")
    repo.commit("with a submodule")
    return repo


def gitlink(taken, path):
    env = {"GIT_DIR": taken.git_dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES": taken.objects or "", "PATH": "/usr/bin:/bin"}
    out = subprocess.run(["git", "ls-tree", taken.tree, path], env=env, capture_output=True, text=True, check=True).stdout
    return out.split()[2]


def test_untouched_submodules_leave_the_tree_clean(parent):
    with parent.untouched():
        taken = parent.take()

    assert taken.dirty is False
    assert [module.path for module in taken.submodules] == ["lib dir"]
    assert taken.submodules[0].snapshot.dirty is False
    assert [module.path for module in taken.submodules[0].snapshot.submodules] == ["deep"]


def test_a_change_deep_in_a_submodule_is_taken_all_the_way_up(parent, content_of):
    parent.write("lib dir/deep/deep.txt", "changed\n")
    parent.write("lib dir/new.txt", "new\n")

    with parent.untouched():
        taken = parent.take()

    library = taken.submodules[0].snapshot
    deep = library.submodules[0].snapshot
    assert taken.dirty
    assert gitlink(taken, "lib dir") == library.commit
    assert gitlink(library, "deep") == deep.commit
    assert content_of(deep, "deep.txt") == b"changed\n"
    assert content_of(library, "new.txt") == b"new\n"


def test_a_submodule_at_another_commit_is_taken_there(parent):
    parent.git("-C", "lib dir", "commit", "-q", "--allow-empty", "-m", "two")

    taken = parent.take()

    assert taken.dirty
    assert taken.submodules[0].snapshot.dirty is False
    assert gitlink(taken, "lib dir") == parent.git("-C", "lib dir", "rev-parse", "HEAD")


def test_no_program_of_a_submodule_runs(parent, tmp_path):
    alarm = tmp_path / "alarm"
    parent.git("-C", "lib dir", "config", "core.fsmonitor", f"sh -c 'echo ran >> {alarm}'")
    parent.git("-C", "lib dir", "config", "filter.mine.clean", f"sh -c 'echo ran >> {alarm}; cat'")
    parent.write("lib dir/.gitattributes", "* filter=mine\n")
    parent.write("lib dir/lib.txt", "changed\n")

    with parent.untouched():
        parent.take()

    assert not alarm.exists()


def test_a_submodule_that_was_never_fetched_stays_as_the_tree_names_it(parent, tmp_path, tree_of, new_repo):
    parent.git("submodule", "--quiet", "deinit", "--all", "--force")
    recorded = parent.git("rev-parse", "HEAD:lib dir")

    taken = parent.take()

    assert taken.submodules == ()
    assert taken.dirty is False
    assert gitlink(taken, "lib dir") == recorded


def test_a_submodule_that_was_deleted_is_gone(parent, tree_of):
    subprocess.run(["rm", "-rf", str(parent.root / "lib dir")], check=True)

    assert "lib dir" not in tree_of(parent.take())


def test_a_submodule_that_was_taken_out_of_the_index_is_gone_though_its_folder_is_there(parent, tree_of):
    parent.git("rm", "-q", "--cached", "lib dir")

    taken = parent.take()

    assert "lib dir" not in tree_of(taken)
    assert [note.code for note in taken.notes] == ["embedded_repository"]


def test_a_file_where_a_submodule_was_is_taken(parent, content_of):
    subprocess.run(["rm", "-rf", str(parent.root / "lib dir")], check=True)
    parent.write("lib dir", "now a file\n")

    assert content_of(parent.take(), "lib dir") == b"now a file\n"


def test_a_submodule_with_a_broken_git_folder_stays_as_the_tree_names_it(parent):
    (parent.root / "lib dir" / ".git").unlink()
    (parent.root / "lib dir" / ".git").mkdir()
    recorded = parent.git("rev-parse", "HEAD:lib dir")

    taken = parent.take()

    assert gitlink(taken, "lib dir") == recorded
    assert [note.code for note in taken.notes] == ["no_repository"]


def test_a_new_submodule_is_taken_before_its_commit(repo, new_repo):
    library = new_repo("library")
    library.write("lib.txt", "lib\n")
    library.commit()
    repo.git("submodule", "--quiet", "add", str(library.root), "lib")

    taken = repo.take()

    assert gitlink(taken, "lib") == taken.submodules[0].snapshot.commit


@pytest.mark.parametrize("born", [True, False])
def test_an_embedded_repository_is_left_out_and_told(repo, tree_of, born):
    repo.write("vendor/emb dded/file")
    subprocess.run(["git", "init", "-q"], cwd=repo.root / "vendor" / "emb dded", check=True)
    if born:
        subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=repo.root / "vendor" / "emb dded", check=True)
    repo.write("vendor/mine")

    with repo.untouched():
        taken = repo.take()

    assert set(tree_of(taken)) == {"README.md", "src/a b.txt", "src/run.sh", "vendor/mine"}
    assert [note.code for note in taken.notes] == ["embedded_repository"]
    assert "vendor/emb dded" in taken.notes[0].message


def test_an_ignored_embedded_repository_is_no_news(repo):
    subprocess.run(["git", "init", "-q", "inner"], cwd=repo.root, check=True)
    repo.write(".git/info/exclude", "inner/\n")

    taken = repo.take()

    assert (taken.notes, taken.dirty) == ((), False)


def test_a_worktree_inside_the_working_tree_is_left_out(repo, tree_of):
    repo.git("worktree", "add", "-q", "trees/side", "-b", "side")

    taken = repo.take()

    assert not any(path.startswith("trees") for path in tree_of(taken))
    assert taken.notes


def test_what_a_submodule_leaves_out_is_told_with_its_place(parent):
    subprocess.run(["git", "init", "-q", "inner"], cwd=parent.root / "lib dir", check=True)

    assert parent.take().notes[0].message.startswith("in submodule lib dir: inner is a git repository")


def test_a_snapshot_with_submodules_goes_through_json_and_back(parent):
    parent.write("lib dir/deep/deep.txt", "changed\n")
    taken = parent.take()

    assert from_json(json.loads(json.dumps(taken.to_json()))) == taken


@pytest.mark.parametrize(
    ("wanted", "present", "absent"),
    [
        (Submodules.NONE, [], ["lib dir/lib.txt", "lib dir/.git", "lib dir/deep"]),
        (Submodules.TOP, ["lib dir/lib.txt", "lib dir/new.txt"], ["lib dir/deep/deep.txt"]),
        (Submodules.ALL, ["lib dir/lib.txt", "lib dir/deep/deep.txt"], []),
    ],
)
def test_a_workspace_has_the_submodules_that_were_asked_for(parent, tmp_path, wanted, present, absent):
    parent.write("lib dir/new.txt", "new\n")
    folder = tmp_path / "workspace"

    with parent.untouched():
        fill(parent.take(), str(folder), branch="refs/heads/main", submodules=wanted)

    assert (folder / "lib dir").is_dir()
    assert all((folder / path).exists() for path in present)
    assert not any((folder / path).exists() for path in absent)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert status == ""
    if wanted is not Submodules.NONE:
        told = subprocess.run(["git", "submodule", "status"], cwd=folder, capture_output=True, text=True, check=True).stdout
        assert told.startswith(" ")


def test_a_revision_brings_the_submodules_of_its_own_time(parent, tmp_path):
    before = parent.git("-C", "lib dir", "rev-parse", "HEAD")
    parent.git("-C", "lib dir", "commit", "-q", "--allow-empty", "-m", "two")
    parent.commit("moved")

    taken = at_revision(parent.found(), "HEAD~1", str(parent.objects))
    fill(taken, str(tmp_path / "workspace"), submodules=Submodules.ALL)

    assert taken.submodules[0].snapshot.commit == before
    assert (tmp_path / "workspace" / "lib dir" / "deep" / "deep.txt").read_text() == "deep\n"


def test_a_submodule_shows_as_much_history_as_its_parent(parent, tmp_path):
    inner = parent.root / "lib dir"
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "more"], cwd=inner, check=True)
    taken = parent.take()

    for depth, count in ((1, 1), (0, 2)):
        folder = tmp_path / f"depth-{depth}"
        fill(taken, str(folder), submodules=Submodules.TOP, depth=depth, tags=depth == 0)
        log = subprocess.run(["git", "log", "--all", "--format=%s"], cwd=folder / "lib dir", capture_output=True, text=True, check=True)
        assert len(log.stdout.splitlines()) == count
