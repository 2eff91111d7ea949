"""What steps do to the files and folders that the runner needs: the step is told, later steps go on, nothing outside is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from driver import Done, Driver, step

from sparki_daemon.model.wire import Frame
from sparki_daemon.runner.step_files import NotTaken, put_right, take
from sparki_daemon.runner.workspace import Folders

SHOW = step('echo a=1 >> "$GITHUB_OUTPUT"; echo B=2 >> "$GITHUB_ENV"; touch "$RUNNER_TEMP/own"; echo on', id="show", if_="always()")
USE = step("echo ${{ steps.show.outputs.a }}-$B", if_="always()")


def assert_later_steps_work(done: Done) -> None:
    assert [record["kind"] for record in done.records] == ["job.started", *["step.started", "step.finished"] * 3, "job.finished"]
    assert done.conclusions[1:] == ["success", "success"]
    assert "\n1-2\n" in done.log


@pytest.mark.parametrize(
    "script",
    [
        'rm -rf "$RUNNER_TEMP"',
        'rm -f "$GITHUB_OUTPUT" "$GITHUB_ENV"',
        'rm -rf "$RUNNER_TEMP"/*',
        'cp "$GITHUB_ENV" x; mv x "$GITHUB_ENV"',
        'chmod 000 "$RUNNER_TEMP"',
    ],
)
def test_a_file_that_is_gone_was_empty_and_is_there_again_for_the_next_step(runner: Driver, script: str) -> None:
    done = runner.do(script, SHOW, USE)

    assert_later_steps_work(done)
    assert (done.steps[0]["outcome"], done.end["result"], done.end["reason"]) == ("success", "success", "")


@pytest.mark.parametrize(
    "script",
    [
        'rm "$GITHUB_OUTPUT"; mkdir -p "$GITHUB_OUTPUT/a/b"',
        'rm "$GITHUB_OUTPUT"; mkfifo "$GITHUB_OUTPUT"',
        'ln -sf /etc/passwd "$GITHUB_OUTPUT"',
        'rm "$GITHUB_OUTPUT"; echo secret=1 > "$RUNNER_TEMP/other"; ln "$RUNNER_TEMP/other" "$GITHUB_OUTPUT"',
        'truncate -s 100G "$GITHUB_OUTPUT"',
    ],
)
def test_a_step_that_puts_something_else_in_place_of_a_file_fails_and_later_ones_go_on(runner: Driver, script: str) -> None:
    done = runner.do(
        step(script, id="first"), SHOW, step("echo '${{ toJSON(steps.first) }}'; echo ${{ steps.show.outputs.a }}-$B", if_="always()")
    )

    assert_later_steps_work(done)
    assert done.steps[0]["outcome"] == "failure"
    assert done.steps[0]["reason"].startswith("GITHUB_OUTPUT can't be read: ")
    assert '"outputs": {}' in done.log
    assert (done.end["result"], done.end["reason"]) == ("failure", "")


def test_what_a_link_leads_to_is_neither_read_nor_written(runner: Driver, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("stolen=1\n")
    done = runner.do(
        step(f'ln -sf {victim} "$GITHUB_OUTPUT"; ln -sf {victim} "$GITHUB_ENV"', id="first"),
        step('echo more=2 | tee -a "$GITHUB_OUTPUT" >> "$GITHUB_ENV"; echo "<$stolen${{ steps.first.outputs.stolen }}>"', if_="always()"),
    )

    assert "<>" in done.text(1)
    assert victim.read_text() == "stolen=1\n"


@pytest.mark.parametrize("variable", ["RUNNER_TEMP", "RUNNER_WORKSPACE", "GITHUB_WORKSPACE"])
def test_a_folder_that_a_step_made_a_link_goes_and_not_what_it_leads_to(runner: Driver, tmp_path: Path, variable: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("kept")

    done = runner.do(f'cd /; rm -rf "${variable}"; ln -s {victim} "${variable}"')
    runner.do("true")  # the first one's folders have been put away

    assert done.end["kind"] == "job.finished"
    assert (victim / "kept").read_text() == "kept"


def test_a_workspace_that_is_gone_is_told_and_later_steps_are_tried(runner: Driver) -> None:
    done = runner.do(
        'rm -rf "$GITHUB_WORKSPACE"',
        "echo never",
        step(uses="actions/checkout@v4", if_="always()"),
        step('mkdir "$GITHUB_WORKSPACE"', working_directory="/", if_="always()"),
        step("pwd", if_="always()"),
    )

    reason = "the step could not be started: the workspace is gone: a step has removed it"
    assert [one["reason"] for one in done.steps] == ["", reason, reason, "", ""]
    assert done.conclusions == ["success", "failure", "failure", "success", "success"]


def test_a_pipe_or_an_endless_file_is_no_matcher(runner: Driver) -> None:
    done = runner.do("mkfifo pipe; echo '::add-matcher::pipe'", step("echo ::add-matcher::/dev/zero", if_="always()"))

    assert done.conclusions == ["failure", "failure"]
    assert all("the problem matcher" in one["reason"] for one in done.steps)


def test_a_command_without_a_line_end_counts(runner: Driver) -> None:
    done = runner.do(step("printf '::set-output name=a::1'", id="s"), "echo '<${{ steps.s.outputs.a }}>'")

    assert "<1>" in done.text(1)


def test_after_a_mistake_of_the_runners_own_the_step_has_an_end_and_later_ones_go_on(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "home").start()
    try:
        spec = driver.spec(step("true", id="a", name="Odd"), step("echo ${{ steps.a.outcome }}", if_="always()"), "echo never")
        path = Path(spec["run_file"])
        path.write_text(path.read_text().replace(json.dumps(["true", 1, 1]), "[5, 1, 1]"))
        driver.send(Frame.ASSIGN, spec)
        done = driver.result(spec["job"])

        assert [record["kind"] for record in done.records] == ["job.started", *["step.started", "step.finished"] * 3, "job.finished"]
        assert done.conclusions == ["failure", "success", "skipped"]
        assert done.steps[0]["reason"].startswith("runner_error: ")
        assert "Error: runner_error: " in done.text(0)
        assert "\nfailure\n" in done.text(1)
        assert done.end["result"] == "failure"
        assert "Traceback" in (driver.home / "stderr").read_text()  # for operators
        assert driver.do("true").end["result"] == "success"
    finally:
        driver.stop()


def test_what_is_taken_is_gone_from_the_file_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"a=1\n")
    before = path.stat().st_ino

    assert (take(str(path)), take(str(path))) == (b"a=1\n", b"")
    assert path.stat().st_ino == before


def test_a_file_may_have_so_many_bytes_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"12345")
    assert take(str(path), 5) == b"12345"

    path.write_bytes(b"123456")
    with pytest.raises(NotTaken, match="it has 6 bytes, and may have 5"):
        take(str(path), 5)
    assert path.read_bytes() == b""


def test_a_folder_is_put_right_whatever_is_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "temp"
    (tmp_path / "elsewhere").mkdir()
    for spoil in (lambda: None, folder.touch, lambda: folder.symlink_to(tmp_path / "elsewhere"), lambda: folder.mkdir(0o500)):
        spoil()
        put_right(str(folder))
        assert folder.is_dir()
        assert not folder.is_symlink()
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.rmdir()


def test_a_link_left_by_an_older_attempt_is_no_folder_to_empty(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    work, temp = tmp_path / "work" / "r-1" / "j-1", tmp_path / "temp" / "j-1"
    for place in (work, temp):
        place.parent.mkdir(parents=True)
        place.symlink_to(victim)

    Folders("one").make(str(work), str(temp))

    assert os.listdir(victim) == ["kept"]
    assert not work.is_symlink()
    assert (temp / "output").is_file()
