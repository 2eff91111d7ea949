from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source import files, git, index_file
from sparki_daemon.source.changes import Change, parse
from sparki_daemon.source.objects import write_blob, write_loose


@pytest.fixture
def full(repo):
    """A dirty repository with pipelines, a link, and a folder of odd names."""
    repo.write(".github/workflows/b.yml", "b\n")
    repo.write(".github/workflows/a.yaml", "a\n")
    repo.write(".github/workflows/notes.txt", "n\n")
    repo.write(".github/workflows/deep/c.yml", "c\n")
    repo.write(".sparki/pipelines/own.yml", "own\n")
    repo.write("odd/line\nend", "odd\n")
    repo.write("odd/ü", b"\xff\x00binary")
    (repo.root / "link").symlink_to("README.md")
    return repo


def test_a_file_of_the_tree_is_read_after_the_working_tree_has_gone_on(full):
    taken = full.take()
    full.write("README.md", "later\n")

    with full.untouched():
        assert files.read(taken, "README.md") == b"hello\n"
        assert files.read(taken, "odd/ü") == b"\xff\x00binary"
        assert files.read(taken, "odd/line\nend") == b"odd\n"


@pytest.mark.parametrize("path", ["missing", "src", "link", "../README.md", "/etc/passwd", "", "README.md/x", "a\0b", ":README.md", "*.md"])
def test_what_is_no_file_of_the_tree_is_none(full, path):
    assert files.read(full.take(), path) is None


def test_several_files_are_read_at_once(full):
    wanted = ["README.md", "nothing", ".sparki/pipelines/own.yml"]

    assert files.read_many(full.take(), wanted) == {"README.md": b"hello\n", "nothing": None, ".sparki/pipelines/own.yml": b"own\n"}
    assert files.read_many(full.take(), []) == {}


def test_files_of_the_same_content_are_all_read(full):
    full.write("twin-a", "same\n")
    full.write("twin-b", "same\n")

    assert files.read_many(full.take(), ["twin-b", "twin-a"]) == {"twin-a": b"same\n", "twin-b": b"same\n"}


def test_a_lost_object_is_told(full):
    taken = full.take()
    blob = full.git("hash-object", "README.md")
    (full.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    with pytest.raises(SparkiError) as caught:
        files.read(taken, "README.md")

    assert caught.value.problems[0].code == "missing_object"


def test_folders_are_listed_alike_in_the_tree_and_on_disk(full):
    taken, found = full.take(), full.found()

    for folder in (".github", ".github/workflows", "odd", "src", "nowhere", "README.md", "..", "/"):
        assert files.list_dir(taken, folder) == files.list_worktree(found, folder), folder
    assert files.list_dir(taken, "") == files.list_worktree(found, "")
    assert files.list_dir(taken, ".github/workflows") == ["a.yaml", "b.yml", "deep/", "notes.txt"]
    assert files.list_dir(taken, ".github/workflows/") == ["a.yaml", "b.yml", "deep/", "notes.txt"]


def test_the_working_tree_is_read_as_it_lies(full):
    found = full.found()
    full.write("README.md", "later\n")

    assert files.read_worktree(found, "README.md") == b"later\n"
    assert files.read_worktree(found, "missing") is None
    assert files.read_worktree(found, "src") is None


def test_a_link_out_of_the_working_tree_is_not_followed(full, tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    (full.root / "out").symlink_to(tmp_path / "secret")
    (full.root / "up").symlink_to(tmp_path)

    assert files.read_worktree(full.found(), "out") is None
    assert files.read_worktree(full.found(), "up/secret") is None
    assert files.list_worktree(full.found(), "up") == []


def test_every_link_of_a_tree_and_its_submodules_is_read_as_git_has_it(full, new_repo):
    (full.root / "odd" / "out").symlink_to("../../odd \n place")
    library = new_repo("library")
    library.write("lib.txt")
    (library.root / "up").symlink_to("..")
    library.commit()
    full.git("submodule", "--quiet", "add", str(library.root), "lib")
    full.commit()

    assert files.links(full.take()) == {"link": "README.md", "odd/out": "../../odd \n place", "lib/up": ".."}


def test_pipelines_are_github_s_and_ours_from_tree_or_disk(full):
    wanted = {".github/workflows/a.yaml": b"a\n", ".github/workflows/b.yml": b"b\n", ".sparki/pipelines/own.yml": b"own\n"}
    taken, found = full.take(), full.found()

    assert files.pipelines(found) == wanted
    assert files.pipelines(found, taken) == wanted
    full.write(".github/workflows/b.yml", "later\n")
    assert files.pipelines(found)[".github/workflows/b.yml"] == b"later\n"
    assert files.pipelines(found, taken) == wanted


def test_a_repository_without_pipelines_has_none(repo):
    assert files.pipelines(repo.found()) == files.pipelines(repo.found(), repo.take()) == {}


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_an_index_tells_whether_it_may_hold_submodules_and_attributes(repo, new_repo, version):
    repo.git("update-index", "--index-version", version)
    index = repo.root / ".git" / "index"
    assert not index_file.may_hold_gitlinks(index.read_bytes())
    assert not index_file.may_hold_attributes(index.read_bytes())

    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    repo.write(".gitattributes", "")
    repo.write("src/.gitattributes", "")
    repo.git("add", ".gitattributes", "src/.gitattributes")

    assert index_file.may_hold_gitlinks(index.read_bytes())
    assert index_file.may_hold_attributes(index.read_bytes())


def test_an_extension_counts_only_in_an_unbroken_chain():
    chain = b"TREE" + struct.pack(">I", 3) + b"abc" + b"link" + struct.pack(">I", 2) + b"xy"
    index = b"DIRC" + b"TREE\0\0\0\x01noise" + chain + b"\0" * 20

    assert index_file.extension(index, b"TREE", 20) == b"abc"
    assert index_file.extension(index, b"link", 20) == b"xy"
    assert index_file.extension(index, b"sdir", 20) is None
    assert index_file.extension(index[:-1], b"TREE", 20) is None
    assert index_file.extension(b"", b"TREE", 20) is None


def test_an_index_that_is_not_split_rests_on_none(repo):
    assert index_file.shared_index((repo.root / ".git" / "index").read_bytes(), 20) is None


def test_a_status_is_read_record_by_record():
    zero, one, two = "0" * 40, "1" * 40, "2" * 40
    records = [
        "# branch.oid x",
        f"1 .M N... 100644 100644 100755 {one} {two} a b",
        f"1 M. N... 100644 100644 100644 {one} {two} staged",
        f"1 AD N... 000000 100644 000000 {zero} {two} gone",
        f"u UU N... 100644 100644 100644 100644 {one} {two} {one} bad file",
        "? new\nfile",
        "? inner/",
    ]

    found = parse(os.fsencode("\0".join(records) + "\0"))

    assert found.files == (Change("a b", "100755", two), Change("gone", "000000", two), Change("new\nfile", "", ""))
    assert (found.embedded, found.unmerged, found.staged) == (("inner",), ("bad file",), True)
    assert parse(b"").files == ()


def test_a_status_of_another_format_is_refused():
    with pytest.raises(ValueError, match="no status record"):
        parse(b"M  a\0")


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_a_blob_has_the_id_that_git_gives_it(repo, tmp_path, size):
    data = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    (tmp_path / "data").write_bytes(data)
    folder = tmp_path / "objects"
    folder.mkdir()

    with open(tmp_path / "data", "rb") as file:
        name = write_blob(str(folder), file.fileno(), "sha1")

    assert name == repo.git("hash-object", "--no-filters", str(tmp_path / "data"))
    env = {**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(folder)}
    out = subprocess.run(["git", "cat-file", "blob", name], cwd=repo.root, env=env, capture_output=True, check=True).stdout
    assert out == data
    assert [name[:2]] == os.listdir(folder)


def test_an_object_is_written_once_and_read_only(tmp_path):
    first = write_loose(str(tmp_path), "blob", b"x", "sha1")
    path = tmp_path / first[:2] / first[2:]
    about = path.stat()

    assert write_loose(str(tmp_path), "blob", b"x", "sha1") == first
    assert path.stat() == about
    assert stat.S_IMODE(about.st_mode) == 0o444


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("fatal: detected dubious ownership in repository at '/x'", "unsafe_repository"),
        ("error: unable to write file: No space left on device", "disk_full"),
        ("fatal: cannot create directory: Read-only file system", "cannot_write"),
        ("fatal: unable to read sha1 file of a (1)", "missing_object"),
        ("error: open('a'): Permission denied", "unreadable_file"),
        ("fatal: something else", "git_failed"),
        ("", "git_failed"),
    ],
)
def test_what_git_says_becomes_a_problem_with_a_stable_code(said, code):
    problem = git.problem_of(git.Result(128, b"", said))

    assert problem.code == code
    assert problem.message
    assert not problem.message.startswith(("fatal:", "error:"))


def test_hints_and_warnings_are_no_part_of_the_message():
    problem = git.problem_of(git.Result(1, b"", "warning: w\nhint: h\nfatal: the reason\n"))

    assert problem.message == "git failed: fatal: the reason"


def test_the_package_loads_neither_asyncio_nor_a_network_module():
    source = "import sparki_daemon.source.checkout, sparki_daemon.source.files, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, cwd=os.getcwd(), check=False)
    if out.returncode:  # not installed in this environment: by path
        source = f"import sys; sys.path.insert(0, {os.getcwd()!r}); {source}"
        out = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)

    assert not {"asyncio", "socket", "http.client", "shutil", "tempfile", "yaml"} & set(out.stdout.split())
