"""A repository without any pipeline, as a new user has it: the real command, the real daemon, real programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SPARKI = str(Path(sys.executable).with_name("sparki"))
MAKEFILE = "all:\n\t@echo built > out\ntest: all\n\t@cat out; git log --oneline | wc -l; test ! -e mine.o\n"


class Project:
    """A repository of two commits, and a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "repo", folder / "home"
        self.folder.mkdir()
        self.env = {**os.environ, "SPARKI_HOME": str(self.home), "LANG": "C.UTF-8"}
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True)

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", ".")
        self.git("commit", "-q", "-m", "more")

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SPARKI, *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("z"))
    yield made
    if made.home.exists():
        made("daemon", "stop", "--force")


def test_what_is_proposed_is_said_and_runs_and_the_written_one_does_the_same(project: Project) -> None:
    project.commit(Makefile=MAKEFILE)
    project.commit(README="x")
    (project.folder / ".gitignore").write_text("*.o\n")
    (project.folder / "mine.o").write_text("of the user's own build")

    proposed = project("run")
    assert (proposed.returncode, "note: Make, by Makefile" in proposed.stderr) == (0, True)
    assert "built\n3\n" in proposed.stdout  # the whole history, and the uncommitted change as one more commit
    assert project("init").returncode == 0
    written = project("run")
    assert (written.returncode, "proposed" in written.stderr) == (0, False)

    runs = json.loads(project("runs", "--json").stdout)["runs"]
    assert [(run["pipeline"], run["file"], run["status"]) for run in runs] == [("CI", ".sparki/pipelines/ci.yml", "success")] * 2


def test_a_failing_test_ends_red_and_nothing_is_written_into_the_repository(project: Project) -> None:
    project.commit(Makefile="test:\n\t@echo no; false\n")

    done = project("run")
    assert done.returncode == 1
    assert sorted(os.listdir(project.folder)) == [".git", "Makefile"]


def test_python_is_tested_in_an_environment_of_its_own(project: Project) -> None:
    test = "import sys, unittest\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        assert sys.prefix != sys.base_prefix\n"
    project.commit(**{"requirements.txt": "", "test_a.py": test})

    done = project("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Run python -m unittest" in done.stdout


def test_a_pipeline_of_sparkis_stands_for_githubs_and_workspaces_are_filled_as_asked(project: Project) -> None:
    for folder, text in (
        (".github/workflows", "on: push\njobs: {theirs: {runs-on: ubuntu-latest, steps: [{run: ls}]}}\n"),
        (".sparki/pipelines", "jobs: {ours: {steps: [ls]}}\n"),
    ):
        (project.folder / folder).mkdir(parents=True)
        (project.folder / folder / "ci.yml").write_text(text)
    project.commit(README="x")

    assert "README" in project("run").stdout
    theirs = ".github/workflows/ci.yml"
    assert "README" not in project("run", theirs).stdout
    assert "README" in project("run", theirs, "--workspace", "source").stdout
    assert "README" not in project("run", "ci", "--workspace", "empty").stdout
