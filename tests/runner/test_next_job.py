"""The next link of a chain is made ready while the job before it still runs; nothing of that may be seen where it does not come to run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, step

from sparki_daemon.model.wire import Frame
from sparki_daemon.runner import ahead


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A runner for which every step is a short one, so that a busy machine changes nothing."""
    monkeypatch.setattr(ahead, "SHORT_S", 60.0)
    monkeypatch.setattr(ahead, "LIFE_S", 60.0)
    driver = Driver(tmp_path / "home").start()
    driver.do("true")
    yield driver
    driver.stop()
    assert not (tmp_path / "home" / "stderr").read_text()


def after(spec: dict[str, Any], base: str = "one") -> dict[str, Any]:
    return {"job": spec["job"], "epoch": spec["epoch"], "base": base}


def until_waits(spec: dict[str, Any]) -> str:
    return f"until test -p {spec['temp']}/step-0.sh; do sleep 0.01; done"


def give(runner: Driver, *specs: dict[str, Any]) -> None:
    """Have the runner hold all of these before it begins the first."""
    runner.assign(f"until test -e {runner.home}/begin; do sleep 0.01; done")
    for spec in specs:
        runner.send(Frame.ASSIGN, spec)
    (runner.home / "begin").touch()


def chain(runner: Driver, first: str, second: dict[str, Any] | str, **keys: Any) -> tuple[str, dict[str, Any]]:
    """Give the runner two jobs, the second after the first, whose script begins once the second's shell waits."""
    link = runner.spec(second, **keys)
    one = runner.spec(f"{until_waits(link)}; {first}")
    link["after"] = after(one)
    give(runner, one, link)
    return str(one["job"]), link


def nothing_left_of(runner: Driver, spec: dict[str, Any]) -> bool:
    return not Path(spec["temp"]).exists() and not Path(spec["work"]).exists() and runner.log(spec["job"]) == ""


def test_the_next_link_waits_and_gets_what_the_job_before_it_gave(runner: Driver) -> None:
    link = runner.spec("echo got ${{ needs.one.outputs.word }}; pwd")
    one = runner.spec(
        step(f'{until_waits(link)}; echo "word=late" >> "$GITHUB_OUTPUT"', id="a"), outputs={"word": "${{ steps.a.outputs.word }}"}
    )
    link["after"] = after(one)
    give(runner, one, link)
    done = runner.result(link["job"])

    assert runner.result(one["job"]).end["outputs"] == {"word": "late"}
    assert done.log.splitlines()[1:] == ["got late", f"{link['work']}/workspace"]
    assert [record["kind"] for record in done.records] == ["job.started", "step.started", "step.finished", "job.finished"]


def test_what_a_job_leaves_running_is_ended_and_the_next_links_shell_is_not(runner: Driver) -> None:
    first, link = chain(runner, 'sleep 4327 & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done', "echo mine")  # it has its name by then
    done = runner.result(link["job"])

    assert runner.result(first).log.endswith("Ended what the steps had left running: sleep\n")
    assert done.log.endswith("mine\n")


def test_after_a_failure_nothing_is_left_of_the_link_that_was_made_ready(runner: Driver) -> None:
    first, link = chain(runner, "exit 3", "echo never")
    runner.wait_for("job.returned", link["job"])

    assert runner.result(first).end["result"] == "failure"
    assert runner.do("true").end["result"] == "success"
    assert nothing_left_of(runner, link)


def test_a_link_that_is_cancelled_while_it_waits_leaves_nothing(runner: Driver) -> None:
    first, link = chain(runner, f"touch {runner.home}/waits; until test -e {runner.home}/go; do sleep 0.01; done", "echo never")
    while not (runner.home / "waits").exists():
        runner.receive(0.01)
    runner.cancel(link["job"])
    runner.wait_for("job.finished", link["job"], result="cancelled")
    (runner.home / "go").touch()

    assert runner.result(first).end["result"] == "success"
    assert runner.do("true").end["result"] == "success"
    assert nothing_left_of(runner, link)


def test_a_builder_that_is_gone_takes_the_link_with_it(runner: Driver) -> None:
    first, link = chain(runner, f"touch {runner.home}/waits; until test -e {runner.home}/go; do sleep 0.01; done", "echo never")
    while not (runner.home / "waits").exists():
        runner.receive(0.01)
    runner.disconnect()
    runner.connect(resume=0)
    (runner.home / "go").touch()

    assert runner.result(first).end["result"] == "success"
    assert runner.do("true").end["result"] == "success"
    assert nothing_left_of(runner, link)


def test_a_link_whose_environment_is_computed_is_made_ready_in_its_turn(runner: Driver) -> None:
    link = runner.spec("echo $WORD", env={"WORD": "${{ needs.one.result }}"})
    one = runner.spec(f"test ! -e {link['temp']}")
    link["after"] = after(one)
    give(runner, one, link)

    assert runner.result(link["job"]).log.endswith("success\n")
    assert runner.result(one["job"]).end["result"] == "success"


def test_time_limits_are_each_jobs_own(runner: Driver) -> None:
    first, link = chain(runner, "sleep 0.6", "sleep 30", timeout_minutes="1")  # a minute has 0.3 s here

    assert runner.result(first).end["result"] == "success"
    assert runner.result(link["job"]).end["reason"] == "timed_out"


def test_a_long_chain_leaves_no_descriptor_behind(runner: Driver) -> None:
    specs = [runner.spec(f"ls /proc/$PPID/fd | wc -l > {runner.home}/open-{number}") for number in range(12)]
    for one, two in itertools.pairwise(specs):
        two["after"] = after(one)
    give(runner, *specs)
    runner.result(specs[-1]["job"])

    assert abs(int((runner.home / "open-11").read_text()) - int((runner.home / "open-2").read_text())) <= 6
