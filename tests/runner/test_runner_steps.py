"""What a step does, and what the next ones see of it, with a real bash."""

from __future__ import annotations

import os

import pytest
from driver import Driver, step


def test_a_job_that_says_nothing_leaves_nothing_on_the_disk(runner: Driver) -> None:
    done = runner.do("true", "true")

    assert [record["kind"] for record in done.records] == [
        "job.started", "step.started", "step.finished", "step.started", "step.finished", "job.finished",
    ]  # fmt: skip
    assert done.end | {"result": "success", "reason": "", "outputs": {}, "log": 0} == done.end
    assert os.listdir(runner.home / "logs") == []


def test_the_log_of_a_step_begins_with_its_name_and_ends_with_why_it_failed(runner: Driver) -> None:
    done = runner.do(step("echo one; exit 3", name="Say one"), "echo never")

    assert done.log == "▸ Say one\none\nError: the step ended with exit code 3\n"
    assert done.conclusions == ["failure", "skipped"]
    assert (done.steps[0]["exit_code"], done.steps[0]["reason"]) == (3, "exit code 3")
    assert done.end["result"] == "failure"


@pytest.mark.parametrize(
    ("code", "reason"), [(128, ""), (129, " (signal 1)"), (137, " (signal 9)"), (192, " (signal 64)"), (193, ""), (255, "")]
)
def test_an_exit_code_names_a_signal_only_where_there_is_one_of_that_number(runner: Driver, code: int, reason: str) -> None:
    assert runner.do(f"exit {code}").steps[0]["reason"] == f"exit code {code}{reason}"


def test_a_silent_failure_has_its_name_in_the_log_too(runner: Driver) -> None:
    assert runner.do("exit 1").log == "▸ Run exit 1\nError: the step ended with exit code 1\n"


def test_a_step_is_named_by_the_first_line_of_what_it_runs(runner: Driver) -> None:
    done = runner.do("\n  echo ${{ github.sha }}\n  echo two\n", step("true", name="In ${{ runner.os }}"))

    assert [record["name"] for record in done.steps] == [f"Run echo {'0' * 40}", "In Linux"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("\n  two words \r\nmore\n", "two words"), ("${{ 'a' }}\nb", "a"), ("${{ '' }}", "Run true"), (" \n ", "Run true")],
)
def test_a_name_of_several_lines_is_its_first_and_one_of_nothing_is_none(runner: Driver, name: str, shown: str) -> None:
    done = runner.do(step("true", name=name), "exit 1", step("true", name=name))  # the last is skipped

    assert [record["name"] for record in done.steps] == [shown, "Run exit 1", shown]


def test_each_step_has_its_own_range_of_the_log(runner: Driver) -> None:
    done = runner.do("echo one", "echo two")

    assert done.text(0) == "▸ Run echo one\none\n"
    assert done.text(1) == "▸ Run echo two\ntwo\n"
    assert done.steps[1]["to"] == done.end["log"]


def test_outputs_and_outcomes_reach_later_steps_and_the_job(runner: Driver) -> None:
    done = runner.do(
        step('echo "word=a b" >> "$GITHUB_OUTPUT"; exit 1', id="first", continue_on_error="true"),
        step(
            "echo '${{ steps.first.outputs.word }} ${{ steps.first.outcome }} ${{ steps.first.conclusion }} ${{ job.status }}'", id="second"
        ),
        outputs={"word": "${{ steps.first.outputs.word }}", "none": "${{ steps.first.outputs.other }}"},
    )

    assert "a b failure success success\n" in done.log
    assert done.conclusions == ["success", "success"]
    assert done.steps[0]["outcome"] == "failure"
    assert done.end["outputs"] == {"word": "a b"}
    assert done.end["result"] == "success"


def test_what_a_failed_step_wrote_to_its_files_still_counts(runner: Driver) -> None:
    done = runner.do(
        step('echo A=1 >> "$GITHUB_ENV"; echo x=2 >> "$GITHUB_OUTPUT"; mkdir bin; echo "$PWD/bin" >> "$GITHUB_PATH"; exit 1', id="s"),
        step("echo $A ${{ env.A }} ${{ steps.s.outputs.x }} ${PATH%%:*}", if_="always()"),
    )

    assert f"1 1 2 {runner.home}/work/" in done.text(1)


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("success()", False),
        ("failure()", True),
        ("always()", True),
        ("cancelled()", False),
        ("true", False),
        ("${{ false }} || true", False),
    ],
)
def test_after_a_failure_the_condition_decides(runner: Driver, condition: str, runs: bool) -> None:
    done = runner.do("exit 1", step("true", if_=condition))

    assert done.conclusions[1] == ("success" if runs else "skipped")


def test_variables_rule_in_the_order_of_github(runner: Driver) -> None:
    show = "echo host=$HOST_ONLY A=$A B=$B C=$C D=$D sha=$GITHUB_SHA os=$RUNNER_OS ci=$CI"
    done = runner.do(
        "echo C=file >> $GITHUB_ENV; echo D=file >> $GITHUB_ENV",
        step(show, env={"D": "step", "GITHUB_SHA": "forged", "RUNNER_OS": "forged"}),
        run_env={"PATH": os.environ["PATH"], "HOST_ONLY": "host", "A": "host"},
        run_root_env={"A": "root", "B": "root"},
        env={"B": "job", "C": "job"},
    )

    assert f"host=host A=root B=job C=file D=step sha={'0' * 40} os=Linux ci=true" in done.text(1)


def test_ci_is_true_unless_somebody_set_it(runner: Driver) -> None:
    assert "ci=no" in runner.do("echo ci=$CI", env={"CI": "no"}).log


def test_the_env_context_has_the_steps_own_variables_for_its_script_and_not_for_its_env(runner: Driver) -> None:
    done = runner.do(step("echo ${{ env.A }} $B", env={"A": "own", "B": "[${{ env.A }}]"}), "echo ${{ env.A }}", env={"A": "job"})

    assert "own [job]" in done.text(0)
    assert "\njob\n" in done.text(1)


def test_path_has_what_was_added_last_first(runner: Driver) -> None:
    done = runner.do("echo /one >> $GITHUB_PATH; echo /two >> $GITHUB_PATH", "echo /three >> $GITHUB_PATH", "echo $PATH")

    assert "\n/three:/two:/one:" in done.text(2)


def test_no_step_reads_from_the_terminal(runner: Driver) -> None:
    assert "[]" in runner.do("read -t 5 line || true; echo [$line]").log


def test_bash_fails_a_pipe_only_when_it_was_asked_for_by_name(runner: Driver) -> None:
    done = runner.do("false | true", step("false | true", shell="bash"))

    assert done.conclusions == ["success", "failure"]


@pytest.mark.parametrize(
    ("shell", "script", "shown"),
    [
        ("sh", "echo $0", ".sh"),
        ("python", "import sys; print(sys.argv[0])", ".py"),
        ("cat {0}", "as it is", "as it is"),
        ('bash -c \'echo got "$(cat "$0")"\' {0}', "me", "got me"),
    ],
)
def test_a_shell_is_called_as_named(runner: Driver, shell: str, script: str, shown: str) -> None:
    done = runner.do(step(script, shell=shell))

    assert done.end["result"] == "success"
    assert shown in done.log


def test_a_job_without_bash_gets_sh(runner: Driver, tmp_path) -> None:
    (tmp_path / "bin").mkdir()
    os.symlink("/bin/sh", tmp_path / "bin" / "sh")

    assert "\nsh\n" in runner.do("echo ${0%/*}; echo sh", run_env={"PATH": str(tmp_path / "bin")}).log


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"shell": "fish-that-is-not-there {0}"}, "there is no 'fish-that-is-not-there' in PATH"),
        ({"shell": "nonsense"}, "shell 'nonsense' is none of bash, sh, python, pwsh"),
        ({"working_directory": "nowhere"}, "there is no folder 'nowhere' in the workspace"),
        ({"env": {"A=B": "x"}}, "the step could not be started: illegal environment variable name"),
        ({"env": {"A": "${{ fromJSON('x') }}"}}, "ci.yml:1:1: 'env.A' can't be evaluated"),
        ({"timeout_minutes": "soon"}, "'timeout-minutes' is no number: soon"),
        ({"if_": "fromJSON('x')"}, "ci.yml:1:1: 'if' can't be evaluated"),
    ],
)
def test_a_step_that_cannot_begin_fails_and_says_why(runner: Driver, keys: dict, message: str) -> None:
    done = runner.do(step("true", **keys))

    assert done.conclusions == ["failure"]
    assert message in done.log
    assert message in done.steps[0]["reason"]
    assert done.steps[0]["exit_code"] is None


def test_a_list_of_variables_that_is_too_long_fails_the_step(runner: Driver) -> None:
    done = runner.do(step("true", env={"A": "x" * 200_000}))

    assert "the step could not be started: Argument list too long" in done.log


@pytest.mark.parametrize("keys", [{"env": {"A": "${{ fromJSON('x') }}"}}, {"if_": "fromJSON('x')"}])
def test_continue_on_error_does_not_save_a_broken_env_or_if(runner: Driver, keys: dict) -> None:
    assert runner.do(step("true", continue_on_error="true", **keys)).conclusions == ["failure"]


def test_continue_on_error_saves_a_step_that_could_not_be_started(runner: Driver) -> None:
    assert runner.do(step("true", continue_on_error="${{ true }}", shell="nonsense")).conclusions == ["success"]


def test_a_variable_of_a_skipped_step_is_evaluated_all_the_same(runner: Driver) -> None:
    done = runner.do(step("true", if_="false", env={"A": "${{ fromJSON('x') }}"}))

    assert done.conclusions == ["failure"]


def test_the_defaults_of_the_job_rule_where_a_step_says_nothing(runner: Driver) -> None:
    done = runner.do(
        "mkdir sub", step("pwd", working_directory="sub"), step("pwd; false | true", shell="sh"), shell="bash", working_directory="."
    )

    assert done.text(1).endswith("/workspace/sub\n")
    assert done.conclusions == ["success"] * 3


def test_a_line_that_cannot_be_read_fails_the_step_and_keeps_those_before(runner: Driver) -> None:
    done = runner.do(
        "echo A=1 >> $GITHUB_ENV; echo nonsense >> $GITHUB_ENV; echo B=2 >> $GITHUB_ENV", step("echo [$A] [$B]", if_="always()")
    )

    assert done.conclusions == ["failure", "success"]
    assert "GITHUB_ENV: 'nonsense' is neither name=value nor name<<END" in done.text(0)
    assert "[1] []" in done.text(1)


def test_node_options_cannot_be_set_for_later_steps(runner: Driver) -> None:
    done = runner.do("echo NODE_OPTIONS=--require=./evil.js >> $GITHUB_ENV", "echo [$NODE_OPTIONS]")

    assert done.end["result"] == "success"
    assert "Error: NODE_OPTIONS can't be set" in done.text(0)
    assert "[]" in done.text(1)


def test_a_file_that_a_step_removed_is_there_again_for_the_next(runner: Driver) -> None:
    done = runner.do(
        "rm $GITHUB_OUTPUT", step("test -f $GITHUB_OUTPUT && echo a=1 >> $GITHUB_OUTPUT", id="s"), "echo [${{ steps.s.outputs.a }}]"
    )

    assert "[1]" in done.text(2)


def test_the_contexts_of_a_job(runner: Driver) -> None:
    done = runner.do(
        "echo ${{ github.event.ref }} ${{ github.job }} ${{ matrix.os }} ${{ strategy.job-index }} "
        "${{ needs.build.outputs.id }} ${{ inputs.who }}",
        step('cat $GITHUB_EVENT_PATH; test "${{ github.workspace }}" = "$GITHUB_WORKSPACE" && echo [${{ secrets.NONE }}]'),
        matrix={"os": "linux"},
        strategy={"job-index": 1},
        needs={"build": {"result": "success", "outputs": {"id": "7"}}},
        run_inputs={"who": "me"},
    )

    assert "refs/heads/main test linux 1 7 me" in done.text(0)
    assert '"ref": "refs/heads/main"' in done.text(1)
    assert "[]" in done.text(1)


def test_github_action_tells_the_steps_apart(runner: Driver) -> None:
    done = runner.do("echo $GITHUB_ACTION", step("echo $GITHUB_ACTION", id="mine"), "echo $GITHUB_ACTION")

    assert [done.text(index).splitlines()[1] for index in range(3)] == ["__run", "mine", "__run_2"]


def test_a_job_whose_variables_cannot_be_evaluated_fails_without_a_step(runner: Driver) -> None:
    done = runner.do("true", env={"A": "${{ fromJSON('x') }}"})

    assert done.steps == []
    assert done.end["result"] == "failure"
    assert "'env.A' can't be evaluated" in done.end["reason"]


def test_an_action_that_is_not_there_fails_its_step(runner: Driver) -> None:
    done = runner.do(step(uses="acme/deploy@v1"))

    assert "there is no 'acme/deploy@v1' here" in done.log
    assert done.steps[0]["name"] == "Run acme/deploy@v1"


def test_a_killed_step_says_which_signal_it_was(runner: Driver) -> None:
    done = runner.do("kill -KILL $$")

    assert (done.steps[0]["exit_code"], done.steps[0]["reason"]) == (137, "exit code 137 (signal 9)")


def test_a_program_may_write_to_a_closed_pipe_and_die_of_it(runner: Driver) -> None:
    assert "141" in runner.do("set +e; yes | head -1 > /dev/null; echo ${PIPESTATUS[0]}").log
