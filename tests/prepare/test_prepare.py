"""From a folder and a request to plans with all that their runs need."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.prepare import Prepared, prepare

Files = dict[str, str]
Make = Callable[..., Prepared]
WORKFLOWS = ".github/workflows/"
JOBS = "jobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: make}]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository of a user whose git settings are known."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n")
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    return root


def git(root: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, files: Files, message: str = "Say hello\n\nLong.") -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", message)


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> Make:
    """Commits workflows (by stem, without jobs) and other files, and prepares."""

    def make(workflows: Files | None = None, files: Files | None = None, **asked: Any) -> Prepared:
        if workflows or files:
            commit(folder, {**{f"{WORKFLOWS}{stem}.yml": text + JOBS for stem, text in (workflows or {}).items()}, **(files or {})})
        settings: dict[str, Any] = {"pipelines": [], "jobs": [], "ref": None, "objects": str(tmp_path / "objects"), **asked}
        return prepare(str(folder), **settings)

    return make


def stems(prepared: Prepared) -> list[str]:
    return [one.plan.file.removeprefix(WORKFLOWS).removesuffix(".yml") for one in prepared.planned]


def refused(make: Make, *args: Any, **asked: Any) -> list[str]:
    with pytest.raises(SparkiError) as caught:
        make(*args, **asked)
    return [problem.code for problem in caught.value.problems]


def test_what_a_push_would_start_runs_on_a_push(made: Make) -> None:
    prepared = made({"ci": "on: push\n", "pr": "on: pull_request\n"})

    assert stems(prepared) == ["ci"]
    (one,) = prepared.planned
    assert (one.github["event_name"], one.github["ref"], one.branch) == ("push", "refs/heads/main", "main")
    assert one.event["head_commit"]["message"] == "Say hello\n\nLong."
    assert one.title(variables={}) == "Say hello"


def test_a_source_of_no_branch_has_the_default_branchs_ref_and_is_checked_out_detached(made: Make, folder: Path) -> None:
    made({"ci": "on: push\n"})
    commit(folder, {"a": "1"})
    commit(folder, {"a": "2"})

    prepared = made(ref="HEAD~1")
    (one,) = prepared.planned

    assert (one.github["ref"], one.branch, prepared.source["branch"]) == ("refs/heads/main", None, None)
    (other,) = made(ref="HEAD~1", event="push", event_payload={"ref": "refs/heads/x"}).planned
    assert (other.github["ref"], other.branch) == ("refs/heads/x", "x")


def test_without_any_a_pull_request_is_made_up(made: Make) -> None:
    (one,) = made({"pr": "on: pull_request\n"}).planned

    assert (one.github["event_name"], one.github["ref"], one.branch) == ("pull_request", "refs/pull/1/merge", None)
    assert (one.github["base_ref"], one.event["pull_request"]["title"]) == ("main", "Say hello")


def test_a_named_pipeline_runs_on_its_own_event_whatever_its_filters(made: Make) -> None:
    workflows = {"hand": "on: {workflow_dispatch: {inputs: {n: {type: number, default: 2}}}}\n", "ci": "on: {push: {branches: [x]}}\n"}

    hand, ci = made(workflows, pipelines=["hand", "ci"]).planned

    assert (hand.github["event_name"], hand.inputs, hand.event["inputs"]) == ("workflow_dispatch", {"n": 2}, {"n": "2"})
    assert (ci.github["event_name"], ci.inputs) == ("push", {})


def test_an_event_starts_what_it_would_start_with_all_filters(made: Make) -> None:
    workflows = {
        "source": "on: {push: {paths: ['src/**']}}\n",
        "docs": "on: {push: {paths: ['docs/**']}}\n",
        "other": "on: {push: {branches: [other]}}\n",
        "all": "on: push\n",
    }
    made(workflows)
    prepared = made(files={"src/a.py": "a\n"}, event="push")

    assert stems(prepared) == ["all", "source"]


def test_without_a_name_the_files_that_a_push_would_bring_decide(made: Make, folder: Path) -> None:
    made({"docs": "on: {push: {paths: ['docs/**']}}\n", "source": "on: {push: {paths-ignore: ['docs/**']}}\n"})
    git(folder, "remote", "add", "origin", "https://github.com/ada/engine.git")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert stems(made()) == ["docs", "source"]  # nothing is to be pushed: nobody knows what changed

    commit(folder, {"src/a.py": "a"})
    commit(folder, {"src/b.py": "b"})
    prepared = made()
    assert stems(prepared) == ["source"]
    assert [(note.code, "'docs'" in note.message) for note in prepared.notes] == [("not_started", True)]
    (folder / "docs").mkdir()
    (folder / "docs" / "uncommitted").write_text("x")
    assert stems(made()) == ["docs", "source"]


def test_where_no_file_fits_every_pipeline_is_listed_with_its_reason(made: Make, folder: Path) -> None:
    made({"docs": "on: {push: {paths: ['docs/**']}}\n", "night": "on: schedule\n", "other": "on: {push: {branches: [other]}}\n"})
    git(folder, "remote", "add", "origin", "https://github.com/ada/engine.git")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    commit(folder, {"src/a.py": "a"})

    with pytest.raises(SparkiError) as caught:
        made()
    (problem,) = caught.value.problems
    assert problem.code == "nothing_to_run"
    assert "docs (no changed file is among its 'paths')" in problem.hint
    assert "night (it starts on schedule)" in problem.hint
    assert "other (its 'branches' leave out 'main')" in problem.hint


def test_the_files_of_a_given_push_decide(made: Make, folder: Path) -> None:
    made({"docs": "on: {push: {paths: ['docs/**']}}\n"})
    first = git(folder, "rev-parse", "HEAD")
    commit(folder, {"docs/a.md": "a"})
    commit(folder, {"src/a.py": "a"})

    assert refused(made, event="push") == ["nothing_to_run"]
    assert stems(made(event="push", event_payload={"before": first})) == ["docs"]


def test_a_given_payload_changes_branch_tag_and_activity(made: Make) -> None:
    workflows = {
        "main": "on: {push: {branches: [main]}}\n",
        "tagged": "on: {push: {tags: ['v*']}}\n",
        "labels": "on: {pull_request: {types: [labeled]}}\n",
        "issue": "on: issues\n",
    }
    made(workflows)

    assert stems(made(event="push", event_payload={"ref": "refs/tags/v1"})) == ["tagged"]
    assert stems(made(event="pull_request", event_payload={"action": "labeled"})) == ["labels"]
    (issue,) = made(event="issues", event_payload={"action": "opened", "issue": {"number": 3}}).planned
    assert issue.event["issue"] == {"number": 3}
    assert issue.event["repository"]["name"] == "project"


def test_events_that_do_not_exist_or_can_not_be_made_up_are_refused(made: Make) -> None:
    workflows = {"ci": "on: push\n"}

    assert refused(made, workflows, event="pushed") == ["no_such_event"]
    assert refused(made, event="issues") == ["event_needs_payload"]
    assert refused(made, event="release") == ["nothing_to_run"]
    assert refused(made, event="push", inputs={"a": "b"}) == ["inputs_need_dispatch"]


def test_inputs_start_what_can_be_started_by_hand(made: Make) -> None:
    workflows = {"ci": "on: push\n", "hand": "on: {workflow_dispatch: {inputs: {level: {type: choice, options: [a, b]}}}}\n"}

    (one,) = made(workflows, inputs={"level": "b"}).planned
    assert (one.plan.file, one.inputs, one.event["inputs"]) == (f"{WORKFLOWS}hand.yml", {"level": "b"}, {"level": "b"})
    assert refused(made, inputs={"level": "c"}) == ["bad_input_value"]


def test_inputs_of_a_payload_count_and_single_ones_win(made: Make) -> None:
    workflows = {"hand": "on: {workflow_dispatch: {inputs: {a: {type: boolean}, b: , c: }}}\n"}
    payload = {"inputs": {"a": True, "b": "payload", "c": "payload"}}

    (one,) = made(workflows, event="workflow_dispatch", event_payload=payload, inputs={"c": "own"}).planned

    assert one.inputs == {"a": True, "b": "payload", "c": "own"}
    assert one.event["inputs"] == {"a": "true", "b": "payload", "c": "own"}


def test_variables_reach_the_plan_and_the_runs(made: Make) -> None:
    prepared = made(
        files={f"{WORKFLOWS}a.yml": "on: push\njobs: {a: {name: '${{ vars.N }}', runs-on: x, steps: [{run: a}]}}\n"}, variables={"N": "v"}
    )

    assert prepared.planned[0].plan.jobs[0].name == "v"
    assert prepared.variables == {"N": "v"}


def test_given_variables_of_the_environment_lie_below_those_of_the_file(made: Make) -> None:
    (one,) = made({"ci": "on: push\nenv: {A: file}\n"}, env={"A": "hand", "B": "${{ x }}"}).planned

    assert [(name, template.text, template.line > 0) for name, template in one.plan.env] == [
        ("A", "hand", False),
        ("B", "${{ x }}", False),
        ("A", "file", True),
    ]


MATRIX = (
    "on: push\njobs:\n  t: {runs-on: x, strategy: {matrix: {os: [p, q], py: [3.9, '3.10']}}, steps: [{run: a}]}\n"
    "  l: {needs: t, runs-on: x, steps: [{run: a}]}\n  o: {runs-on: x, strategy: {matrix: {os: [r]}}, steps: [{run: a}]}\n"
    "  after: {needs: o, runs-on: x, steps: [{run: a}]}\n"
)


def test_a_matrix_may_be_narrowed_by_its_values(made: Make) -> None:
    made(files={f"{WORKFLOWS}a.yml": MATRIX})

    def ids(*matrix: tuple[str, str]) -> list[str]:
        return [job.id for job in made(matrix=matrix).planned[0].plan.jobs]

    assert ids(("os", "q")) == ["t-q-3.9", "t-q-3.10", "l"]
    assert ids(("OS", "p"), ("py", "3.10")) == ["t-p-3.10", "l"]
    assert ids(("py", "3.9")) == ["t-p-3.9", "t-q-3.9", "l", "o-r", "after"]
    assert ids(("os", "p"), ("os", "q"), ("py", "3.9")) == ["t-p-3.9", "t-q-3.9", "l"]


def test_a_value_that_no_leg_has_is_told(made: Make) -> None:
    made(files={f"{WORKFLOWS}a.yml": MATRIX})

    assert refused(made, matrix=[("os", "z"), ("node", "20")]) == ["no_such_leg", "no_such_leg"]
    assert refused(made, matrix=[("os", "r"), ("py", "3.9")], jobs=["t"]) == ["no_such_leg"]


def test_a_run_is_called_what_its_file_says(made: Make) -> None:
    head = "name: Hand\nrun-name: ' ${{ inputs.a }} by  ${{ github.actor }} #${{ github.run_number }} ${{ vars.V }}'\n"
    (one,) = made({"a": f"{head}on: {{workflow_dispatch: {{inputs: {{a: }}}}}}\n"}, inputs={"a": "x"}).planned

    assert one.title(variables={"V": "v"}, run_number=7) == "x by Ada #7 v"


def test_a_name_that_is_empty_or_can_not_be_computed(made: Make) -> None:
    workflows = {
        "a": "name: Hand\nrun-name: ${{ vars.NO }}\non: workflow_dispatch\n",
        "b": "run-name: ${{ fromJSON(vars.NO) }}\non: push\n",
    }
    a, b = made(workflows, pipelines=["a", "b"]).planned

    assert a.title(variables={}) == "Hand"
    with pytest.raises(SparkiError) as caught:
        b.title(variables={})
    assert [(problem.code, str(problem.at)) for problem in caught.value.problems] == [("expression_failed", f"{WORKFLOWS}b.yml:1:11")]


def test_settings_are_read_from_where_the_source_is(made: Make, folder: Path) -> None:
    made({"ci": "on: push\n"}, {"sparki.yml": "home: user\n"})
    (folder / "sparki.yml").write_text("project: changed\n")

    assert made().settings.project == "changed"
    assert made(ref="HEAD").settings.home == "user"
    (folder / "sparki.yml").write_text("prject: changed\n")
    assert refused(made) == ["unknown_key"]


def test_differences_are_told_at_the_head_of_a_run_unless_they_are_accepted(made: Make, folder: Path, tmp_path: Path) -> None:
    made(files={f"{WORKFLOWS}a.yml": "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: sudo jq}, {run: sudo make}]}}\n"})
    tools = tmp_path / "bin"
    tools.mkdir()

    prepared = made(client_env={"PATH": str(tools)})
    assert [problem.code for problem in prepared.notes] == ["SPK004", "SPK005"]
    assert [problem.code for problem in prepared.planned[0].differences] == ["SPK005", "SPK004", "SPK004"]
    for name in ("jq", "make"):
        (tools / name).write_text("")
        (tools / name).chmod(0o755)
    (folder / "sparki.yml").write_text("silence: [SPK005]\n")
    assert made(client_env={"PATH": str(tools)}).notes == ()


def program(path: Path, prints: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {prints}\n")
    path.chmod(0o755)


SETUP = """on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy: {matrix: {v: ['3.1', '3.99'], node: [1, 99]}}
    steps:
      - {uses: actions/setup-python@v6, with: {python-version: '${{ matrix.v }}'}}
      - {uses: actions/setup-python@v6, with: {python-version-file: .python-version}}
      - {uses: actions/setup-node@v6, with: {node-version: '${{ matrix.node }}'}}
      - {uses: actions/setup-node@v6, with: {node-version-file: package.json}}
      - {uses: actions/setup-node@v6}
      - {uses: ./own}
"""


def test_versions_are_looked_for_among_those_of_the_client(made: Make, tmp_path: Path) -> None:
    program(tmp_path / ".pyenv/versions/3.99.2/bin/python", "none")
    program(tmp_path / ".nvm/versions/node/v99.1.0/bin/node", "none")
    program(tmp_path / "bin/node", "v1.2.3")
    files = {f"{WORKFLOWS}a.yml": SETUP, ".python-version": "3.99.7\n", "package.json": '{"engines": {"node": ">=100"}}'}
    made(files={**files, "own/action.yaml": "runs: {using: node24, main: a.js, pre: b.js}\n"})

    told = made(client_env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}).planned[0].differences
    places = [(problem.code, str(problem.at).removeprefix(WORKFLOWS)) for problem in told]
    pythons = [problem.message for problem in told if "Python" in problem.message]

    assert places == [
        ("SPK018", "a.yml:7:64"),
        ("SPK018", "a.yml:8:69"),
        ("SPK018", "a.yml:10:65"),
        ("SPK021", "own/action.yaml:1:35"),
    ]
    assert [message.split(";")[0] for message in pythons] == [
        "there is no Python 3.1 on this machine, and none is fetched",
        "there is no Python 3.99.7 on this machine, and none is fetched",
    ]
    assert told[2].message.endswith("there is no Node.js >=100 on this machine, and none is fetched; there: 1.2.3, 99.1.0")


def test_nobody_looks_for_programs_unless_told_where(made: Make) -> None:
    assert made({"ci": "on: push\n"}).notes == ()


OWN = ".sparki/pipelines/"


def test_a_pipeline_of_sparkis_stands_for_githubs_of_the_same_stem(made: Make) -> None:
    files = {f"{OWN}ci.yml": "jobs: {own: {steps: [make]}}\n"}

    (pushed,) = made({"ci": "on: push\n"}, files).planned
    (named,) = made(pipelines=["ci"]).planned
    (other,) = made(pipelines=[f"{WORKFLOWS}ci.yml"]).planned

    assert [one.plan.file for one in (pushed, named, other)] == [f"{OWN}ci.yml", f"{OWN}ci.yml", f"{WORKFLOWS}ci.yml"]


def test_a_broken_file_that_is_replaced_stops_nobody(made: Make) -> None:
    files = {f"{WORKFLOWS}ci.yml": "on: [", f"{OWN}ci.yaml": "jobs: {own: {steps: [make]}}\n"}

    assert [one.plan.file for one in made(files=files).planned] == [f"{OWN}ci.yaml"]


def test_the_source_is_in_place_in_sparkis_pipelines_or_where_it_is_asked_for(made: Make) -> None:
    def first(**asked: Any) -> list[str]:
        return [one.plan.jobs[0].steps[0].uses.partition("@")[0] for one in made(**asked).planned]

    made({"theirs": "on: push\n"}, {f"{OWN}ours.yml": "jobs: {own: {steps: [make]}}\n"})

    assert first(pipelines=["ours", "theirs"]) == ["actions/checkout", ""]
    assert first(pipelines=["ours", "theirs"], workspace="source") == ["actions/checkout", "actions/checkout"]
    assert first(pipelines=["ours", "theirs"], workspace="empty") == ["", ""]


def test_a_file_named_from_a_folder_below_is_read_in_its_own_dialect(made: Make, folder: Path, tmp_path: Path) -> None:
    commit(folder, {f"{OWN}ci.yml": "jobs: {own: {steps: [make]}}\n", "sub/x": ""})
    prepared = prepare(str(folder / "sub"), pipelines=["../.sparki/pipelines/ci.yml"], jobs=[], ref=None, objects=str(tmp_path / "o"))

    assert [job.id for job in prepared.planned[0].plan.jobs] == ["own"]


COMPOSITE = "runs:\n  using: composite\n  steps:\n"


def uses(*actions: str) -> str:
    steps = "".join(f"      - uses: {action}\n" for action in actions)
    return f"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"


def test_what_local_actions_use_is_refused_before_a_step_runs(made: Make) -> None:
    files = {
        f"{WORKFLOWS}ci.yml": uses("./outer", "./not-there-yet", "./broken"),
        "outer/action.yml": COMPOSITE + "    - uses: ./inner\n    - uses: actions/checkout@v4\n    - uses: other/one@v1\n",
        "inner/action.yaml": COMPOSITE + "    - uses: ./outer\n    - uses: word\n    - uses: ./image\n",
        "image/action.yml": "runs:\n  using: docker\n  image: Dockerfile\n",
        "broken/action.yml": "runs: [",
    }
    with pytest.raises(SparkiError) as caught:
        made(files=files)

    told = {str(problem.at): problem.message for problem in caught.value.problems}
    assert told == {
        "outer/action.yml:6:13": "Sparki can't run the action 'other/one@v1'",
        "inner/action.yaml:5:13": "'word' names no action",
        "image/action.yml:2:10": "Sparki can't run './image', a Docker action",
    }
    assert {problem.code for problem in caught.value.problems} == {"unsupported_action"}
    assert "'./outer' uses it" in next(problem.hint for problem in caught.value.problems if problem.at and "outer" in problem.at.file)


def test_jobs_that_are_not_asked_for_are_not_looked_into(made: Make) -> None:
    text = uses("./outer") + "  b: {runs-on: x, steps: [{run: make}]}\n"
    made(files={f"{WORKFLOWS}ci.yml": text, "outer/action.yml": COMPOSITE + "    - uses: other/one@v1\n"}, jobs=["b"])
