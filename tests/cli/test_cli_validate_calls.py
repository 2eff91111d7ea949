"""`validate` looks into workflows that are called, and prints the schema for editors."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cli_stories import Program

CALLED = "on: {workflow_call: {inputs: {level: {type: number, required: true}}}}\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"
CALLER = "on: push\njobs:\n  a: {uses: ./.github/workflows/called.yml}\n  b: {uses: owner/other/.github/workflows/a.yml@v1}\n"


@pytest.fixture
def project(sparki: Program, folder: Path) -> Program:
    """A repository with a workflow that calls another."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "called.yml").write_text(CALLED)
    (workflows / "caller.yml").write_text(CALLER)
    return sparki


def errors(project: Program, *words: str) -> dict[str, list[tuple[str, int]]]:
    files = json.loads(project("validate", "--json", *words).stdout)["files"]
    return {one["file"].rpartition("/")[2]: [(error["code"], error["line"]) for error in one["errors"]] for one in files}


def test_a_call_is_held_against_the_workflow_that_it_names(project: Program, folder: Path) -> None:
    assert errors(project) == {"called.yml": [], "caller.yml": [("missing_input", 3)]}
    assert errors(project, ".github/workflows/caller.yml") == {"caller.yml": [("missing_input", 3)]}

    (folder / ".github" / "workflows" / "caller.yml").write_text(CALLER.replace("called.yml}", "called.yml, with: {level: 3}}"))
    assert errors(project) == {"called.yml": [], "caller.yml": []}


def test_a_called_workflow_that_is_broken_is_told_once_in_its_own_place(project: Program, folder: Path) -> None:
    (folder / ".github" / "workflows" / "called.yml").write_text("on: push\n")

    assert errors(project) == {"called.yml": [("missing_key", 1)], "caller.yml": []}


def test_the_schema_is_printed_and_nothing_is_checked(sparki: Program) -> None:
    done = sparki("validate", "--schema", "no-such-file.yml")

    assert done.returncode == 0
    assert "jobs" in json.loads(done.stdout)["properties"]
