from __future__ import annotations

import subprocess

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.checkout import Wanted, checkout, read_inputs
from sparki_daemon.source.workspace import Submodules

GITHUB = {"repository": "ada/engine", "ref": "refs/heads/main"}


@pytest.fixture
def run(repo, tmp_path):
    """Checks out into the workspace with inputs, and answers with what git says there."""

    def checked_out(inputs, github=GITHUB, **more):
        places = {"workspace": str(tmp_path / "workspace"), "objects_dir": str(tmp_path / "more")}
        with repo.untouched():
            return checkout(inputs, repo.take(), github=github, **places, **more)

    return checked_out


def head(folder):
    done = subprocess.run(["git", "log", "-1", "--format=%s|%D"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip().replace("grafted, ", "")  # where the history is cut


def test_no_input_means_the_run_s_own_source_on_its_branch(repo, run, tmp_path):
    repo.write("README.md", "changed\n")

    done = run({})

    assert done.folder == str(tmp_path / "workspace")
    assert (done.ref, done.notes) == ("refs/heads/main", ())
    assert (tmp_path / "workspace" / "README.md").read_text() == "changed\n"
    assert head(done.folder) == "Uncommitted changes|HEAD -> main, origin/main"


@pytest.mark.parametrize("ref", ["main", "refs/heads/main"])
def test_the_run_s_own_branch_by_name_is_its_source_too(repo, run, tmp_path, ref):
    repo.write("README.md", "changed\n")

    run({"ref": ref})

    assert (tmp_path / "workspace" / "README.md").read_text() == "changed\n"


def test_the_run_s_commit_by_id_is_detached(repo, run):
    commit = repo.take().commit

    done = run({"ref": commit})

    assert done.commit == commit
    assert head(done.folder).split("|")[1] == "HEAD"


@pytest.mark.parametrize("ref", ["side", "refs/heads/side"])
def test_another_branch_is_checked_out_as_a_branch(repo, run, ref):
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("on side")
    repo.git("checkout", "-q", "main")

    done = run({"ref": ref})

    assert head(done.folder) == "on side|HEAD -> side, origin/side"
    assert done.commit == repo.git("rev-parse", "side")


def test_a_branch_that_only_the_remote_has_is_checked_out_as_a_branch(repo, run):
    repo.git("remote", "add", "upstream", "https://example.org/ada/engine.git")
    repo.git("update-ref", "refs/remotes/upstream/far", repo.commit("far"))

    assert "HEAD -> far" in head(run({"ref": "far"}).folder)


def test_a_branch_comes_before_a_tag_of_the_same_name(repo, run):
    repo.git("tag", "both")
    repo.git("checkout", "-q", "-b", "both")
    repo.commit("the branch")
    repo.git("checkout", "-q", "main")

    assert head(run({"ref": "both"}).folder).startswith("the branch|")


@pytest.mark.parametrize("ref", ["v1", "refs/tags/v1"])
def test_a_tag_is_detached(repo, run, ref):
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.commit("two")

    done = run({"ref": ref})

    assert head(done.folder) == "one|HEAD, tag: v1"
    assert done.commit == repo.git("rev-parse", "v1^{commit}")


def test_a_tag_s_run_is_detached(repo, run):
    repo.git("tag", "v1")

    assert head(run({}, {**GITHUB, "ref": "refs/tags/v1"}).folder).split("|")[1].startswith("HEAD, ")


@pytest.mark.parametrize("ref", ["", "refs/heads/main"])
def test_a_source_of_no_branch_is_detached_whatever_ref_stands_in(repo, run, ref):
    repo.git("checkout", "-q", "--detach")
    repo.commit("nameless")

    done = run({"ref": ref}, detached=True)

    assert head(done.folder) == "nameless|HEAD"
    assert (done.ref, done.commit) == ("refs/heads/main", repo.git("rev-parse", "HEAD"))


def test_a_branch_by_its_short_name_is_that_branch_where_the_source_is_of_none(repo, run):
    repo.git("checkout", "-q", "--detach")
    repo.commit("nameless")

    done = run({"ref": "main"}, detached=True)

    assert head(done.folder) == "one|HEAD -> main, origin/main"


def test_an_unknown_ref_is_refused(run):
    with pytest.raises(SparkiError) as caught:
        run({"ref": "nothing"})

    assert caught.value.problems[0].code == "no_such_revision"


def test_the_same_repository_by_name_is_this_one_in_any_case(run):
    assert run({"repository": "Ada/Engine"}).commit


def test_another_repository_is_refused_with_a_way_out(run):
    with pytest.raises(SparkiError) as caught:
        run({"repository": "someone/else"})

    assert caught.value.problems[0].code == "unmapped_repository"
    assert caught.value.problems[0].hint


def test_a_path_names_a_folder_below_the_workspace(run, tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "before").write_text("x\n")

    done = run({"path": "sub/dir"})

    assert done.folder == str(tmp_path / "workspace" / "sub" / "dir")
    assert (tmp_path / "workspace" / "sub" / "dir" / "README.md").exists()
    assert (tmp_path / "workspace" / "before").exists()


@pytest.mark.parametrize("path", ["..", "/etc", "a/../../b", "../workspace-other"])
def test_a_path_out_of_the_workspace_is_refused(run, path):
    with pytest.raises(SparkiError) as caught:
        run({"path": path})

    assert caught.value.problems[0].code == "path_outside_workspace"


def test_the_remote_is_the_users_without_credentials(repo, run):
    repo.git("remote", "add", "origin", "https://ada:secret@example.org/ada/engine.git")

    folder = run({}).folder

    told = subprocess.run(["git", "remote", "-v"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "https://example.org/ada/engine.git" in told
    assert "secret" not in told


def refs(folder):
    done = subprocess.run(["git", "for-each-ref", "--format=%(refname)"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def log(folder):
    done = subprocess.run(["git", "log", "--all", "--format=%s"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def long(repo):
    """Four commits, the second with a tag, and another branch of the remote."""
    repo.commit("two")
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("update-ref", "refs/remotes/origin/far", repo.git("commit-tree", "-p", "HEAD", "-m", "far", "HEAD^{tree}"))
    for message in ("three", "four"):
        repo.commit(message)
    return repo


def test_one_commit_without_tags_is_there_unless_more_is_asked_for(long, run):
    folder = run({}).folder

    assert log(folder) == ["four"]
    assert refs(folder) == ["refs/heads/main", "refs/remotes/origin/main"]
    assert subprocess.run(["git", "describe", "--tags"], cwd=folder, capture_output=True, check=False).returncode
    assert subprocess.run(["git", "fsck"], cwd=folder, capture_output=True, check=False).returncode == 0


def test_a_depth_of_nought_brings_all_of_it(long, run):
    folder = run({"fetch-depth": "0"}).folder

    assert sorted(log(folder)) == ["far", "four", "one", "three", "two"]
    assert refs(folder) == ["refs/heads/main", "refs/remotes/origin/far", "refs/remotes/origin/main", "refs/tags/v1"]


@pytest.mark.parametrize(
    ("depth", "told"), [("2", ["four", "three"]), ("4", ["four", "three", "two", "one"]), ("99", ["four", "three", "two", "one"])]
)
def test_a_depth_brings_so_many_commits_of_the_line(long, run, depth, told):
    folder = run({"fetch-depth": depth}).folder

    assert log(folder) == told
    shallow = subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=folder, capture_output=True, text=True, check=True)
    assert shallow.stdout.strip() == str(depth != "99").lower()


def test_tags_come_with_their_commits_where_they_are_asked_for(long, run):
    long.git("tag", "of-a-tree", "HEAD^{tree}")
    folder = run({"fetch-tags": "true"}).folder

    assert log(folder) == ["four", "two"]
    assert refs(folder)[2:] == ["refs/tags/of-a-tree", "refs/tags/v1"]


def test_a_tag_s_own_checkout_has_that_tag_alone(long, run):
    long.git("tag", "v2")

    assert refs(run({"ref": "v1"}).folder) == ["refs/tags/v1"]
    assert refs(run({}, {**GITHUB, "ref": "refs/tags/v2"}).folder) == ["refs/tags/v2"]


def test_uncommitted_changes_are_the_one_commit(long, run):
    long.write("README.md", "changed\n")

    assert log(run({}).folder) == ["Uncommitted changes"]
    assert log(run({"fetch-depth": "2"}).folder) == ["Uncommitted changes", "four"]


def test_lfs_is_told_to_be_left_out(run):
    assert [note.code for note in run({"lfs": "true"}).notes] == ["lfs_pointers"]


def test_sparse_folders_are_the_only_ones(repo, run, tmp_path):
    repo.write("other/file")

    run({"sparse-checkout": "other\n"})

    assert (tmp_path / "workspace" / "other" / "file").exists()
    assert not (tmp_path / "workspace" / "src").exists()


def test_sparse_patterns_without_cone_mode_are_ignore_patterns(repo, run, tmp_path):
    run({"sparse-checkout": "*.sh\n", "sparse-checkout-cone-mode": "false"})

    assert (tmp_path / "workspace" / "src" / "run.sh").exists()
    assert not (tmp_path / "workspace" / "README.md").exists()


def test_inputs_have_the_action_s_defaults():
    assert read_inputs({}) == Wanted()
    assert read_inputs({"clean": "", "submodules": "", "ref": " ", "fetch-depth": "", "lfs": "false"}) == Wanted()


@pytest.mark.parametrize(
    ("inputs", "key", "value"),
    [
        ({"CLEAN": "False"}, "clean", False),
        ({"clean": "no"}, "clean", False),
        ({"submodules": "True"}, "submodules", Submodules.TOP),
        ({"submodules": "recursive"}, "submodules", Submodules.ALL),
        ({"submodules": "false"}, "submodules", Submodules.NONE),
        ({"lfs": "TRUE"}, "lfs", True),
        ({"sparse-checkout": "\n  \n"}, "sparse_patterns", None),
        ({"fetch-depth": "0", "token": "x"}, "ref", ""),
        ({"fetch-depth": "0"}, "fetch_depth", 0),
        ({"fetch-depth": "-3"}, "fetch_depth", 0),
        ({"fetch-depth": " 2.9 "}, "fetch_depth", 2),
        ({"fetch-depth": "all"}, "fetch_depth", 0),
        ({"fetch-depth": "Infinity"}, "fetch_depth", 0),
        ({"fetch-tags": "True"}, "fetch_tags", True),
        ({"fetch-tags": "yes"}, "fetch_tags", False),
    ],
)
def test_inputs_are_read_as_the_action_reads_them(inputs, key, value):
    assert getattr(read_inputs(inputs), key) == value
