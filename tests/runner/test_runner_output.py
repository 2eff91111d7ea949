"""What steps print: commands obeyed, secrets hidden, not a byte lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.model.wire import Frame


def test_a_mask_hides_its_value_from_the_log_the_records_and_the_jobs_outputs(runner: Driver) -> None:
    done = runner.do(
        step("echo ::add-mask::hunter2secret; echo it is hunter2secret; echo pw=hunter2secret >> $GITHUB_OUTPUT", id="s"),
        step("echo again ${{ steps.s.outputs.pw }}", name="Use ${{ steps.s.outputs.pw }}"),
        step("true", working_directory="${{ steps.s.outputs.pw }}"),
        outputs={"pw": "x-${{ steps.s.outputs.pw }}", "fine": "f"},
    )

    assert "it is ***\n" in done.text(0)
    assert "again ***\n" in done.text(1)
    assert done.steps[1]["name"] == "Use ***"
    assert done.end["outputs"] == {"fine": "f"}
    assert "Warning: output 'pw' is dropped: it holds a secret" in done.log
    # The step that set it could not know: its script and its own command line are the only place.
    for path in (*(runner.home / "spool").iterdir(), *(runner.home / "logs").iterdir()):
        assert b"hunter2secret" not in path.read_bytes().replace(
            b"add-mask::hunter2secret; echo it is hunter2secret; echo pw=hunter2secret", b""
        )


def test_a_mask_of_one_job_is_not_the_next_ones(runner: Driver) -> None:
    runner.do("echo ::add-mask::ordinary-word")

    assert "ordinary-word\n" in runner.do("echo ordinary-word").log


def test_annotations_and_groups_look_readable_and_the_rest_is_silent(runner: Driver) -> None:
    lines = ("::group::Build", "inside", "::endgroup::", "::error file=a.py,line=3::no%0Agood", "::debug::x", "##[warning]w")
    done = runner.do(step("\n".join(f"echo '{line}'" for line in lines), name="S"))

    assert done.log == "▸ S\n▾ Build\ninside\nError: a.py:3: no\ngood\nWarning: w\n"
    assert done.end["result"] == "success"


def test_the_old_commands_for_outputs_still_work(runner: Driver) -> None:
    done = runner.do(step("echo '::set-output name=a::1%252'", id="s"), "echo got ${{ steps.s.outputs.a }}")

    assert "got 1%2\n" in done.log
    assert "set-output" not in done.log.replace("▸ Run echo '::set-output name=a::1%252'", "")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("::set-output name =a::1", "the command 'set-output' has no 'name'"),
        ("::save-state::1", "the command 'save-state' has no 'name'"),
        ("::echo::maybe", "the command 'echo' says 'maybe', and can say on or off"),
    ],
)
def test_a_command_that_can_not_be_carried_out_fails_its_step(runner: Driver, command: str, why: str) -> None:
    done = runner.do(f"echo '{command}'")

    assert done.conclusions == ["failure"]
    assert done.steps[0]["reason"] == why
    assert f"Error: {why}\n" in done.log


def test_an_empty_mask_is_a_warning_and_hides_nothing(runner: Driver) -> None:
    done = runner.do("echo '::echo::on'; echo '::add-mask::  '; echo '::add-mask::hush'; echo hush hour")

    assert done.text(0).splitlines()[1:3] == ["Warning: 'add-mask' has no value: nothing is hidden by it", "::add-mask::***"]
    assert "*** hour" in done.log


@pytest.mark.parametrize(("command", "file"), [("set-env name=A", "ENV"), ("add-path", "PATH")])
def test_the_unsafe_commands_fail_their_step(runner: Driver, command: str, file: str) -> None:
    done = runner.do(f"echo '::{command}::/x'", step("echo [$A] $PATH", if_="always()"))

    assert done.conclusions[0] == "failure"
    assert f"write to the file $GITHUB_{file} instead" in done.text(0)
    assert "[/x]" not in done.text(1)
    assert "/x:" not in done.text(1)


def test_the_unsafe_commands_work_where_they_are_allowed(runner: Driver) -> None:
    done = runner.do(
        step("echo '::set-env name=A::/x'; echo '::add-path::/y'", env={"ACTIONS_ALLOW_UNSECURE_COMMANDS": "true"}), "echo [$A] ${PATH%%:*}"
    )

    assert "[/x] /y\n" in done.text(1)


def test_stopped_commands_are_printed(runner: Driver) -> None:
    done = runner.do("echo '::stop-commands::word'; echo '::error::as it is'; echo '::word::'; echo '::error::obeyed'")

    assert "\n::error::as it is\n" in done.log
    assert "\nError: obeyed\n" in done.log


def test_commands_on_standard_error_count_too(runner: Driver) -> None:
    assert "Warning: w\n" in runner.do("echo '::warning::w' >&2").log


def test_a_prompt_is_in_the_log_while_the_step_still_waits(runner: Driver) -> None:
    job = runner.assign("printf 'Continue? '; sleep 1; echo yes")
    deadline = time.monotonic() + 10
    while not runner.log(job).endswith("Continue? "):
        assert time.monotonic() < deadline
        time.sleep(0.005)

    assert runner.result(job).log.endswith("Continue? yes\n")


def test_a_line_of_the_runners_own_begins_on_a_line(runner: Driver) -> None:
    assert runner.do(step("printf 'no end'; exit 1", name="S")).log == "▸ S\nno end\nError: the step ended with exit code 1\n"


def test_many_megabytes_come_through_whole(runner: Driver) -> None:
    script = "head -c 20000000 /dev/zero | tr '\\0' 'x'; seq 1 400000; head -c 3000000 /dev/urandom | tee copy; sha256sum copy"
    done = runner.do(step(f"echo ::add-mask::not-in-there; {script}", name="S"))
    log = (runner.home / "logs" / f"{done.end['job']}.log").read_bytes()
    head = "▸ S\n".encode() + b"x" * 20_000_000 + b"".join(b"%d\n" % number for number in range(1, 400_001))
    noise = log[len(head) : len(head) + 3_000_000]

    assert log.startswith(head)
    assert log[len(head) + 3_000_000 :] == f"{hashlib.sha256(noise).hexdigest()}  copy\n".encode()


def test_several_writers_at_once_lose_nothing(runner: Driver) -> None:
    done = runner.do(step('for i in 1 2 3 4; do seq -f "$i-%g" 1 20000 & done; wait', name="S"))

    # They cut their lines where their buffers end, so lines may be mixed; bytes are not lost.
    assert Counter(done.log.removeprefix("▸ S\n")) == Counter(
        "".join(f"{one}-{number}\n" for one in range(1, 5) for number in range(1, 20_001))
    )


def test_sigkill_of_the_runner_loses_no_byte_that_it_had_taken(runner: Driver) -> None:
    job = runner.assign(step("for i in $(seq 1 100000); do echo line $i; done", name="S"))
    deadline = time.monotonic() + 10
    while len(runner.log(job)) < 5000:
        assert time.monotonic() < deadline
    os.kill(runner.pid, 9)
    os.waitpid(runner.pid, 0)
    runner.pid = 0
    lines = runner.log(job).split("\n")

    assert lines[1:-1] == [f"line {number}" for number in range(1, len(lines) - 1)]
    assert f"line {len(lines) - 1}".startswith(lines[-1])


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root, and a system that lets it")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_makes_the_step_wait_and_loses_nothing(runner: Driver, small_disk: Path) -> None:
    """What a pipe holds is little: the step can't end before there is room again."""
    spec = runner.spec(step("seq 1 400000 | head -c 2200000", name="S"))
    spec["log"] = str(small_disk / "log")
    runner.send(Frame.ASSIGN, spec)
    deadline = time.monotonic() + 10
    while os.statvfs(small_disk).f_bavail:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not runner.receive(0.5) or runner.records[-1]["kind"] == "step.started"

    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    done = runner.result(spec["job"])
    log = (small_disk / "log.log").read_text()

    assert done.end["result"] == "success"
    assert done.end["log"] == len(log.encode())
    assert log.startswith("▸ S\n" + "".join(f"{number}\n" for number in range(1, 1000)))
    text, _, rest = log.removeprefix("▸ S\n").partition("Warning: the disk was full")
    whole = text + rest.partition("\n")[2]
    expected = "".join(f"{number}\n" for number in range(1, 400_001))[:2_200_000]
    assert whole.replace("\n", "") == expected.replace("\n", "")  # the warning began a line of its own


@pytest.mark.parametrize("token", ["", "warning", "Pause-Logging"])
def test_a_token_that_anybody_could_guess_stops_no_commands(runner: Driver, token: str) -> None:
    done = runner.do(f"echo '::stop-commands::{token}'; echo '::add-mask::hidden'; echo hidden")

    assert done.conclusions == ["failure"]
    assert "can't be the token" in done.log
    assert "***" in done.log


def test_a_job_without_a_matrix_has_null_for_it(runner: Driver) -> None:
    assert "matrix is null" in runner.do("echo 'matrix is ${{ toJSON(matrix) }}'").log
