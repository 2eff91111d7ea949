"""Cancel, time-out and force: who is asked to end, who may go on, and how the job ends. Limits are short: see driver.QUICK."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from driver import QUICK, Driver, step

from sparki_daemon.model.wire import Frame

DEAF = "trap '' INT TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Driver]:
    """A runner whose ladder and minutes never come to their end in a test."""
    driver = Driver(tmp_path / "patient", replace(QUICK, interrupt_s=60, terminate_s=60, cleanup_s=60, minute_s=60)).start()
    yield driver
    driver.stop()


def cancel(runner: Driver, job: str, *, force: bool = False, epoch: int = 1) -> None:
    runner.send(Frame.CANCEL, {"job": job, "epoch": epoch, "force": force})


def wait_for_text(runner: Driver, job: str, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in runner.log(job):
        assert time.monotonic() < deadline, runner.log(job)
        time.sleep(0.005)


def test_a_cancelled_step_hears_sigint_first(patient: Driver) -> None:
    job = patient.assign("trap 'echo stopped; exit 9' INT; echo ready; while :; do sleep 0.05; done", "echo never")
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job)
    done = patient.result(job)

    assert "stopped\n" in done.log
    assert done.conclusions == ["cancelled", "skipped"]
    assert done.end | {"result": "cancelled", "reason": ""} == done.end


def test_only_the_entry_process_hears_sigint(patient: Driver) -> None:
    """bash waits for what it runs in the foreground, which must not have been told."""
    job = patient.assign(
        "trap 'echo bash heard' INT; bash -c \"trap 'echo child heard' INT; echo ready; sleep 0.3; echo child ends\"; exit 0"
    )
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job)

    assert patient.result(job).log.splitlines()[1:4] == ["ready", "child ends", "bash heard"]


def test_who_is_deaf_to_sigint_hears_sigterm(runner: Driver) -> None:
    job = runner.assign("trap '' INT; trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)
    done = runner.result(job)

    assert "ended\n" in done.log
    assert done.conclusions == ["cancelled"]  # whatever its exit code says


def test_who_is_deaf_to_all_is_killed_with_its_tree(runner: Driver) -> None:
    job = runner.assign(f"bash -c \"trap '' INT TERM; sleep 3213\" & {DEAF}")
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)
    done = runner.result(job)

    assert done.steps[0]["exit_code"] == 137
    assert not running("sleep 3213")


def running(command: str) -> bool:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip().decode()
        except OSError:
            continue
        if line == command:
            return True
    return False


def test_the_foreground_of_a_stopped_step_does_not_outlive_it(runner: Driver) -> None:
    job = runner.assign("echo ready; sleep 3214", step("pgrep -f '^sleep 3214' || echo gone", if_="always()"))
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)

    assert "gone\n" in runner.result(job).log


def test_after_a_cancel_always_and_cancelled_steps_run(runner: Driver) -> None:
    job = runner.assign(
        "echo ready; exec sleep 60",
        step("echo always ${{ job.status }}", if_="always()"),
        step("true", if_="failure()"),
        step("echo cancelled", if_="${{ cancelled() }}"),
        "true",
    )
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)
    done = runner.result(job)

    assert done.conclusions == ["cancelled", "success", "skipped", "success", "skipped"]
    assert "always cancelled\n" in done.log
    assert done.end["result"] == "cancelled"


def test_a_running_step_whose_condition_still_holds_goes_on(patient: Driver) -> None:
    job = patient.assign(step("echo ready; sleep 0.3; echo to the end", if_="always()"))
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job)
    done = patient.result(job)

    assert "to the end" in done.log
    assert done.conclusions == ["success"]
    assert done.end["result"] == "cancelled"


def test_what_goes_on_after_a_cancel_is_ended_in_the_end(runner: Driver) -> None:
    job = runner.assign(step(DEAF, if_="always()"), step("true", if_="always()"))
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)
    done = runner.result(job)

    assert done.conclusions == ["cancelled", "skipped"]
    assert done.end["result"] == "cancelled"


def test_force_ends_all_at_once(patient: Driver) -> None:
    job = patient.assign(DEAF, step("echo never", if_="always()"))
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job, force=True)
    done = patient.result(job)

    assert done.conclusions == ["cancelled", "skipped"]
    assert done.end["result"] == "cancelled"


def test_force_after_a_cancel_is_heard(patient: Driver) -> None:
    job = patient.assign(DEAF)
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job)
    cancel(patient, job, force=True)

    assert patient.result(job).conclusions == ["cancelled"]


def test_a_cancel_of_another_epoch_is_not_for_this_attempt(patient: Driver) -> None:
    job = patient.assign("echo ready; sleep 0.3", epoch=7)
    wait_for_text(patient, job, "ready\n")
    cancel(patient, job, force=True, epoch=6)

    assert patient.result(job).end["result"] == "success"


def test_a_job_that_waits_behind_another_is_cancelled_without_a_step(patient: Driver) -> None:
    first = patient.assign("echo ready; sleep 0.3")
    second = patient.assign("echo never")
    cancel(patient, second)
    done = patient.result(second)

    assert [record["kind"] for record in done.records] == ["job.finished"]
    assert done.end["result"] == "cancelled"
    assert patient.result(first).end["result"] == "success"


def test_a_step_past_its_time_has_failed(runner: Driver) -> None:
    done = runner.do(step("exec sleep 60", timeout_minutes="1.9"), step("echo after", if_="failure()"))

    assert done.conclusions == ["failure", "success"]
    assert done.steps[0]["reason"] == "timed out after 1 minute"
    assert "Error: the step timed out after 1 minute and was ended" in done.text(0)
    assert done.end["result"] == "failure"


def test_a_time_out_of_nought_is_none(runner: Driver) -> None:
    assert runner.do(step("sleep 0.6", timeout_minutes="0.5")).conclusions == ["success"]


def test_continue_on_error_saves_a_step_past_its_time(runner: Driver) -> None:
    done = runner.do(step("exec sleep 60", timeout_minutes="1", continue_on_error="true"))

    assert (done.conclusions, done.end["result"]) == (["success"], "success")


def test_a_job_past_its_time_is_cancelled_and_says_so(runner: Driver) -> None:
    done = runner.do("exec sleep 60", step("echo cleaned ${{ cancelled() }}", if_="always()"), timeout_minutes="${{ fromJSON('1') }}")

    assert done.conclusions == ["cancelled", "success"]
    assert "cleaned true" in done.log
    assert (done.end["result"], done.end["reason"]) == ("cancelled", "timed_out")
    assert done.text(0).endswith("Error: the job took longer than its 1 minute\nError: the step was cancelled\n")


def test_a_cancelled_job_is_not_told_that_it_took_too_long(runner: Driver) -> None:
    job = runner.assign("trap '' INT; echo ready; sleep 60", step("sleep 1", if_="always()"), timeout_minutes="2")
    wait_for_text(runner, job, "ready")
    cancel(runner, job)

    done = runner.result(job)

    assert done.end["reason"] == ""
    assert "took longer" not in done.log


def test_a_cancelled_job_stays_cancelled_whatever_fails_later(runner: Driver) -> None:
    job = runner.assign("echo ready; exec sleep 60", step("exit 1", if_="always()"))
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job)
    done = runner.result(job)

    assert done.conclusions == ["cancelled", "failure"]
    assert done.end["result"] == "cancelled"


def test_the_next_job_knows_nothing_of_the_last_ones_cancel(runner: Driver) -> None:
    job = runner.assign("echo ready; exec sleep 60")
    wait_for_text(runner, job, "ready\n")
    cancel(runner, job, force=True)
    runner.result(job)

    assert runner.do("sleep 0.1", "true").conclusions == ["success", "success"]
