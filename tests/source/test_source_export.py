"""The archive of a release: the commit's bytes, submodules and all, the same for the same tree; the repository is only read."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source import export
from sparki_daemon.source.snapshot import at_revision


def archived(repo, revision: str = "HEAD") -> bytes:
    out = io.BytesIO()
    export.write_archive(at_revision(repo.found(), revision, str(repo.objects)), out)
    return out.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive.getmembers()}


def content(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_the_same_tree_gives_the_same_archive_from_any_commit(repo) -> None:
    repo.write("a.txt")
    repo.commit("one")
    first = archived(repo)
    repo.commit("nothing changed")

    assert archived(repo) == first


def test_content_is_what_git_has_whatever_attributes_say(repo) -> None:
    repo.write(".gitattributes", "* text eol=crlf\nid.txt ident\nleft.txt export-ignore\nsubst.txt export-subst\n")
    for name, text in (("id.txt", "$Id$\n"), ("left.txt", "here\n"), ("subst.txt", "$Format:%H$\n")):
        repo.write(name, text)
    repo.commit()

    data = archived(repo)

    assert content(data, "id.txt") == b"$Id$\n"
    assert content(data, "left.txt") == b"here\n"
    assert content(data, "subst.txt") == b"$Format:%H$\n"


def test_modes_links_and_odd_names_are_kept_and_nobody_is_named(repo) -> None:
    repo.write("run.sh", executable=True)
    repo.write("plain")
    repo.write("odd \n name ü")
    (repo.root / "link").symlink_to("../outside")
    repo.commit()

    found = members(archived(repo))

    assert (found["run.sh"].mode, found["plain"].mode) == (0o755, 0o644)
    assert found["link"].linkname == "../outside"
    assert "odd \n name ü" in found
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in found.values()} == {(0, 0, "", "", export.MTIME_S)}


def test_uncommitted_changes_are_not_in_it(repo) -> None:
    repo.write("a.txt", "one\n")
    repo.commit()
    repo.write("a.txt", "two\n")

    with repo.untouched():
        data = archived(repo)

    assert content(data, "a.txt") == b"one\n"


def test_many_and_large_files_come_in_batches(repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH_BYTES", 10)
    for number in range(5):
        repo.write(f"{number}.txt", f"{number}" * 7)
    repo.commit()

    data = archived(repo)

    assert [content(data, f"{number}.txt") for number in range(5)] == [f"{number}".encode() * 7 for number in range(5)]


def test_submodules_are_in_it_and_a_missing_one_is_refused(new_repo, repo) -> None:
    library = new_repo("library")
    library.write("lib.txt", "lib\n")
    library.commit()
    repo.git("submodule", "--quiet", "add", str(library.root), "lib dir")
    repo.commit("with a submodule")
    assert content(archived(repo), "lib dir/lib.txt") == b"lib\n"

    shutil.rmtree(repo.root / "lib dir")
    with pytest.raises(SparkiError) as refused:
        archived(repo)
    assert refused.value.problems[0].code == "missing_submodule"


def test_what_is_extracted_is_the_tree_itself(repo, tmp_path) -> None:
    repo.write("deep/er/a.txt", b"\x00\xff\n")
    repo.write("run", executable=True)
    repo.commit()
    place = tmp_path / "out"
    with tarfile.open(fileobj=io.BytesIO(archived(repo))) as archive:
        archive.extractall(place, filter="data")

    for words in (["init", "-q", "."], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=place, check=True)
    tree = subprocess.run(["git", "write-tree"], cwd=place, check=True, capture_output=True, text=True).stdout.strip()
    assert tree == repo.git("rev-parse", "HEAD^{tree}")
