"""`sparki run --action OWNER/REPO=DIR`: actions of others, run from folders that stand for their repositories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
COMPOSITE = """
inputs: {who: {default: world}}
outputs: {o: {value: "${{ steps.s.outputs.o }}"}}
runs:
  using: composite
  steps:
    - {id: s, shell: bash, run: 'cat "${{ github.action_path }}/data"; echo "o=for ${{ inputs.who }}" >> "$GITHUB_OUTPUT"'}
    - uses: ./local
    - uses: octo/Tools/inner@v1
"""
INNER = "runs: {using: composite, steps: [{shell: bash, run: 'echo inner; echo dirt >> \"$GITHUB_ACTION_PATH/../data\"'}]}\n"
LOCAL = "runs: {using: composite, steps: [{shell: bash, run: echo of the workspace}]}\n"
JOB = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo first\n      - uses: actions/checkout@v4\n"


def sparki(folder: Path, *words: str, code: int = 0) -> str:
    env = {**os.environ, "SPARKI_HOME": str(folder / "home"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "sparki_cli.main", *words]
    done = subprocess.run(command, cwd=folder / "project", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project that uses `octo/tools`, and a folder that stands for it."""
    write(tmp_path, {"tools/action.yml": COMPOSITE, "tools/inner/action.yml": INNER, "tools/data": "as it was\n"})
    uses = JOB + "      - {uses: octo/tools@v1, id: t, with: {who: you}}\n      - run: echo 'got ${{ steps.t.outputs.o }}'\n"
    write(tmp_path, {"project/.github/workflows/ci.yml": uses, "project/local/action.yml": LOCAL})
    git = ["git", "-C", str(tmp_path / "project"), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *words], check=True)
    yield tmp_path
    sparki(tmp_path, "daemon", "stop")


def test_a_mapped_composite_runs_with_its_own_files_and_what_it_uses_itself(folder: Path) -> None:
    said = sparki(folder, "run", "ci", "--action", "Octo/tools=../tools")

    lines = [line for line in said.splitlines() if line in {"as it was", "of the workspace", "inner", "got for you"}]
    assert lines == ["as it was", "of the workspace", "inner", "got for you"]


def test_a_retry_has_the_folder_as_it_was_when_the_run_began(folder: Path) -> None:
    sparki(folder, "run", "ci", "--action", "octo/tools=../tools")
    shutil.rmtree(folder / "tools")
    sparki(folder, "daemon", "restart")

    said = sparki(folder, "retry", "latest")

    assert "as it was" in said
    assert "dirt" not in said.replace("echo dirt", "")  # a job writes to a copy of its own


def test_without_its_folder_the_action_is_refused_and_the_flag_is_told(folder: Path) -> None:
    said = sparki(folder, "run", "ci", code=2)

    assert "ci.yml:8:16" in said
    assert "--action" in said


def test_what_a_mapped_action_can_not_do_is_refused_with_its_place_before_a_step_runs(folder: Path) -> None:
    write(
        folder,
        {
            "tools/image/action.yml": "runs: {using: docker, image: Dockerfile}\n",
            "tools/nest/action.yml": "runs:\n  using: composite\n  steps:\n    - uses: some/other@v1\n    - uses: octo/tools/none@v1\n",
            "project/.github/workflows/bad.yml": JOB
            + "".join(f"      - uses: octo/tools/{name}@v1\n" for name in ("image", "nest", "gone")),
        },
    )

    error = json.loads(sparki(folder, "run", "bad", "--json", "--action", "octo/tools=../tools", code=2))
    said = sparki(folder, "run", "bad", "--action", "octo/tools=../tools", code=2)

    assert error["error"]["code"] in {"unsupported_action", "no_such_action"}
    places = {word.strip() for line in said.splitlines() if "-->" in line for word in line.split("-->")[1:]}
    assert places == {
        ".github/workflows/bad.yml:10:9",
        "octo/tools/image/action.yml:1:15",
        "octo/tools/nest/action.yml:4:13",
        "octo/tools/nest/action.yml:5:13",
    }
    assert sparki(folder, "runs").count("r-") == 0


@needs_node
def test_the_pre_script_of_a_mapped_action_runs_before_the_first_step_and_shares_its_state(folder: Path) -> None:
    append = "require('fs').appendFileSync(process.env.GITHUB_STATE, 'k=kept\\n');"
    write(
        folder,
        {
            "tools/js/action.yml": "inputs: {n: {default: d}}\nruns: {using: node20, pre: pre.js, main: main.js, post: post.js}\n",
            "tools/js/pre.js": f"console.log('pre', process.env.INPUT_N); {append}",
            "tools/js/main.js": "console.log('main', process.env.STATE_k); process.exit(1)",
            "tools/js/post.js": "console.log('post', process.env.STATE_k)",
            "project/.github/workflows/js.yml": JOB + "      - {uses: octo/tools/js@v1, with: {n: given}}\n",
        },
    )

    said = sparki(folder, "run", "js", "--action", "octo/tools=../tools", code=1)

    lines = [line for line in said.splitlines() if line in {"pre given", "first", "main kept", "post kept"}]
    assert lines[:4] == ["pre given", "first", "main kept", "post kept"]
    steps = json.loads(sparki(folder, "show", "latest", "--json"))["jobs"][0]["steps"]
    uses = "octo/tools/js@v1"
    assert [(one["index"], one["name"]) for one in steps] == [
        (-1, f"Pre Run {uses}"),
        (0, "Run echo first"),
        (1, "Run actions/checkout@v4"),
        (2, f"Run {uses}"),
        (3, f"Post Run {uses}"),
    ]
    assert "pre given" not in sparki(folder, "logs", "latest", "a", "--step", "1")
    assert "pre given" in sparki(folder, "logs", "latest", "a", "--step", f"Pre Run {uses}")
    by_step = [json.loads(line) for line in sparki(folder, "logs", "latest", "--json").splitlines()]
    assert [(one["step"], one["text"]) for one in by_step if one["text"] in {"pre given", "first"}] == [
        (f"Pre Run {uses}", "pre given"),
        ("Run echo first", "first"),
    ]
