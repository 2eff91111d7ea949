"""`sparki init`, and `run --plan` where there is no pipeline: what is proposed is shown, written whole, and never over what is there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_stories import Program

PIPELINE = ".sparki/pipelines/ci.yml"
MAKEFILE = "all:\n\t@echo built\ntest:\n\t@echo tested\n"


@pytest.fixture
def project(sparki: Program, home: Path, folder: Path) -> Iterator[Program]:
    """A repository with a makefile and nothing of Sparki's or GitHub's."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    (folder / "Makefile").write_text(MAKEFILE)
    yield sparki
    if (home / "daemon.json").exists():  # `run` starts one, and hears from it that nothing fits
        sparki("daemon", "stop", "--force")


def test_init_writes_a_pipeline_that_runs_as_the_proposal_did(project: Program, folder: Path) -> None:
    before = json.loads(project("run", "--plan", "--json").stdout)
    done = project("init")

    assert (done.returncode, done.stdout) == (0, f"wrote {PIPELINE}\nwrote sparki.yml\n")
    assert done.stderr.splitlines() == [
        "Make, by Makefile",
        "  test: make  (Makefile: its first target is 'all')",
        "  test: make test  (Makefile: the target 'test')",
    ]
    assert project("validate", PIPELINE).returncode == 0
    after = json.loads(project("run", "--plan", "--json").stdout)
    assert after["jobs"] == before["jobs"]
    assert ("proposal" in before, "proposal" in after) == (True, False)


def test_a_plan_without_a_pipeline_shows_the_proposal_and_its_reasons(project: Program) -> None:
    done = project("run", "--plan")

    assert done.returncode == 0
    assert "note: this repository has no pipeline: this one is proposed" in done.stderr
    assert "note:   test: make test  (Makefile: the target 'test')" in done.stderr
    assert "3 Run make test" in done.stdout
    proposal = json.loads(project("run", "--plan", "--json").stdout)["proposal"]
    assert (proposal["file"], proposal["found"]) == (PIPELINE, [{"stack": "Make", "file": "Makefile", "folder": ""}])


def test_what_is_there_stays_unless_it_is_forced(project: Program, folder: Path) -> None:
    (folder / "sparki.yml").write_text("project: shop\n")
    assert project("init").stdout == f"wrote {PIPELINE}\nkept sparki.yml: it is there already, and --force writes it anew\n"
    (folder / PIPELINE).write_text("jobs: {mine: {steps: [make]}}\n")

    again = project("init", "--json")
    assert json.loads(again.stdout) == {"written": [], "kept": ["sparki.yml"], "pipelines": [PIPELINE], "proposal": None}
    assert (folder / "sparki.yml").read_text() == "project: shop\n"
    assert "mine" in (folder / PIPELINE).read_text()

    forced = json.loads(project("init", "--force", "--json").stdout)
    assert forced["written"] == [PIPELINE, "sparki.yml"]
    assert "make test" in (folder / PIPELINE).read_text()
    assert os.listdir(folder / ".sparki" / "pipelines") == ["ci.yml"]  # nothing half-written is left


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_where_github_has_pipelines_none_is_written_that_would_take_their_place(project: Program, folder: Path, force: list[str]) -> None:
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "workflows" / "ci.yml").write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: make}]}}\n")

    done = project("init", *force)
    assert (done.returncode, done.stdout) == (0, "wrote sparki.yml\n")
    assert "no pipeline is proposed: there are .github/workflows/ci.yml" in done.stderr
    assert not (folder / PIPELINE).exists()


def test_where_nothing_fits_nothing_is_written_and_the_reason_is_said(project: Program, folder: Path) -> None:
    (folder / "Makefile").unlink()
    (folder / "CMakeLists.txt").write_text("")

    for words in (["init"], ["run"], ["run", "--plan"]):
        done = project(*words)
        assert done.returncode == 2
        assert "CMakeLists.txt is CMake's, which Sparki proposes nothing for" in done.stderr
        assert "hint: put the commands into .sparki/pipelines/ci.yml" in done.stderr
    assert sorted(os.listdir(folder)) == [".git", "CMakeLists.txt"]


def test_a_folder_that_leads_out_of_the_repository_is_not_written_to(project: Program, folder: Path, tmp_path: Path) -> None:
    (folder / ".sparki").symlink_to(tmp_path)

    done = project("init", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "cannot_write")
    assert list(tmp_path.iterdir()) == []


def test_init_works_from_a_folder_below(project: Program, folder: Path) -> None:
    (folder / "src").mkdir()

    assert project("init", "-C", "src").returncode == 0
    assert (folder / PIPELINE).exists()
