"""A repository without any pipeline: what is proposed is planned as if somebody had written it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_prepare import Make, commit, folder, made, refused  # noqa: F401  fixtures

from sparki_daemon.prepare import prepare
from sparki_daemon.proposal.write import FILE

NODE = {"package.json": json.dumps({"scripts": {"test": "node --test"}}), "package-lock.json": "{}"}


def commands(prepared: Any) -> list[str]:
    (one,) = prepared.planned
    return [step.run.text if step.run else step.uses for job in one.plan.jobs for step in job.steps]


def test_without_a_pipeline_one_is_proposed_said_and_planned(made: Make) -> None:  # noqa: F811
    prepared = made(files=NODE)

    assert commands(prepared) == ["actions/checkout@v7", "npm ci", "npm test"]
    assert (prepared.planned[0].plan.file, prepared.planned[0].plan.name) == (FILE, "CI")
    assert [note.message for note in prepared.notes if note.code == "proposed"][1:] == [
        "Node.js, by package.json",
        "  test: npm ci  (package-lock.json)",
        "  test: npm test  (package.json: scripts.test: node --test)",
    ]


def test_what_is_not_committed_counts_too_and_with_a_revision_only_what_was(made: Make, folder: Path) -> None:  # noqa: F811
    made(files=NODE)
    (folder / "package.json").write_text(json.dumps({"scripts": {"test": "x", "build": "y"}}))

    assert "npm run build" in commands(made())
    assert "npm run build" not in commands(made(ref="HEAD"))


@pytest.mark.parametrize("word", ["ci", "CI", FILE])
def test_the_proposal_answers_to_its_names_and_to_every_event(made: Make, word: str) -> None:  # noqa: F811
    made(files=NODE)

    assert commands(made(pipelines=[word])) == commands(made(event="pull_request")) == commands(made())


def test_where_there_is_a_pipeline_nothing_is_proposed(made: Make) -> None:  # noqa: F811
    prepared = made({"other": "on: push\n"}, NODE)

    assert prepared.proposal is None
    assert not any(note.code == "proposed" for note in prepared.notes)


def test_a_file_from_elsewhere_needs_no_proposal(made: Make, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    commit(folder, {"README.md": ""})
    (tmp_path / "mine.yml").write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n")
    prepared = prepare(str(folder), pipelines=["../mine.yml"], jobs=[], ref=None, objects=str(tmp_path / "o"))

    assert prepared.proposal is None


def test_what_nobody_knows_is_refused_with_the_reason(made: Make) -> None:  # noqa: F811
    assert refused(made, files={"README.md": "Shop\n"}) == ["no_pipeline"]
    assert refused(made, pipelines=["ci"]) == ["no_pipeline"]


def test_programs_that_are_not_here_are_told_as_for_any_pipeline(made: Make, tmp_path: Path) -> None:  # noqa: F811
    prepared = made(files={"go.mod": "module shop\n"}, client_env={"PATH": str(tmp_path / "nothing")})

    assert next((one.code, one.at.line if one.at else 0) for one in prepared.planned[0].differences) == ("SPK004", 6)


def test_uv_is_proposed_where_the_client_has_it(made: Make, tmp_path: Path) -> None:  # noqa: F811
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "uv").write_text("#!/bin/sh\n")
    (bin_folder / "uv").chmod(0o755)
    made(files={"pyproject.toml": "[project]\nname='a'\n[dependency-groups]\ntest=['pytest']\n", "uv.lock": ""})

    assert "uv sync --locked --group test" in commands(made(client_env={"PATH": str(bin_folder)}))
    assert "uv sync --locked --group test" not in commands(made(client_env={"PATH": "/nowhere"}))
