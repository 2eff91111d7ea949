"""A release's files as they are unpacked: the archive's own, links to the letter, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from sparki_daemon.loco.adapters.process.shipping import ship
from sparki_daemon.loco.protocol import StepFailed
from sparki_daemon.source.export import add_file


def archive(folder: Path, links: dict[str, str]) -> dict[str, str]:
    path = folder / "release.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        add_file(out, "run.sh", b"#!/bin/sh\n", executable=True)
        for name, target in links.items():
            add_file(out, name, target.encode(), link=True)
    return {"path": str(path), "digest": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}


def test_links_are_what_git_has_to_the_letter(tmp_path: Path) -> None:
    links = {"a": "./run.sh", "b": "c/../a", "c": "deep//er/", "gone": "nowhere", "round": "round"}

    whole = ship(str(tmp_path), "v-1", archive(tmp_path, links))

    assert {name: os.readlink(os.path.join(whole, name)) for name in links} == links
    assert os.stat(os.path.join(whole, "run.sh")).st_mode & 0o111 == 0o111


@pytest.mark.parametrize("target", ["/etc/passwd", "../x"])
def test_a_release_of_old_with_a_link_that_leads_out_is_refused_by_name_and_leaves_nothing(tmp_path: Path, target: str) -> None:
    with pytest.raises(StepFailed, match=f"a symbolic link that leads out of them: 'link', to '{target}'"):
        ship(str(tmp_path), "v-1", archive(tmp_path, {"link": target}))

    assert os.listdir(tmp_path / "releases") == []


def test_a_member_that_climbs_out_of_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "release.tar"
    with tarfile.open(path, "w") as out:
        about = tarfile.TarInfo("../outside")
        about.size = 1
        out.addfile(about, io.BytesIO(b"x"))
    artifact = {"path": str(path), "digest": hashlib.sha256(path.read_bytes()).hexdigest()}

    with pytest.raises(StepFailed, match="can't be unpacked"):
        ship(str(tmp_path), "v-1", artifact)
    assert not (tmp_path / "outside").exists()


def spoilt(folder: Path) -> tuple[dict[str, str], Path]:
    """A release that is there, in which everything was changed that can be."""
    links = {"deep/er/link": "../../run.sh", "again": "run.sh"}
    artifact = archive(folder, links)
    whole = Path(ship(str(folder), "v-1", artifact))
    (whole / "run.sh").write_text("rm -rf /\n")
    (whole / "again").unlink()
    (whole / "again").mkdir()
    (whole / "again" / "inner").write_text("")
    (whole / "deep" / "er" / "link").unlink()
    (whole / "deep" / "er").rmdir()
    (whole / "deep" / "er").symlink_to("/tmp")
    (whole / "added.db").write_text("kept")
    return artifact, whole


def test_a_release_that_is_there_comes_back_as_it_was_shipped_and_what_was_added_stays(tmp_path: Path) -> None:
    artifact, whole = spoilt(tmp_path)
    said: list[str] = []

    assert ship(str(tmp_path), "v-1", artifact, said.append) == str(whole)

    assert (whole / "run.sh").read_text() == "#!/bin/sh\n"
    assert os.readlink(whole / "deep" / "er" / "link") == "../../run.sh"
    assert not (whole / "deep" / "er").is_symlink()
    assert os.readlink(whole / "again") == "run.sh"
    assert (whole / "added.db").read_text() == "kept"
    assert said == ["put back as shipped, for it was changed on disk: run.sh, deep/er/link, again"]
    assert os.listdir(tmp_path / "releases") == ["v-1"]

    ship(str(tmp_path), "v-1", artifact, said.append)
    assert len(said) == 1


def test_nothing_is_put_back_from_a_damaged_archive(tmp_path: Path) -> None:
    artifact, whole = spoilt(tmp_path)

    with pytest.raises(StepFailed, match="is damaged"):
        ship(str(tmp_path), "v-1", {**artifact, "digest": "sha256:0"})
    assert (whole / "run.sh").read_text() == "rm -rf /\n"
    assert os.listdir(tmp_path / "releases") == ["v-1"]


def test_a_release_whose_archive_is_gone_is_taken_as_it_lies(tmp_path: Path) -> None:
    artifact, whole = spoilt(tmp_path)
    os.unlink(artifact["path"])
    said: list[str] = []

    assert ship(str(tmp_path), "v-1", artifact, said.append) == str(whole)
    assert said == ["its archive is gone, so its files were not compared"]
