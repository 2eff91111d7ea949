"""`eval`, `validate`, `run --plan` and `run --list`: they answer though nothing runs in the background."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_stories import Program

from sparki_cli.check import annotation
from sparki_cli.evaluate import plain
from sparki_daemon.model.problem import Position, Problem

Golden = Callable[[str, str], None]

CI = """\
name: CI
on: {push: {branches: [main]}}
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: make
  test:
    needs: build
    strategy:
      matrix: {python: ["3.11", "3.12"]}
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: tests
        run: pytest
"""
MANUAL = "name: By hand\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps: [{run: echo 1}]\n"
BROKEN = """\
on: push
jobs:
  test:
    needs: biuld
    runs-on: ubuntu-latest
    steps: [{run: echo 1}]
  build:
    runs-on: x
    steps: [{rum: x}]
"""


@pytest.fixture
def project(sparki: Program, folder: Path) -> Program:
    """A repository with two pipelines, its dates and names fixed, so that its ids are too."""
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "ci.yml").write_text(CI)
    (workflows / "manual.yaml").write_text(MANUAL)
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}
    when = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "GIT_CONFIG_GLOBAL": "/dev/null"}
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True, env={**sparki.environment(), **who, **when})
    return sparki


def test_a_plan_is_a_tree_for_people(project: Program, golden: Golden) -> None:
    done = project("run", "--plan")
    assert (done.returncode, done.stderr) == (0, "")
    golden("plan.txt", done.stdout)


def test_a_plan_as_json_has_the_shape_of_the_interface(project: Program) -> None:
    (plan,) = [json.loads(line) for line in project("run", "--plan", "--json").stdout.splitlines()]
    assert plan["pipeline"] == {"name": "CI", "file": ".github/workflows/ci.yml"}
    assert {"tree", "commit", "dirty"} <= plan["source"].keys()
    assert [job["id"] for job in plan["jobs"]] == ["build", "test-3.11", "test-3.12"]
    job = plan["jobs"][1]
    assert {"id", "name", "needs", "matrix", "cache", "deferred", "steps"} <= job.keys()
    assert (job["name"], job["needs"], job["matrix"]) == ("test (3.11)", ["build"], {"python": "3.11"})
    assert [step.get("run") or step["uses"] for step in job["steps"]] == ["actions/checkout@v4", "pytest"]


def test_several_plans_are_a_line_each(project: Program) -> None:
    plans = [json.loads(line) for line in project("run", "--plan", "--json", "ci", "manual").stdout.splitlines()]
    assert [plan["pipeline"]["name"] for plan in plans] == ["CI", "By hand"]


def test_a_plan_of_a_job_has_what_it_needs(project: Program) -> None:
    (plan,) = [json.loads(line) for line in project("run", "--plan", "--json", "--job", "test-3.12").stdout.splitlines()]
    assert [job["id"] for job in plan["jobs"]] == ["build", "test-3.12"]


def test_a_plan_tells_of_uncommitted_changes_and_leaves_none_behind(project: Program, folder: Path, home: Path) -> None:
    (folder / "new").write_text("x")
    before = subprocess.run(["git", "count-objects", "-v"], cwd=folder, check=True, capture_output=True).stdout
    plan = json.loads(project("run", "--plan", "--json").stdout)
    assert plan["source"]["dirty"] is True
    assert subprocess.run(["git", "count-objects", "-v"], cwd=folder, check=True, capture_output=True).stdout == before
    assert list(home.iterdir()) == [], "no daemon was started, nothing written"


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [(["nope"], 2, "no_such_pipeline"), (["ci", "--job", "nope"], 2, "no_such_job"), (["ci", "--ref", "nope"], 5, "no_such_revision")],
)
def test_what_can_not_be_planned_is_told(project: Program, words: list[str], exit_code: int, code: str) -> None:
    done = project("run", "--plan", "--json", *words)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (exit_code, code)


def test_pipelines_are_listed_broken_ones_too(project: Program, folder: Path, golden: Golden) -> None:
    (folder / ".github" / "workflows" / "broken.yml").write_text(BROKEN)
    done = project("run", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    golden("list.txt", done.stdout)
    entries = json.loads(project("run", "--list", "--json").stdout)["pipelines"]
    assert [(entry["pipeline"], entry["name"], entry["starts"], entry["errors"] > 0) for entry in entries] == [
        ("broken", None, False, True),
        ("ci", "CI", True, False),
        ("manual", "By hand", False, False),
    ]


def test_the_list_marks_what_a_push_would_start_its_paths_obeyed(project: Program, folder: Path) -> None:
    workflows = folder / ".github" / "workflows"
    jobs = "jobs: {a: {runs-on: ubuntu-latest, steps: [{run: a}]}}\n"
    for name, pattern in (("docs", "docs/**"), ("src", "src/**")):
        (workflows / f"{name}.yml").write_text(f"on: {{push: {{paths: ['{pattern}']}}}}\n{jobs}")
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    identity = ["-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, "commit", "-q", "-m", "second"], cwd=folder, check=True)
    for words in (["remote", "add", "origin", "https://example.org/a/b.git"], ["update-ref", "refs/remotes/origin/main", "HEAD"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "src").mkdir()
    (folder / "src" / "new").write_text("not committed yet\n")

    entries = json.loads(project("run", "--list", "--json").stdout)["pipelines"]
    plans = [json.loads(line)["pipeline"]["file"] for line in project("run", "--plan", "--json").stdout.splitlines()]

    marked = [entry["file"] for entry in entries if entry["starts"]]
    assert marked == [".github/workflows/ci.yml", ".github/workflows/src.yml"]
    assert plans == marked


def test_outside_a_repository_the_error_says_so(sparki: Program) -> None:
    done = sparki("run", "--list")
    assert done.returncode == 2
    assert "is not in the working tree of a git repository" in done.stderr


# -- validate -----------------------------------------------------------------------------------------------------------------


def test_good_files_are_said_to_be_good(project: Program) -> None:
    done = project("validate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "✓ 2 files without an error\n")
    assert json.loads(project("validate", "--json").stdout) == {
        "files": [
            {"file": ".github/workflows/ci.yml", "errors": [], "warnings": []},
            {"file": ".github/workflows/manual.yaml", "errors": [], "warnings": []},
        ]
    }


def test_every_error_is_told_with_its_place(sparki: Program, folder: Path, golden: Golden) -> None:
    (folder / "broken.yml").write_text(BROKEN)
    (folder / "no.yml").write_text("a: [")
    done = sparki("validate", "broken.yml", "no.yml")
    assert done.returncode == 2
    golden("validate.txt", done.stdout + "--\n" + done.stderr)
    golden("validate_github.txt", sparki("validate", "broken.yml", "--format", "github").stdout)
    as_json = sparki("validate", "broken.yml", "no.yml", "--json")
    assert as_json.returncode == 2
    files = json.loads(as_json.stdout)["files"]
    assert [file["file"] for file in files] == ["broken.yml", "no.yml"]
    assert all(list(error) == ["code", "message", "line", "column", "hint"] for file in files for error in file["errors"])
    assert sparki("validate", "broken.yml", "no.yml", "--format", "json").stdout == as_json.stdout


@pytest.mark.parametrize("kind", ["absent", "folder", "forbidden"])
def test_a_file_that_can_not_be_read_is_one_of_the_errors(sparki: Program, folder: Path, kind: str) -> None:
    path = folder / "x.yml"
    if kind == "folder":
        path.mkdir()
    elif kind == "forbidden":
        path.symlink_to("x.yml")  # a circle: not even root can read it
    (folder / "good.yml").write_text(MANUAL)
    done = sparki("validate", "x.yml", "good.yml", "--json")
    assert done.returncode == 2
    bad, good = json.loads(done.stdout)["files"]
    assert [error["code"] for error in bad["errors"]] == ["unreadable_file"]
    assert good["errors"] == []


def test_what_this_machine_can_not_run_is_no_error(sparki: Program, folder: Path) -> None:
    (folder / "x.yml").write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{uses: docker://alpine}, {uses: a/b@v1}]\n"
    )
    assert sparki("validate", "x.yml").returncode == 0


def test_an_annotation_survives_what_stands_in_it() -> None:
    problem = Problem(code="a,b", message="50%\nmore", at=Position("dir/a:b.yml", 3, 7), hint="h")
    assert annotation(problem, "f", "error") == "::error file=dir/a%3Ab.yml,line=3,col=7,title=a%2Cb::50%25%0Amore (h)\n"
    assert annotation(Problem(code="c", message="m"), "f.yml", "warning") == "::warning file=f.yml,title=c::m\n"


# -- eval ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "text", "answer"),
    [
        ("1 == 1.0", "true", {"kind": "Boolean", "value": True}),
        ("'a''b'", "a'b", {"kind": "String", "value": "a'b"}),
        ("0x10", "16", {"kind": "Number", "value": 16}),
        ("-0.5", "-0.5", {"kind": "Number", "value": -0.5}),
        ("null", "", {"kind": "Null", "value": None}),
        ("Infinity", "Infinity", {"kind": "Number", "value": "Infinity"}),
        ("github.ref", "refs/x", {"kind": "String", "value": "refs/x"}),
        ("fromJSON('[1, 2.5]')", "[\n  1,\n  2.5\n]", {"kind": "Array", "value": [1, 2.5]}),
        ("github", '{\n  "ref": "refs/x"\n}', {"kind": "Object", "value": {"ref": "refs/x"}}),
    ],
)
def test_an_expression_has_a_value(sparki: Program, folder: Path, expression: str, text: str, answer: dict[str, Any]) -> None:
    (folder / "c.json").write_text('{"github": {"ref": "refs/x"}}')
    assert sparki("eval", "--context", "c.json", "--", expression).stdout == text + "\n"
    assert json.loads(sparki("eval", "--json", "--context=c.json", "--", expression).stdout) == answer


@pytest.mark.parametrize(
    ("words", "code"),
    [(["'open"], "lexing"), (["1 2"], "parsing"), (["nowhere.x"], "parsing"), (["fromJSON('{')"], "evaluation"), ([], "usage"),
     (["1", "--context", "absent.json"], "unreadable_file"), (["1", "--context", "bad.json"], "invalid_json"),
         (["1", "--context", "list.json"], "invalid_contexts")],
)  # fmt: skip
def test_an_expression_without_a_value_is_an_error(sparki: Program, folder: Path, words: list[str], code: str) -> None:
    (folder / "bad.json").write_text("{")
    (folder / "list.json").write_text("[]")
    done = sparki("eval", "--json", *words)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, code)
    assert sparki("eval", *words).stderr.startswith("error: ")


def test_an_error_in_an_expression_has_its_place(sparki: Program) -> None:
    error = json.loads(sparki("eval", "--json", "1 ==\n  @").stdout)["error"]
    assert (error["line"], error["column"]) == (2, 3)


def test_a_line_in_is_a_line_out(sparki: Program) -> None:
    asked = [{"expr": "1"}, {"expr": "x.y", "contexts": {"x": {"y": "é"}}}, {"expr": "1 2"}, {"expr": "1", "contexts": 3}, 7, {"exp": "1"}]
    stdin = "\n".join(json.dumps(line) for line in asked).encode() + b"\n\nno json\n\xff\n"
    done = sparki("eval", "--jsonl", stdin=stdin)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert told[:2] == [{"kind": "Number", "value": 1}, {"kind": "String", "value": "é"}]
    assert [line["error"]["code"] for line in told[2:]] == ["parsing", "invalid_contexts", *["invalid_json"] * 4]
    assert sparki("eval", "--jsonl", stdin=b'{"expr": "1 +"}\n').returncode == 0, "an expression's error is its answer"


@pytest.mark.parametrize(
    ("value", "expected"), [(2.0**53, 2.0**53), (-0.0, 0), (3.0, 3), (float("nan"), "NaN"), ({"a": [1.0, None]}, {"a": [1, None]})]
)
def test_values_become_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_a_suspicious_name_is_a_warning_with_a_suggestion_in_every_form(sparki: Program) -> None:
    text = "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: 'echo ${{ github.evnt }}'}]\n"
    (sparki.cwd / "odd.yml").write_text(text)
    told = sparki("validate", "odd.yml")
    found = json.loads(sparki("validate", "odd.yml", "--json").stdout)["files"][0]

    assert told.returncode == 0
    assert "odd.yml:5:" in told.stderr
    assert "did you mean 'event'?" in told.stderr
    assert found["errors"] == []
    assert [(one["line"], one["hint"]) for one in found["warnings"]] == [(5, "did you mean 'event'?")]


def test_a_file_with_errors_shows_its_warnings_too(sparki: Program) -> None:
    text = "on: push\njobs:\n  a:\n    needs: none\n    runs-on: x\n    steps: [{run: 'echo ${{ github.evnt }} ${{ nope.x }}'}]\n"
    (sparki.cwd / "odd.yml").write_text(text)
    told = sparki("validate", "odd.yml")
    found = json.loads(sparki("validate", "odd.yml", "--json").stdout)["files"][0]
    github = sparki("validate", "odd.yml", "--format", "github").stdout.splitlines()

    assert told.returncode == 2
    assert "did you mean 'event'?" in told.stderr
    assert [(one["code"], one["line"]) for one in found["errors"]] == [("unknown_need", 4), ("unknown_context", 6)]
    assert [(one["code"], one["line"]) for one in found["warnings"]] == [("unknown_property", 6)]
    assert [line.split(" ")[0] for line in github] == ["::error", "::error", "::warning"]
