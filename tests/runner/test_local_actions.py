"""Composite and JavaScript actions of the workspace, as jobs use them."""

from __future__ import annotations

import base64
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from driver import Done, Driver, step

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.model.wire import Frame
from sparki_daemon.runner.action_file import read_action

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


def put(name: str, text: str) -> str:
    """A script that writes a file of the workspace."""
    coded = base64.b64encode(f"{text}\n".encode()).decode()  # or its expressions would be the job's
    return f"mkdir -p $(dirname {name}); echo {coded} | base64 -d > {name}"


def composite(steps: str, head: str = "") -> str:
    return f"{head}\nruns:\n  using: composite\n  steps:\n" + "\n".join(f"    {line}" for line in steps.strip("\n").splitlines())


def do(runner: Driver, files: dict[str, str], *steps: dict[str, Any] | str, **keys: Any) -> Done:
    """A job whose first step writes files."""
    return runner.do("\n".join(put(name, text) for name, text in files.items()), *steps, **keys)


def lines(done: Done, index: int) -> list[str]:
    return done.text(index).splitlines()


GREET = composite(
    """
- run: echo "hello $WHO from ${{ inputs.from }}"; echo "greeting=hi ${{ inputs.who }}" >> $GITHUB_OUTPUT
  id: say
  shell: bash
  env:
    WHO: ${{ inputs.who }}
- run: echo LEAKED=yes >> $GITHUB_ENV; echo "$GITHUB_ACTION_PATH" >> $GITHUB_PATH
  shell: sh
""",
    """
name: Greet
inputs:
  who: {description: whom, required: true}
  from: {default: "${{ github.repository }}"}
outputs:
  greeting: {description: what was said, value: "${{ steps.say.outputs.greeting }}"}
""",
)


def test_a_composite_action_runs_its_steps_within_one_step(runner: Driver) -> None:
    done = do(
        runner,
        {"act/action.yml": GREET, "act/tool": "#!/bin/sh\necho tool of the action"},
        "chmod +x act/tool",
        step(uses="./act", id="greet", inputs={"who": "you"}),
        "tool; echo $LEAKED '${{ steps.greet.outputs.greeting }}' '[${{ steps.say.outcome }}]'",
    )

    assert done.end["result"] == "success"
    assert [record["name"] for record in done.steps[2:]] == ["Run ./act", "Run tool; echo $LEAKED 'hi you' '[]'"]
    assert lines(done, 2) == [
        "▸ Run ./act",
        '▾ Run echo "hello $WHO from o/r"; echo "greeting=hi you" >> $GITHUB_OUTPUT',
        "hello you from o/r",
    ]
    assert lines(done, 3)[1:] == ["tool of the action", "yes hi you []"]


def test_required_inputs_are_not_enforced_and_unknown_ones_are_told(runner: Driver) -> None:
    old = GREET.replace("who: {description: whom, required: true}", "who: {description: whom, required: true, deprecationMessage: use you}")
    done = do(
        runner,
        {"act/action.yml": GREET, "old/action.yml": old},
        step(uses="./act", inputs={"Whom": "x", "FROM": "me"}),
        step(uses="./old", inputs={"WHO": "x"}),
    )

    assert done.end["result"] == "success"
    assert "Warning: './act' has no input 'whom'; it has who, from" in lines(done, 1)
    assert "hello  from me" in lines(done, 1)
    assert done.steps[1]["annotations"][0]["level"] == "warning"
    assert "Warning: input 'who' of './old' is deprecated: use you" in lines(done, 2)


def test_success_in_a_composite_means_its_own_steps_so_far(runner: Driver) -> None:
    text = composite("""
- run: echo first ${{ job.status }}
  shell: sh
- run: exit 3
  shell: sh
  id: broken
- run: echo not reached
  shell: sh
- run: echo cleaning after ${{ steps.broken.conclusion }}
  if: failure()
  shell: sh
- run: echo always
  if: always()
  shell: sh
""")
    done = do(
        runner, {"act/action.yml": text}, "exit 1", step(uses="./act", if_="always()"), step("echo $X", if_="failure()", env={"X": "end"})
    )

    assert done.conclusions == ["success", "failure", "failure", "success"]
    said = [line for line in lines(done, 2) if not line.startswith(("▸", "▾"))]
    assert said == ["first failure", "Error: the step ended with exit code 3", "cleaning after failure", "always"]
    assert done.steps[2]["reason"] == "Run exit 3: exit code 3"


def test_continue_on_error_counts_within_and_around_a_composite(runner: Driver) -> None:
    spared = composite("- {run: exit 1, shell: sh, continue-on-error: true}\n- {run: echo on, shell: sh}")
    broken = composite("- {run: exit 1, shell: sh}")
    done = do(
        runner,
        {"a/action.yml": spared, "b/action.yaml": broken},
        step(uses="./a"),
        step(uses="./b", continue_on_error="true"),
    )

    assert [(record["outcome"], record["conclusion"]) for record in done.steps[1:]] == [("success", "success"), ("failure", "success")]


def test_variables_of_the_step_around_reach_the_steps_within_and_inputs_do_not(runner: Driver) -> None:
    text = composite("""
- run: echo $OUTER/$JOB/$MINE/${{ env.OUTER }}/[$INPUT_X]
  shell: sh
  env: {MINE: "${{ env.OUTER }}!"}
""")
    done = do(runner, {"act/action.yml": text}, step(uses="./act", env={"OUTER": "o"}, inputs={"x": "1"}), env={"JOB": "j"})

    assert lines(done, 1)[-1] == "o/j/o!/o/[]"


def test_the_defaults_of_the_job_do_not_reach_into_a_composite(runner: Driver) -> None:
    script = put("sub/act/action.yml", composite("- {run: echo $PWD, shell: bash}"))
    done = runner.do(step(script, working_directory="."), step(uses="./sub/act"), "echo $PWD", working_directory="sub")

    assert [lines(done, index)[-1].rpartition("/")[2] for index in (1, 2)] == ["workspace", "sub"]


def test_composites_nest_ten_deep_and_no_deeper(runner: Driver) -> None:
    inner = composite("- {run: 'echo depth $GITHUB_ACTION', shell: sh, id: deep}")
    files = {"a9/action.yml": inner}
    files |= {f"a{index}/action.yml": composite(f"- uses: ./a{index + 1}\n  id: n") for index in range(9)}
    done = do(runner, files, step(uses="./a0", id="top"))

    assert done.conclusions == ["success", "success"]
    assert lines(done, 1)[-1] == f"depth top_{'n_' * 9}deep"

    deeper = do(runner, {"act/action.yml": composite("- uses: ./act")}, step(uses="./act"))
    assert deeper.conclusions[1] == "failure"
    assert "Error: './act' is used by an action more than 10 deep" in lines(deeper, 1)


def test_an_action_that_is_not_there_fails_its_step_and_says_where_it_was_looked_for(runner: Driver) -> None:
    done = do(runner, {"docker/Dockerfile": "FROM x"}, step(uses="./no/such", if_="always()"), step(uses="./docker", if_="always()"))

    assert done.conclusions == ["success", "failure", "failure"]
    assert lines(done, 1)[1] == (
        "Error: there is no action './no/such' in the workspace: neither action.yml nor action.yaml is in that folder "
        "(the folder is looked for when its step runs: has the job checked the source out?)"
    )
    assert "'./docker' is a Docker action, and there is no container engine here" in lines(done, 2)[1]


def test_every_mistake_of_an_action_file_is_told_with_its_place(runner: Driver) -> None:
    text = "runs:\n  using: composite\n  steps:\n    - run: x\n    - {uses: other/one@v1}\n    - {run: '${{ secrets.X }}', shell: sh}\n"
    done = do(runner, {"act/action.yml": text}, step(uses="./act"))

    known = "github, inputs, strategy, matrix, steps, job, runner, env"
    native = "an action of the workspace (./FOLDER) or a native one is needed"
    assert lines(done, 1)[1:] == [
        "Error: act/action.yml:4:7: a step needs the key 'shell'",
        f"Error: act/action.yml:5:14: Sparki can't run the action 'other/one@v1' ({native})",
        f"Error: act/action.yml:6:18: 'secrets' has no value in 'run' (available: {known})",
    ]
    assert done.conclusions == ["success", "failure"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "an action is a mapping"),
        ("name: x", "needs the key 'runs'"),
        ("runs: {using: node99, main: x}", "'using' can't be 'node99'"),
        ("runs: {using: docker, image: x}", "Docker action"),
        ("runs: {using: node20}", "needs the key 'main'"),
        ("runs: {using: composite}", "needs the key 'steps'"),
        ("a: [", "broken YAML"),
    ],
)
def test_a_file_that_is_no_action_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "action.yml").write_text(text)

    with pytest.raises(SparkiError, match=message) as caught:
        read_action(str(tmp_path), "./x")
    assert all(problem.at and problem.at.file == "x/action.yml" for problem in caught.value.problems)


def test_a_cancel_ends_what_runs_within_a_composite_and_lets_it_clean_up(runner: Driver) -> None:
    text = composite("""
- run: echo begun; sleep 30
  shell: bash
- run: echo not reached
  shell: sh
- run: echo cleaned
  if: always()
  shell: sh
""")
    job = runner.assign(put("act/action.yml", text), step(uses="./act"), step("echo next"))
    runner.wait_for("step.started", job, step=1)
    log = runner.home / "logs" / f"{job}.log"
    while "begun" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.01)
    runner.cancel(job)
    done = runner.result(job)

    assert done.conclusions == ["success", "cancelled", "skipped"]
    assert [line for line in lines(done, 1) if not line.startswith(("▸", "▾"))] == [
        "begun",
        "Error: the step was cancelled",
        "cleaned",
        "Error: the step was cancelled",
    ]


def test_a_time_limit_ends_a_composite(runner: Driver) -> None:
    text = composite("- {run: sleep 30, shell: bash}\n- {run: echo no, shell: sh, if: always()}")
    done = do(runner, {"act/action.yml": text}, step(uses="./act", timeout_minutes="1"))

    assert (done.steps[1]["outcome"], done.steps[1]["reason"]) == ("failure", "timed out after 1 minute")
    assert "no" not in lines(done, 1)


SCRIPT = """
const fs = require("fs");
console.log(`in ${process.cwd() === process.env.GITHUB_WORKSPACE} ${process.env["INPUT_DRY-RUN"]} ${process.env.INPUT_TWO_WORDS}`);
fs.appendFileSync(process.env.GITHUB_STATE, "pid=42\\n");
console.log("::save-state name=old::style");
fs.appendFileSync(process.env.GITHUB_OUTPUT, "answer=ok\\n");
if (process.env.INPUT_FAIL) process.exit(5);
"""
POST = 'console.log(`post ${process.env.STATE_pid} ${process.env.STATE_old} ${process.env["INPUT_DRY-RUN"]}`);'
NODE = """
inputs:
  dry-run: {default: "no"}
  two words: {}
  fail: {}
runs: {using: node16, pre: none.js, main: main.js, post: post.js}
"""
FILES = {"act/action.yml": NODE, "act/main.js": SCRIPT, "act/post.js": POST}


@needs_node
def test_a_javascript_action_gets_its_inputs_and_its_end_what_it_left(runner: Driver) -> None:
    done = do(
        runner,
        FILES,
        step(uses="./act", id="js", inputs={"two words": "a b"}),
        step(uses="./act", name="Second", inputs={"fail": "1"}),
        step("echo ${{ steps.js.outputs.answer }}", if_="always()"),
    )

    unrun = "the 'pre' script of './act' is not run: that is done for actions of other repositories only (SPK021)"
    assert lines(done, 1)[1:] == [f"Warning: {unrun}", "in true no a b"]
    assert [found["message"] for found in done.steps[1]["annotations"]] == [unrun]
    assert done.conclusions == ["success", "success", "failure", "success", "success", "success"]
    assert [(record["step"], record["name"]) for record in done.steps[4:]] == [(4, "Post Second"), (5, "Post Run ./act")]
    assert [record.get("post") for record in done.steps] == [None, None, None, None, True, True]
    assert done.text(4).splitlines()[1:] == ["post 42 style no"]
    assert lines(done, 3)[1:] == ["ok"]


@needs_node
def test_an_end_runs_when_its_condition_says_so(runner: Driver) -> None:
    files = {
        "act/main.js": "",
        "act/post.js": "console.log('never')",
        "act/action.yml": "runs: {using: node24, main: main.js, post: post.js, post-if: success()}",
        "wrap/action.yml": composite("- uses: ./act\n- {run: exit 1, shell: sh}"),
    }
    done = do(runner, files, step(uses="./wrap"))

    assert done.conclusions == ["success", "failure", "skipped"]
    assert "never" not in done.log


@needs_node
def test_the_ends_of_a_composites_actions_come_in_the_reverse_order_of_all(runner: Driver) -> None:
    files = {**FILES, "wrap/action.yml": composite("- {uses: ./act, name: one}\n- {uses: ./act, name: two}")}
    done = do(runner, files, step(uses="./act", name="zero"), step(uses="./wrap"))

    assert [record["name"] for record in done.steps[3:]] == ["Post two", "Post one", "Post zero"]


@needs_node
def test_an_action_without_its_script_fails_and_names_it(runner: Driver) -> None:
    done = do(runner, {"act/action.yml": "runs: {using: node20, main: dist/x.js}"}, step(uses="./act"))

    assert lines(done, 1)[1] == "Error: the step could not be started: act/action.yml names the script 'dist/x.js', which is not there"


@needs_node
def test_a_cancelled_job_runs_the_ends_of_its_actions(runner: Driver) -> None:
    job = runner.assign("\n".join(put(name, text) for name, text in FILES.items()), step(uses="./act"), "sleep 30")
    runner.wait_for("step.started", job, step=2)
    runner.cancel(job)
    done = runner.result(job)

    assert done.conclusions == ["success", "success", "cancelled", "success"]
    assert done.end["result"] == "cancelled"


@needs_node
def test_a_forced_end_runs_no_ends_of_actions(runner: Driver) -> None:
    job = runner.assign("\n".join(put(name, text) for name, text in FILES.items()), step(uses="./act"), "sleep 30")
    runner.wait_for("step.started", job, step=2)
    runner.send(Frame.CANCEL, {"job": job, "epoch": 1, "force": True})
    done = runner.result(job)

    assert done.conclusions == ["success", "success", "cancelled", "skipped"]


@needs_node
def test_without_a_supervisor_no_ends_of_actions_are_begun(runner: Driver) -> None:
    job = runner.assign("\n".join(put(name, text) for name, text in FILES.items()), step(uses="./act"), "sleep 0.5")
    runner.wait_for("step.started", job, step=2)
    os.close(runner.death_fd)
    runner.death_fd = -1
    done = runner.result(job)

    assert done.conclusions == ["success"] * 3
    assert done.end["result"] == "lost"


def test_an_action_knows_its_own_folder_and_the_one_around_it_again_afterwards(runner: Driver) -> None:
    check = '- {run: "test ${{ github.action_path }} = $GITHUB_ACTION_PATH && basename $GITHUB_ACTION_PATH", shell: sh}'
    files = {"outer/action.yml": composite(f"{check}\n- uses: ./inner\n{check}"), "inner/action.yml": composite(check)}
    done = do(runner, files, step(uses="./outer"), "echo [$GITHUB_ACTION_PATH][${{ github.action_path }}]")

    assert [line for line in lines(done, 1) if not line.startswith(("▸", "▾"))] == ["outer", "inner", "outer"]
    assert lines(done, 2)[1:] == ["[][]"]


def test_what_a_composite_remarks_and_summarises_is_its_steps(runner: Driver) -> None:
    text = composite("""
- {run: "echo ::error::one; echo first >> $GITHUB_STEP_SUMMARY", shell: sh}
- {run: "for n in 1 2 3 4 5 6 7 8 9 10; do echo ::error::more; done; echo second >> $GITHUB_STEP_SUMMARY", shell: sh}
""")
    done = do(runner, {"act/action.yml": text}, step(uses="./act"))

    assert [one["message"] for one in done.steps[1]["annotations"]] == ["one", *["more"] * 9]
    assert done.steps[1]["summary"] == done.end["summary"] == len("first\n\nsecond\n")
