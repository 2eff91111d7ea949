"""`sparki validate` of a `sparki.yml`: by name alone, and beside the pipelines where none is named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from cli_stories import Program

WRONG = """\
environments:
  staging:
    adapter: process
    command: serve
    listen: 127.0.0.1:8080
    helth: {http: /}
    strategy: canary
  other:
    adapter: proces
  production:
    adapter: fly
    app: shop
"""


def repository(sparki: Program, settings: str) -> None:
    folder = Path(sparki.cwd)
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "workflows" / "ci.yml").write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n")
    (folder / "sparki.yml").write_text(settings)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)


def places(verdict: dict[str, Any], kind: str = "errors") -> list[tuple[str, int, int]]:
    return [(one["code"], one["line"], one["column"]) for one in verdict[kind]]


def test_settings_are_checked_alone_when_named_and_beside_the_pipelines_when_nothing_is(sparki: Program) -> None:
    repository(sparki, WRONG)
    alone, beside = sparki("validate", "sparki.yml", "--json"), sparki("validate", "--json")

    (one,) = json.loads(alone.stdout)["files"]
    wanted = [("unknown_key", 6, 5), ("strategy_unsupported", 7, 15), ("unknown_adapter", 9, 14)]
    assert (alone.returncode, one["file"], places(one)) == (2, "sparki.yml", wanted)
    assert places(one, "warnings") == [("unknown_adapter", 11, 14)]  # no misspelt name: this machine hasn't it
    assert [file["file"] for file in json.loads(beside.stdout)["files"]] == [".github/workflows/ci.yml", "sparki.yml"]
    assert (beside.returncode, json.loads(beside.stdout)["files"][1]) == (2, one)


def test_errors_of_the_file_and_of_adapters_are_told_at_once_but_for_an_environment_whose_values_are_wrong(sparki: Program) -> None:
    repository(sparki, "silnce: []\n" + WRONG + "  last:\n    adapter: process\n    watch: soon\n    strategy: canary\n")

    (one,) = json.loads(sparki("validate", "sparki.yml", "--json").stdout)["files"]
    wanted = [
        ("unknown_key", 1, 1),
        ("unknown_key", 7, 5),
        ("strategy_unsupported", 8, 15),
        ("unknown_adapter", 10, 14),
        ("bad_amount", 16, 12),
    ]
    assert places(one) == wanted


def test_text_and_github_have_the_place_of_each_error(sparki: Program) -> None:
    repository(sparki, WRONG.replace("strategy: canary", "watch: soon"))
    text, github = sparki("validate", "./sparki.yml"), sparki("validate", "--format", "github")

    assert "--> ./sparki.yml:7:12" in text.stdout
    assert "::error file=sparki.yml,line=7,col=12,title=bad_amount::'watch' must be a time" in github.stdout


def test_good_settings_are_one_file_without_an_error_and_a_workflow_of_that_name_is_a_workflow(sparki: Program) -> None:
    repository(sparki, "project: shop\nenvironments: {s: {adapter: process, command: x, listen: 8080}}\n")
    assert "2 files without an error" in sparki("validate").stderr

    workflow = Path(sparki.cwd, ".github", "workflows", "sparki.yml")
    workflow.write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n")
    assert sparki("validate", ".github/workflows/sparki.yml").returncode == 0


def test_a_push_rule_that_runs_what_is_not_there_is_told_at_its_place(sparki: Program) -> None:
    repository(sparki, "branches:\n  main: {run: [ci, cii]}\n")
    done = sparki("validate", "--json")

    wrong = json.loads(done.stdout)["files"][1]
    assert (done.returncode, places(wrong)) == (2, [("no_such_pipeline", 2, 15)])
    assert wrong["errors"][0]["hint"] == "did you mean 'ci'?"
