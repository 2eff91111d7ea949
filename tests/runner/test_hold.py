"""A step that has failed is held while somebody who wants to look holds the run's lock, and lets its file be."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, step

from sparki_daemon.model.wire import Frame
from sparki_daemon.runner.loop import Loop
from sparki_daemon.system.files import try_lock


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[str]:
    fd = try_lock(str(tmp_path / "lock"))
    assert fd is not None
    yield str(tmp_path / "lock")
    os.close(fd)


def held(runner: Driver, job: str) -> tuple[dict[str, Any], dict[str, Any]]:
    record = runner.wait_for("step.held", job)
    return record, json.loads(Path(record["hold"]).read_text())


def test_a_failed_step_is_held_until_its_file_is_removed(runner: Driver, lock: str) -> None:
    job = runner.assign(
        step("exit 4", env={"MINE": "1"}), step('echo "next $GIVEN"', if_="always()"), run_hold=lock, working_directory=None
    )
    record, place = held(runner, job)
    assert (record["step"], place["folder"], place["env"]["MINE"]) == (0, place["env"]["GITHUB_WORKSPACE"], "1")
    assert Path(record["hold"]).stat().st_mode & 0o777 == 0o600
    Path(place["env"]["GITHUB_ENV"]).write_text("GIVEN=by hand\n")
    assert not [one for one in runner.records if one["kind"] == "step.finished"]
    Path(record["hold"]).unlink()

    done = runner.result(job)
    assert "next by hand" in done.text(1)
    assert done.end["result"] == "failure"
    assert not Path(record["hold"]).exists()


def test_the_end_of_who_looks_lets_the_job_go_on(runner: Driver, tmp_path: Path) -> None:
    fd = try_lock(str(tmp_path / "lock"))
    assert fd is not None
    job = runner.assign("exit 1", run_hold=str(tmp_path / "lock"))
    held(runner, job)
    os.close(fd)

    assert runner.result(job).end["result"] == "failure"


@pytest.mark.parametrize("force", [False, True])
def test_a_cancel_lets_the_job_go_on_to_its_end(runner: Driver, lock: str, force: bool) -> None:
    job = runner.assign("exit 1", "echo never", run_hold=lock)
    held(runner, job)
    runner.send(Frame.CANCEL, {"job": job, "epoch": 1, "force": force})

    done = runner.result(job)
    assert (done.end["result"], done.conclusions) == ("cancelled", ["failure", "skipped"])


def test_the_death_of_the_supervisor_lets_the_job_go(runner: Driver, lock: str) -> None:
    job = runner.assign("exit 1", "echo never", run_hold=lock)
    held(runner, job)
    os.close(runner.death_fd)
    runner.death_fd = -1

    assert runner.result(job).end["result"] == "lost"


def test_the_time_limit_stands_still_meanwhile(runner: Driver, lock: str) -> None:
    """A minute is 0.3 s here."""
    job = runner.assign("exit 1", step("echo after", if_="always()"), run_hold=lock, timeout_minutes="1")
    record, _ = held(runner, job)
    time.sleep(0.5)
    Path(record["hold"]).unlink()

    done = runner.result(job)
    assert (done.end["result"], done.end["reason"]) == ("failure", "")
    assert done.steps[0]["duration_ms"] < 400


def test_no_step_is_held_that_is_good_tolerated_or_looked_at_by_nobody(runner: Driver, lock: str, tmp_path: Path) -> None:
    done = runner.do("true", step("exit 1", continue_on_error="true"), run_hold=lock)
    assert done.end["result"] == "success"
    (tmp_path / "nobody").touch()
    done = runner.do("exit 1", run_hold=str(tmp_path / "nobody"))
    assert done.end["result"] == "failure"
    assert not [one for one in runner.records if one["kind"] == "step.held"]


def test_of_a_composite_action_the_step_within_is_held_once(runner: Driver, lock: str) -> None:
    action = "name: x\ndescription: x\nruns:\n  using: composite\n  steps: [{run: exit 5, shell: bash, env: {INNER: '1'}}]\n"
    job = runner.assign(
        f"mkdir a; cat > a/action.yml <<'END'\n{action}END", step(uses="./a"), step("echo on", if_="always()"), run_hold=lock
    )
    record, place = held(runner, job)
    assert (record["step"], place["env"]["INNER"]) == (1, "1")
    Path(record["hold"]).unlink()

    assert runner.result(job).conclusions == ["success", "failure", "success"]
    assert len([one for one in runner.records if one["kind"] == "step.held"]) == 1


def test_a_suspended_timer_keeps_the_time_that_it_had_left() -> None:
    rung: list[str] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: rung.append(name)

    loop = Loop()
    loop.after("one", 0.05, note("one"))
    loop.after("two", 0.2, note("two"))
    resume = loop.suspend("one", "absent")
    while "two" not in rung:
        loop.turn()
    assert rung == ["two"]
    resume()
    while "one" not in rung:
        loop.turn()
    assert not loop.waiting("absent")
