"""Nothing that a repository is set up with runs, and nothing of it is written."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from sparki_daemon.source.workspace import fill

HOOKS = ("post-index-change", "post-checkout", "pre-commit", "post-commit", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc")


@pytest.fixture
def alarm(tmp_path):
    """A file that every foreign program in these tests writes to."""
    return tmp_path / "alarm"


def trap(alarm):
    return f"sh -c 'echo ran >> {alarm}; cat'"


def changed(repo):
    repo.write("README.md", "changed\n")
    repo.write("new file", "new\n")


def test_no_hook_runs_while_taking_and_filling(repo, alarm, tmp_path):
    for hook in HOOKS:
        repo.write(f".git/hooks/{hook}", f"#!/bin/sh\necho {hook} >> {alarm}\n", executable=True)
    repo.git("config", "--global", "core.hooksPath", str(repo.root / ".git" / "hooks"))
    changed(repo)
    alarm.unlink(missing_ok=True)

    with repo.untouched():
        fill(repo.take(), str(tmp_path / "workspace"), branch="refs/heads/main")

    assert not alarm.exists()


@pytest.mark.parametrize("scope", ["--local", "--global"])
@pytest.mark.parametrize("kind", ["clean", "smudge", "process"])
def test_no_filter_runs_and_content_is_taken_as_it_lies_on_disk(repo, alarm, tmp_path, content_of, scope, kind):
    repo.write("data.bin", "old\n")
    repo.write(".gitattributes", "*.bin filter=mine\n")
    repo.commit("two")
    repo.git("config", scope, f"filter.mine.{kind}", trap(alarm))
    repo.git("config", scope, "filter.mine.required", "true")
    repo.write("data.bin", "content of the user\n")

    with repo.untouched():
        taken = repo.take()
        fill(taken, str(tmp_path / "workspace"))

    assert content_of(taken, "data.bin") == b"content of the user\n"
    assert (tmp_path / "workspace" / "data.bin").read_bytes() == b"content of the user\n"
    assert not alarm.exists()


@pytest.mark.parametrize("place", [".gitattributes", ".git/info/attributes"])
def test_no_filter_runs_wherever_its_attribute_stands(repo, alarm, place):
    repo.write(place, "[attr]odd filter=mine\n*.md odd\n")
    repo.git("config", "filter.mine.clean", trap(alarm))
    changed(repo)

    with repo.untouched():
        repo.take()

    assert not alarm.exists()


def test_no_file_system_monitor_is_asked(repo, alarm, tree_of):
    repo.write("monitor", f"#!/bin/sh\necho ran >> {alarm}\nprintf '0\\0'\n", executable=True)
    repo.git("config", "core.fsmonitor", str(repo.root / "monitor"))
    repo.git("status")
    changed(repo)
    alarm.unlink(missing_ok=True)

    with repo.untouched():
        taken = repo.take()

    assert "new file" in tree_of(taken)
    assert taken.tree != repo.git("rev-parse", "HEAD^{tree}")
    assert not alarm.exists()


def test_a_change_that_the_monitor_has_not_told_is_taken(repo, content_of):
    repo.write("monitor", "#!/bin/sh\nprintf 'token\\0'\n", executable=True)
    repo.git("config", "core.fsmonitor", str(repo.root / "monitor"))
    repo.git("update-index", "--fsmonitor")
    repo.git("status")
    repo.write("README.md", "changed\n")

    assert content_of(repo.take(), "README.md") == b"changed\n"


@pytest.mark.parametrize("change", [True, False])
def test_a_split_index_is_read_and_stays_split(repo, tree_of, change):
    repo.git("config", "core.splitIndex", "true")
    repo.git("update-index", "--split-index")
    repo.write("another", "another\n")
    repo.commit("two")
    assert list((repo.root / ".git").glob("sharedindex.*"))
    if change:
        changed(repo)

    with repo.untouched():
        taken = repo.take()

    assert {"README.md", "another"} <= set(tree_of(taken))
    assert taken.dirty is change


def test_an_untracked_cache_is_not_believed(repo, tree_of):
    repo.git("config", "core.untrackedCache", "true")
    repo.git("update-index", "--force-untracked-cache")
    repo.git("status")
    changed(repo)

    with repo.untouched():
        assert "new file" in tree_of(repo.take())


def test_an_index_of_version_four_is_read(repo, tree_of):
    repo.git("update-index", "--index-version", "4")
    changed(repo)

    with repo.untouched():
        assert set(tree_of(repo.take())) == {"README.md", "new file", "src/a b.txt", "src/run.sh"}


def test_variables_that_hooks_export_lead_nowhere(repo, new_repo, monkeypatch, tree_of, tmp_path):
    other = new_repo("other")
    changed(repo)
    for name, value in {
        "GIT_INDEX_FILE": str(other.root / "index"),
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_PREFIX": "src/",
        "GIT_OBJECT_DIRECTORY": str(other.root / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(tmp_path),
        "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": str(tmp_path / "trace"),
    }.items():
        monkeypatch.setenv(name, value)

    taken = repo.take()
    fill(taken, str(tmp_path / "workspace"))

    monkeypatch.undo()
    assert "new file" in tree_of(taken)
    assert not (tmp_path / "trace").exists()
    assert not (other.root / "index").exists()
    assert not (other.root / "objects").exists()


def test_the_users_own_ignore_files_count(repo, tree_of, tmp_path):
    (tmp_path / "my-ignores").write_text("*.mine\n")
    repo.git("config", "--global", "core.excludesFile", str(tmp_path / "my-ignores"))
    repo.write(".git/info/exclude", "*.local\n")
    repo.write("a.mine")
    repo.write("a.local")
    repo.write("a.taken")

    assert {"a.mine", "a.local", "a.taken"} & set(tree_of(repo.take())) == {"a.taken"}


def test_the_users_standard_ignore_file_counts(repo, tree_of, tmp_path):
    ignores = tmp_path / "home" / ".config" / "git" / "ignore"
    ignores.parent.mkdir(parents=True)
    ignores.write_text("*.mine\n")
    repo.write("a.mine")

    assert "a.mine" not in tree_of(repo.take())


def test_an_ignored_file_that_is_tracked_is_taken(repo, content_of):
    repo.write("tracked.log", "one\n")
    repo.commit("two")
    repo.write(".gitignore", "*.log\n")
    repo.write("tracked.log", "changed\n")

    assert content_of(repo.take(), "tracked.log") == b"changed\n"


ATTRIBUTES = {
    "crlf": ("*.enc text eol=crlf\n", b"one\r\ntwo\r\n", b"one\r\nTWO\r\n"),
    "lf": ("*.enc text eol=lf\n", b"one\ntwo\n", b"one\r\nTWO\r\n"),
    "auto": ("* text=auto\n", b"one\ntwo\n", b"one\r\nTWO\r\n"),
    "ident": ("*.enc ident\n", b"$Id$\n", b"$Id: mine $\nchanged\n"),
    "utf16": ("*.enc working-tree-encoding=UTF-16LE\n", "one\n".encode("utf-16-le"), "two\n".encode("utf-16-le")),
    "plain": ("*.enc -text\n", b"one\r\n", b"two\r\n"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_changed_file_is_in_the_workspace_byte_for_byte_whatever_its_attributes(repo, content_of, tmp_path, name):
    attributes, old, new = ATTRIBUTES[name]
    repo.write(".gitattributes", attributes)
    repo.write("[odd] name.enc", old)
    repo.commit("two")
    repo.write("[odd] name.enc", new)

    with repo.untouched():
        taken = repo.take()
        fill(taken, str(tmp_path / "workspace"))

    assert content_of(taken, "[odd] name.enc") == new
    assert (tmp_path / "workspace" / "[odd] name.enc").read_bytes() == new
    assert workspace_status(tmp_path / "workspace") == ""


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_committed_file_is_no_change_though_its_bytes_differ_from_the_blobs(repo, tmp_path, name):
    attributes, old, _ = ATTRIBUTES[name]
    repo.write(".gitattributes", attributes)
    repo.write("a.enc", old)
    repo.commit("two")
    (repo.root / "a.enc").unlink()
    repo.git("checkout", "-q", "--", "a.enc")
    on_disk = (repo.root / "a.enc").read_bytes()
    (repo.root / "a.enc").touch()

    with repo.untouched():
        taken = repo.take()
        fill(taken, str(tmp_path / "workspace"))

    assert taken.dirty is False
    assert (tmp_path / "workspace" / "a.enc").read_bytes() == on_disk
    assert workspace_status(tmp_path / "workspace") == ""


def test_committed_line_ends_of_the_other_kind_are_no_change(repo):
    repo.write("dos.txt", b"one\r\n")
    repo.commit("two")
    repo.write(".gitattributes", "* text=auto\n")
    repo.git("add", ".gitattributes")
    repo.git("commit", "-q", "-m", "three")
    (repo.root / "dos.txt").touch()

    assert repo.take().dirty is False


def test_a_touched_file_under_git_lfs_is_no_change_and_a_changed_one_is_its_content(repo, content_of, tree_of):
    content = b"large content\n"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    repo.write("a.bin", pointer)
    repo.write("b.bin", pointer)
    repo.commit("pointers")
    repo.write(".gitattributes", "*.bin filter=lfs -text\n")
    repo.git("add", ".gitattributes")
    repo.git("commit", "-q", "-m", "attributes")
    repo.write("a.bin", content)
    repo.write("b.bin", content + b"and more\n")

    taken = repo.take()

    assert content_of(taken, "a.bin") == pointer.encode()
    assert content_of(taken, "b.bin") == content + b"and more\n"


def workspace_status(folder):
    """`git status` after every time stamp has been made doubtful, so that contents are compared."""
    for path in folder.iterdir():
        if path.is_file():
            path.touch()
    done = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout
