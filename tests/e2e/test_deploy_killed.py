"""Stations die in mid-deployment of a real service: each deployment ends, one release serves all the time, and nothing is started twice."""

from __future__ import annotations

import pytest
from kill_yard import MOMENTS, Kill, KillYard, until

from sparki_daemon.model.deployment import STEPS

NAMES = [rule.name for rule in STEPS]
UNDONE = [rule.name for rule in STEPS if rule.undone]
ALL = ("engine", "supervisor", "loco")
slow = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("victims", "steps", "moments"),
    [
        pytest.param(("loco",), ["start", "switch"], ["result"], id="loco"),
        pytest.param(("loco",), NAMES, MOMENTS, id="loco-everywhere", marks=slow),
        pytest.param(("engine",), NAMES, ["effect"], id="engine-everywhere", marks=slow),
        pytest.param(("engine", "loco"), NAMES, ["effect", "result"], id="both-everywhere", marks=slow),
        pytest.param(("supervisor",), NAMES, ["effect"], id="supervisor-everywhere", marks=slow),
        pytest.param(ALL, NAMES, ["effect", "result"], id="all-everywhere", marks=slow),
        pytest.param(("keeper",), NAMES, ["effect", "result"], id="keeper-everywhere", marks=slow),
    ],
)
def test_who_dies_in_mid_deployment_drops_no_request_and_starts_nothing_twice(
    yard: KillYard, victims: tuple[str, ...], steps: list[str], moments: list[str]
) -> None:
    for step in steps:
        for moment in moments:
            yard.deploy(Kill(victims, step, moment))
    assert yard.asking.answers > 0
    assert not yard.asking.wrong


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victims", [("loco",), ("engine", "loco")], ids="+".join)
def test_who_dies_on_the_way_back_leaves_the_old_release_serving(yard: KillYard, victims: tuple[str, ...]) -> None:
    yard.settle("bad", watch="20s")
    for step in UNDONE:
        for moment in MOMENTS:
            yard.deploy(Kill(victims, step, moment, back=True), end="reverted")
    assert not {wrong for wrong in yard.asking.wrong if not wrong.startswith("500")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_front_that_dies_at_any_step_cuts_what_is_in_flight_and_refuses_nobody(yard: KillYard) -> None:
    for step in NAMES:
        yard.deploy(Kill(("front",), step, "effect"))
    assert "ConnectionRefusedError" not in yard.asking.wrong
    assert sum(yard.asking.wrong.values()) <= len(NAMES)  # one is in flight at a time


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("more", [(), ("loco",), ALL], ids="+".join)
def test_keeper_and_front_that_die_together_come_back_with_the_services_that_they_had(yard: KillYard, more: tuple[str, ...]) -> None:
    for step in NAMES:
        with yard.asking:
            yard.deploy(Kill(("keeper", "front", *more), step, "effect"))
    assert not yard.asking.wrong


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_that_crashes_again_and_again_in_the_watch_is_taken_back(yard: KillYard) -> None:
    before = yard.live()
    yard.settle("crash", watch="20s")
    yard.deploy(end="reverted")
    yard.deploy(Kill(("loco",), "watch", "effect"), end="reverted")
    yard.deploy(Kill(ALL, "watch", "effect"), end="reverted")
    until(lambda: yard.services() == [before], "the old service alone")
