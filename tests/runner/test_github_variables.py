"""The variables and contexts that GitHub gives to steps, as its documentation lists them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from driver import Driver, step

GITHUB = {
    "repository": "o/r",
    "repository_owner": "o",
    "repository_id": "1",
    "repository_owner_id": "2",
    "repository_visibility": "private",
    "sha": "1" * 40,
    "ref": "refs/heads/main",
    "ref_name": "main",
    "ref_type": "branch",
    "ref_protected": False,
    "head_ref": "",
    "base_ref": "",
    "actor": "me",
    "actor_id": "3",
    "triggering_actor": "me",
    "workflow": "ci",
    "workflow_ref": "o/r/.github/workflows/ci.yml@refs/heads/main",
    "workflow_sha": "1" * 40,
    "run_id": "5",
    "run_number": "7",
    "run_attempt": "2",
    "retention_days": "90",
    "event_name": "push",
    "server_url": "https://github.com",
    "api_url": "https://api.github.com",
    "graphql_url": "https://api.github.com/graphql",
    "secret_source": "Actions",
}
# What the variable of each is; {work} and {temp} are the job's folders.
VARIABLES = {
    "CI": "true",
    "GITHUB_ACTION": "__run_2",
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTION_REF": "",
    "GITHUB_ACTION_REPOSITORY": "",
    "GITHUB_ACTOR": "me",
    "GITHUB_ACTOR_ID": "3",
    "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_BASE_REF": "",
    "GITHUB_ENV": "{temp}/env",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_EVENT_PATH": "{run}/event.json",
    "GITHUB_GRAPHQL_URL": "https://api.github.com/graphql",
    "GITHUB_HEAD_REF": "",
    "GITHUB_JOB": "test",
    "GITHUB_OUTPUT": "{temp}/output",
    "GITHUB_PATH": "{temp}/path",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REF_NAME": "main",
    "GITHUB_REF_PROTECTED": "false",
    "GITHUB_REF_TYPE": "branch",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_REPOSITORY_ID": "1",
    "GITHUB_REPOSITORY_OWNER": "o",
    "GITHUB_REPOSITORY_OWNER_ID": "2",
    "GITHUB_RETENTION_DAYS": "90",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "5",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": "1" * 40,
    "GITHUB_STATE": "{temp}/state",
    "GITHUB_STEP_SUMMARY": "{temp}/step_summary",
    "GITHUB_TRIGGERING_ACTOR": "me",
    "GITHUB_WORKFLOW": "ci",
    "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/ci.yml@refs/heads/main",
    "GITHUB_WORKFLOW_SHA": "1" * 40,
    "GITHUB_WORKSPACE": "{work}/workspace",
    "RUNNER_ARCH": {"x86_64": "X64", "aarch64": "ARM64"}.get(os.uname().machine, os.uname().machine.upper()),
    "RUNNER_ENVIRONMENT": "self-hosted",
    "RUNNER_NAME": "r1",
    "RUNNER_OS": "Linux",
    "RUNNER_TEMP": "{temp}",
    "RUNNER_TOOL_CACHE": "{work}/tools",
    "RUNNER_WORKSPACE": "{work}",
}


def places(runner: Driver) -> dict[str, str]:
    uid = "j-r1-1"
    run = runner.home / "work" / "r-r1-1"
    return {"work": str(run / uid), "temp": str(runner.home / "temp" / uid), "run": str(run)}


def test_a_step_has_every_variable_of_githubs_and_no_other(runner: Driver) -> None:
    done = runner.do("true", "env", run_github=GITHUB)
    pairs = dict(line.split("=", 1) for line in done.text(1).splitlines()[1:])
    where = places(runner)

    assert {name: pairs[name] for name in pairs if name == "CI" or name.startswith(("GITHUB_", "RUNNER_"))} == {
        name: value.format_map(where) for name, value in VARIABLES.items()
    }


def test_no_layer_below_changes_a_variable_of_githubs(runner: Driver) -> None:
    theirs = {"GITHUB_SHA": "mine", "RUNNER_OS": "mine", "GITHUB_WORKSPACE": "/mine", "CI": "mine"}
    done = runner.do(
        "echo GITHUB_REF=mine >> $GITHUB_ENV",
        step("echo $GITHUB_SHA $RUNNER_OS $GITHUB_REF $CI; cd $GITHUB_WORKSPACE", env=theirs),
        env=theirs,
        run_github=GITHUB,
    )

    assert done.text(1).splitlines()[1:] == [f"{'1' * 40} Linux refs/heads/main mine"]
    assert done.end["result"] == "success"


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        (("host",), "host"),
        (("host", "root"), "root"),
        (("host", "root", "job"), "job"),
        (("host", "root", "job", "file"), "file"),
        (("host", "root", "job", "file", "step"), "step"),
        (("host", "file"), "file"),
        (("root", "step"), "step"),
    ],
)
def test_a_nearer_layer_of_variables_rules(runner: Driver, layers: tuple[str, ...], seen: str) -> None:
    def of(layer: str) -> dict[str, str]:
        return {"LANG": layer} if layer in layers else {}

    done = runner.do(
        "echo LANG=file >> $GITHUB_ENV" if "file" in layers else "true",
        step("echo $LANG", env=of("step")),
        run_env={"PATH": os.environ["PATH"], **of("host")},
        run_root_env=of("root"),
        env=of("job"),
    )

    assert done.text(1).splitlines()[-1] == seen


def test_the_contexts_of_a_step_hold_what_github_says(runner: Driver, tmp_path: Path) -> None:
    names = ("github", "env", "job", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs", "vars")
    shown = "\n".join(f"cat > {tmp_path}/{name} <<'_END_'\n${{{{ toJSON({name}) }}}}\n_END_" for name in names)
    runner.do(
        step("echo out=1 >> $GITHUB_OUTPUT", id="one"),
        step(shown, id="two", env={"OWN": "x"}),
        run_github=GITHUB,
        run_event={"ref": "refs/heads/main"},
        run_inputs={"flag": True},
        run_vars={"V": "v"},
        env={"JOB": "j"},
        needs={"build": {"result": "success", "outputs": {"a": "b"}}},
        matrix={"n": 1},
        strategy={"fail-fast": True, "job-index": 0, "job-total": 2, "max-parallel": 2},
    )
    found = {name: json.loads((tmp_path / name).read_text()) for name in names}
    where = places(runner)
    github = found.pop("github")

    assert github.items() >= {**GITHUB, "event": {"ref": "refs/heads/main"}, "token": "", "job": "test", "action": "two"}.items()
    assert {name: github[name] for name in ("workspace", "event_path", "env", "path")} == {
        "workspace": f"{where['work']}/workspace",
        "event_path": f"{where['run']}/event.json",
        "env": f"{where['temp']}/env",
        "path": f"{where['temp']}/path",
    }
    assert found.pop("runner") == {
        name.removeprefix("RUNNER_").lower(): value.format_map(where) for name, value in VARIABLES.items() if name.startswith("RUNNER_")
    }
    assert found == {
        "env": {"JOB": "j", "OWN": "x"},
        "job": {"status": "success"},
        "steps": {"one": {"outputs": {"out": "1"}, "outcome": "success", "conclusion": "success"}},
        "secrets": {},
        "strategy": {"fail-fast": True, "job-index": 0, "job-total": 2, "max-parallel": 2},
        "matrix": {"n": 1},
        "needs": {"build": {"result": "success", "outputs": {"a": "b"}}},
        "inputs": {"flag": True},
        "vars": {"V": "v"},
    }


def test_an_action_is_named_to_what_it_runs(runner: Driver) -> None:
    done = runner.do(
        step(
            uses="actions/upload-artifact@v4",
            inputs={"path": "none", "name": "x"},
            name="${{ github.action_repository }}@${{ github.action_ref }}",
        ),
        step("echo [${{ github.action_repository }}] $GITHUB_ACTION"),
    )

    assert done.steps[0]["name"] == "actions/upload-artifact@v4"
    assert done.text(1).splitlines()[1:] == ["[] __run"]


def test_a_run_that_is_asked_to_shows_what_steps_say_for_that(runner: Driver) -> None:
    script = "echo ::debug::deep; echo $RUNNER_DEBUG ${{ runner.debug }}"

    assert runner.do(script, run_vars={"ACTIONS_STEP_DEBUG": "true"}).text(0).splitlines()[1:] == ["Debug: deep", "1 1"]
    assert runner.do(script).text(0).splitlines()[1:] == [""]


def test_an_empty_output_of_a_job_is_none_and_one_with_a_secret_is_dropped(runner: Driver) -> None:
    done = runner.do(
        step("echo ::add-mask::s3cret; echo a=s3cret >> $GITHUB_OUTPUT; echo c=fine >> $GITHUB_OUTPUT", id="x"),
        outputs={"a": "it is ${{ steps.x.outputs.a }}", "b": "${{ steps.x.outputs.b }}", "c": "${{ steps.x.outputs.c }}"},
    )

    assert done.end["outputs"] == {"c": "fine"}
    assert "Warning: output 'a' is dropped: it holds a secret" in done.log


def test_names_and_wholes_of_variables_are_computed(runner: Driver) -> None:
    done = runner.do(
        step("echo $A $B_X $C", env={"": "${{ fromJSON('{\"A\": 1}') }}", "B_${{ vars.X }}": "2", "C": "3"}), run_vars={"X": "X"}
    )
    assert done.text(0).splitlines()[-1] == "1 2 3"

    broken = runner.do(step("true", env={"": "${{ fromJSON('[1]') }}"}))
    assert broken.conclusions == ["failure"]
    assert "a mapping is wanted" in broken.log
