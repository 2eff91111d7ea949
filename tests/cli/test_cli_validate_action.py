"""`sparki validate --action OWNER/REPO=DIR`: calls and actions of others, held against folders that stand for their repositories."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

READER = Path(__file__).parents[2] / ".." / "shared" / "conformance" / "github-actions" / "workflows" / "reader"


def validated(folder: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "sparki_cli.main", "validate", "--json", *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "SPARKI_HOME": str(folder / "home")}, capture_output=True, check=False)
    assert not done.stderr, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


CALL = "on: push\njobs:\n  a:\n    uses: Octo/tools/.github/workflows/w.yml@v1\n    with: {n: x}\n"
CALLED = "on: {workflow_call: {inputs: {n: {type: number}}}}\njobs:\n  a: {uses: ./.github/workflows/deep.yml}\n"
DEEP = "on: workflow_call\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"


def told(folder: Path, *words: str) -> list[tuple[str, int]]:
    (one,) = validated(folder, "ci.yml", *words)["files"]
    return [(error["code"], error["line"]) for error in one["errors"]]


def test_a_call_is_held_against_the_folder_that_stands_for_its_repository(tmp_path: Path) -> None:
    workflows = "tools/.github/workflows/"
    write(tmp_path, {"ci.yml": CALL, f"{workflows}w.yml": CALLED, f"{workflows}deep.yml": DEEP})

    assert told(tmp_path) == []  # nobody knows the repository
    assert told(tmp_path, "--action", "octo/tools=tools") == [("bad_input_value", 5)]
    write(tmp_path, {f"{workflows}deep.yml": "on: push\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"})
    assert told(tmp_path, "--action", "octo/tools=tools") == [("bad_input_value", 5), ("not_callable", 3)]
    (tmp_path / f"{workflows}deep.yml").unlink()
    assert told(tmp_path, "--action", "octo/tools=tools") == [("no_such_workflow", 3), ("bad_input_value", 5)]
    write(tmp_path, {f"{workflows}w.yml": "on: workflow_call\njobs: {a: {runs-on: x, stpes: []}}\n"})
    assert ("unknown_key", 2) in told(tmp_path, "--action=octo/tools=tools")


def test_inputs_of_a_mapped_action_are_known(tmp_path: Path) -> None:
    steps = "[{uses: octo/tools/sub@v1, with: {name: a, nmae: b}}, {uses: octo/tools@v1}]"
    write(tmp_path, {"ci.yml": f"on: push\njobs: {{a: {{runs-on: x, steps: {steps}}}}}\n", "t/sub/action.yaml": "inputs: {name: {}}\n"})

    (one,) = validated(tmp_path, "ci.yml", "--action", "octo/tools=t")["files"]
    assert one["errors"] == []
    assert [warning["code"] for warning in one["warnings"]] == ["unknown_action_input", "no_such_action"]


@pytest.mark.parametrize("word", ["octo=t", "octo/tools", "octo/tools=", "octo/tools/x=t", "octo/tools=absent"])
def test_a_word_that_maps_nothing_is_refused(tmp_path: Path, word: str) -> None:
    command = [sys.executable, "-m", "sparki_cli.main", "validate", "--action", word]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "--action" in done.stderr


@pytest.mark.slow  # a process for each case
@pytest.mark.skipif(not READER.is_dir(), reason="the conformance data is not at ../shared/conformance")
def test_githubs_reader_cases_get_their_verdict_and_lines_through_the_command(tmp_path: Path) -> None:
    wrong = [case.name for case in sorted(READER.glob("*.yml")) if not _agrees(tmp_path / case.stem, case)]

    assert wrong == [
        "concurrency.yml",  # its job has no steps, which GitHub's service refuses
        "errors-anchor-tag.yml",
        "errors-max-depth.yml",
        "errors-max-result-size.yml",
        "errors-reusable-workflow-job-nested-depth-exceeded.yml",  # the last three set limits of their own
    ]


def _agrees(folder: Path, case: Path) -> bool:
    """Whether the command says of a case what GitHub does. Remote workflows of the case are put into folders of their repositories."""
    documents = re.split(r"^---$\n?", case.read_text(encoding="utf-8"), flags=re.MULTILINE)
    files, words = {"ci.yml": documents[1]}, []
    for name, text in zip(documents[2:-1:2], documents[3:-1:2], strict=True):
        path = name.strip().partition("@")[0]
        repository = "/".join(path.split("/")[:2])
        own = path.removeprefix("./") if path.startswith("./") else f"remote/{path}"
        files[own] = text
        if not path.startswith("./"):
            words.append(f"--action={repository}=remote/{repository}")
    write(folder, files)
    (one,) = validated(folder, "ci.yml", *words)["files"]
    messages = [error["Message"] for error in json.loads(documents[-1]).get("errors", [])]
    wanted = {int(found[1]) if (found := re.search(r"\(Line: (\d+), Col: \d+\)", message)) else 0 for message in messages}
    got = {error["line"] for error in one["errors"]}
    return bool(got) if wanted == {0} else got == wanted
