"""Shells that wait for their steps: no step may be able to tell them from shells that were started in its turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.runner import ahead

LOOK = 'for n in 1 2 3; do test -p "$RUNNER_TEMP/step-$n.sh" && echo "$n waits"; done; true'
BOTH = 'until test -p "$RUNNER_TEMP/step-3.sh"; do sleep 0.01; done; '
ME = 'echo "$PPID $0 $# $- $BASHOPTS $(pwd) $(readlink /proc/$$/fd/0) $(ps -o sid= -p $$ | tr -d " " | grep -cx $$)"'


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A runner for which every step is a short one, so that a busy machine changes nothing."""
    monkeypatch.setattr(ahead, "SHORT_S", 60.0)
    monkeypatch.setattr(ahead, "LIFE_S", 60.0)
    driver = Driver(tmp_path / "home").start()
    yield driver
    driver.stop()
    assert not (tmp_path / "home" / "stderr").read_text()


def test_shells_of_the_next_two_steps_wait_while_a_step_runs(runner: Driver) -> None:
    done = runner.do("true", BOTH + LOOK, "echo two", "echo three")

    assert done.text(1).splitlines()[1:] == ["2 waits", "3 waits"]
    assert done.text(2) == "▸ Run echo two\ntwo\n"
    assert done.text(3) == "▸ Run echo three\nthree\n"
    assert done.end["result"] == "success"


def test_the_first_step_and_those_after_a_long_one_wait_for_nothing(
    runner: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ahead, "SHORT_S", 0.0)
    strict = Driver(tmp_path / "strict").start()
    done = strict.do("true", LOOK, "true", "true")
    strict.stop()

    assert done.log == ""


def test_a_shell_that_has_waited_too_long_is_ended_and_another_does_the_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ahead, "SHORT_S", 60.0)
    monkeypatch.setattr(ahead, "LIFE_S", 0.05)
    quick = Driver(tmp_path / "home").start()
    done = quick.do("true", 'sleep 0.5; ls "$RUNNER_TEMP"', "echo two")
    quick.stop()

    assert "step-2.sh" not in done.text(1)
    assert done.text(2).endswith("two\n")


def test_the_steps_of_an_action_and_the_shells_that_wait_behind_it_have_their_own_scripts(runner: Driver) -> None:
    inner = "".join(f"    - {{shell: bash, run: 'echo inner {number} $GITHUB_ACTION'}}\n" for number in range(6))
    make = f"mkdir act; cat > act/action.yml <<'E'\nruns:\n  using: composite\n  steps:\n{inner}E\n"
    done = runner.do(make, BOTH, step(uses="./act", id="act"), "echo three $GITHUB_ACTION")

    assert done.conclusions == ["success"] * 4, done.log
    said = [line for line in done.text(2).splitlines() if line.startswith("inner")]
    assert said == [f"inner {number} act___run{f'_{number + 1}' if number else ''}" for number in range(6)]
    assert done.text(3).splitlines()[1:] == ["three __run_3"]


def test_a_step_can_read_its_own_script(runner: Driver) -> None:
    done = runner.do("true", "true", 'test -f "$0" && cat "$0"')

    assert done.text(2).endswith('test -f "$0" && cat "$0"')


def test_a_shell_that_waited_is_like_any_other(runner: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waited = runner.do("true", "true", ME).text(2)
    monkeypatch.setattr(ahead, "DEPTH", 0)
    other = Driver(tmp_path / "other").start()
    fresh = other.do("true", "true", ME).text(2)
    other.stop()

    def told(text: str) -> list[str]:
        """Without its runner, and with the last parts of paths: homes differ."""
        return [word.rpartition("/")[2] for word in text.splitlines()[1].split()[1:]]

    assert told(waited) == told(fresh)


def test_what_a_step_sets_for_later_ones_reaches_them(runner: Driver) -> None:
    done = runner.do(
        "true",
        'echo "WORD=new" >> "$GITHUB_ENV"; mkdir -p "$HOME/bin"; cp "$(type -P echo)" "$HOME/bin/tool"',
        'echo "$HOME/bin" >> "$GITHUB_PATH"; echo "$WORD"',
        "tool mine",
    )

    assert done.text(2).endswith("new\n")
    assert done.text(3).endswith("mine\n")


def test_outputs_of_the_step_before_are_in_the_script(runner: Driver) -> None:
    done = runner.do("true", step('echo "word=late" >> "$GITHUB_OUTPUT"', id="a"), "echo ${{ steps.a.outputs.word }}")

    assert done.text(2).endswith("late\n")


def test_a_workspace_that_a_step_has_made_anew_is_the_one_of_the_next(runner: Driver) -> None:
    done = runner.do("true", 'd="$PWD"; cd ..; rm -rf "$d"; mkdir "$d"; echo here > "$d/file"', "cat file")

    assert done.text(2).endswith("here\n")


def test_a_waiting_shell_that_a_step_ends_is_missed_by_nobody(runner: Driver) -> None:
    kill = 'for p in /proc/[0-9]*; do grep -qs "step-2.sh" $p/cmdline && kill -9 ${p#/proc/}; done; true'
    done = runner.do("true", kill, "echo two")

    assert done.text(2).endswith("two\n")
    assert done.end["result"] == "success"


def test_a_temp_folder_that_a_step_has_emptied_is_no_trouble(runner: Driver) -> None:
    done = runner.do("true", 'rm -f "$RUNNER_TEMP"/step-*', "echo two", "echo three")

    assert [done.text(index).splitlines()[-1] for index in (2, 3)] == ["two", "three"]


def test_after_a_failure_the_waiting_shells_are_gone_without_a_word(runner: Driver) -> None:
    done = runner.do("true", "exit 3", "echo two", step("ls $RUNNER_TEMP", if_="always()"))

    assert done.conclusions == ["success", "failure", "skipped", "success"]
    assert "Ended what" not in done.log
    assert "step-2.sh" not in done.text(3)


def test_what_a_shell_would_do_before_its_script_is_not_done_early(runner: Driver) -> None:
    done = runner.do(
        'echo "echo early" > early; echo "BASH_ENV=$PWD/early" >> "$GITHUB_ENV"', "rm early; echo 'echo late' > early", "echo two"
    )

    assert done.text(2).splitlines()[1:] == ["late", "two"]


@pytest.mark.parametrize(
    "keys",
    [
        {"shell": "python"},
        {"working_directory": "sub"},
        {"if_": "success()"},
        {"env": {"A": "${{ github.sha }}"}},
    ],
)
def test_a_step_whose_shell_depends_on_its_turn_is_not_waited_for(runner: Driver, keys: dict[str, object]) -> None:
    done = runner.do("mkdir sub", LOOK, step("print(1)" if "shell" in keys else "echo 1", **keys))

    assert done.text(1) == ""
    assert done.text(2).endswith("1\n")


def test_a_long_script_is_begun_in_its_turn(runner: Driver) -> None:
    done = runner.do("true", LOOK, f"# {'x' * ahead.MOST_BYTES}\necho two")

    assert done.text(1) == ""
    assert done.text(2).endswith("two\n")


def test_an_expression_may_make_a_script_long(runner: Driver) -> None:
    done = runner.do("true", step(f'echo "word={"y" * 900}" >> "$GITHUB_OUTPUT"', id="a"), "echo ${{ steps.a.outputs.word }}")

    assert done.text(2).endswith("y\n")


def test_a_cancel_leaves_no_waiting_shell(runner: Driver) -> None:
    job = runner.assign("true", "sleep 30", "true")
    runner.wait_for("step.started", job, step=1)
    runner.cancel(job)
    done = runner.result(job)

    assert done.end["result"] == "cancelled"
    assert "Ended what" not in done.log
    assert not _waiting(runner.home)


def test_steps_without_end_leave_no_descriptor_open(runner: Driver) -> None:
    done = runner.do(*["true"] * 60, f"ls /proc/$PPID/fd | wc -l > {runner.home}/open")
    early = runner.do("true", f"ls /proc/$PPID/fd | wc -l > {runner.home}/early")

    assert done.end["result"] == early.end["result"] == "success"
    assert abs(int((runner.home / "open").read_text()) - int((runner.home / "early").read_text())) <= 4 * ahead.DEPTH


def _waiting(home: Path) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if str(home).encode() in line and b"step-" in line:
            found.append(pid)
    return found
