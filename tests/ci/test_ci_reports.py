"""A report that can't be written is refused before anything runs."""

from __future__ import annotations

import json
import os

import pytest
from ci_repository import Repository

TOUCH = """
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps: [{run: 'touch "$PROBE"'}]
"""


@pytest.mark.parametrize("option", ["--junit", "--summary"])
@pytest.mark.parametrize(("path", "wrong"), [("no/such.xml", "does not exist"), (".", "is a folder"), ("new/", "is a folder")])
def test_a_report_that_can_not_be_written_is_refused_and_nothing_runs(repository: Repository, option: str, path: str, wrong: str) -> None:
    repository.workflow("ci", TOUCH)
    repository.commit()
    probe = repository.temp.parent / "probe"
    done = repository.sparki("ci", option, path, "--env", f"PROBE={probe}")
    assert done.returncode == 2
    assert f"{option}: can't write '{path}'" in done.stderr
    assert wrong in done.stderr
    assert "Traceback" not in done.stderr
    assert not probe.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_told_as_json(repository: Repository) -> None:
    repository.workflow("ci", TOUCH)
    repository.commit()
    shut = repository.temp.parent / "shut"
    shut.mkdir(mode=0o500)
    done = repository.sparki("ci", "--json", "--junit", str(shut / "j.xml"))
    assert done.returncode == 2
    error = json.loads(done.stdout or done.stderr)["error"]
    assert error["code"] == "unwritable_report"
    assert str(shut / "j.xml") in error["message"]


def test_a_report_that_can_be_written_is_and_the_run_has_run(repository: Repository) -> None:
    repository.workflow("ci", TOUCH)
    repository.commit()
    probe = repository.temp.parent / "probe"
    done = repository.sparki("ci", "--junit", "j.xml", "--summary", "s.md", "--env", f"PROBE={probe}")
    assert done.returncode == 0, done.stderr
    assert probe.exists()
    assert (repository.root / "j.xml").read_text().startswith("<?xml")
    assert (repository.root / "s.md").stat().st_size > 0
