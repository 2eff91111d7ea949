"""A proposal as a file: it is a pipeline that the reader takes, whatever stands in the files that it was made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.proposal import Proposal, propose
from sparki_daemon.proposal.write import FILE, as_file, as_json, as_lines
from sparki_daemon.runner.junit import reported
from sparki_daemon.runner.mask import Masker


def proposed(files: dict[str, str]) -> Proposal:
    return propose(files, files)


def commands(text: str) -> list[str]:
    """What the reader makes of the file."""
    document = read(text.encode(), FILE)
    assert document.warnings == ()
    return [step.run.text if step.run else step.uses for job in plan(document, github={}).jobs for step in job.steps]


def test_the_file_has_each_command_with_its_reason() -> None:
    files = {"pyproject.toml": "[project]\nname = 'a'\nrequires-python = '>=3.11'\n[dependency-groups]\ntest = ['pytest']\n"}

    assert as_file(proposed(files)) == (
        "# Proposed by Sparki for Python (pyproject.toml). Change it as you like: docs/language.md has every key.\n"
        "name: CI\n"
        "jobs:\n"
        "  test:\n"
        "    steps:\n"
        "      - uses: actions/setup-python@v6  # pyproject.toml: requires-python >=3.11\n"
        "        with:\n"
        "          python-version-file: pyproject.toml\n"
        "      - python -m pip install --upgrade pip  # dependency groups need a new pip\n"
        "      - python -m pip install -e . --group test  # the project itself, with the group 'test'\n"
        "      - python -m pytest  # pyproject.toml: the group 'test' has pytest\n"
    )


def test_commands_that_yaml_would_read_otherwise_are_quoted() -> None:
    extras = "[project]\nname = 'a'\n[project.optional-dependencies]\ntest = ['pytest']\n"

    assert commands(as_file(proposed({"pyproject.toml": extras})))[1:] == ["python -m pip install -e '.[test]'", "python -m pytest"]


def test_a_folder_below_is_where_its_commands_run() -> None:
    text = as_file(proposed({"my app/package.json": json.dumps({"scripts": {"test": "jest"}}), "my app/.nvmrc": "22"}))
    (job,) = plan(read(text.encode(), FILE), github={}).jobs

    assert job.working_directory is not None
    assert job.working_directory.text == "my app"
    assert [(name, value.text) for name, value in job.steps[0].inputs] == [("node-version-file", "my app/.nvmrc")]


@pytest.mark.parametrize(
    ("files", "report"),
    [
        ({"pom.xml": ""}, "target/surefire-reports/TEST-a.xml"),
        ({"pom.xml": ""}, "part/target/failsafe-reports/TEST-a.xml"),
        ({"build.gradle": ""}, "part/build/test-results/test/TEST-a.xml"),
        ({"app/pom.xml": ""}, "app/part/target/surefire-reports/TEST-a.xml"),
    ],
)
def test_where_a_stack_leaves_its_test_reports_the_job_reads_them(files: dict[str, str], report: str, tmp_path: Path) -> None:
    (job,) = plan(read(as_file(proposed(files)).encode(), FILE), github={}).jobs
    (tmp_path / report).parent.mkdir(parents=True)
    (tmp_path / report).write_text('<testsuite name="a"><testcase classname="a" name="b"/></testsuite>')

    tests = reported(str(tmp_path), job.junit, Masker())

    assert tests is not None
    assert tests["reports"] == 1


@given(st.text(max_size=200), st.text(max_size=20).filter(lambda name: name not in {"test", "lint", "build"}))
def test_whatever_a_script_says_the_file_has_the_same_commands(script: str, name: str) -> None:
    files = {"package.json": json.dumps({"scripts": {"test": f"jest {script}", name: "x"}})}

    assert commands(as_file(proposed(files)))[-1] == "npm test"


def test_a_reason_of_many_lines_is_one_line() -> None:
    proposal = proposed({"package.json": json.dumps({"scripts": {"test": "a\n  evil: x\x1b[31m" + "b" * 500}})})

    assert len(as_file(proposal).splitlines()) == 7
    assert max(map(len, as_lines(proposal))) < 140


def test_lines_and_json_say_what_was_detected_by_which_file() -> None:
    proposal = proposed({"go.mod": "", "Makefile": "all:\n"})

    assert as_lines(proposal) == [
        "Go, by go.mod",
        "  test: go build ./...  (go.mod)",
        "  test: go vet ./...  (go.mod)",
        "Makefile is not used: Go says more about the project",
    ]
    assert as_json(proposal) == {
        "file": FILE,
        "found": [{"stack": "Go", "file": "go.mod", "folder": ""}],
        "jobs": [
            {"id": "test", "stack": "Go", "steps": [{"run": "go build ./...", "why": "go.mod"}, {"run": "go vet ./...", "why": "go.mod"}]}
        ],
        "notes": ["Makefile is not used: Go says more about the project"],
    }
