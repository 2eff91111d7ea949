"""Stations die in mid-deployment of a real service: each deployment ends, one release serves all the time, and nothing is started twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_yard import MOMENTS, Kill, KillYard

from sparki_daemon.model.deployment import STEPS

NAMES = [rule.name for rule in STEPS]
ALL = ("engine", "supervisor", "loco")
slow = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[KillYard]:
    """With a release that is live."""
    made = KillYard(tmp_path)
    try:
        made.deploy()
        made.asking.begun.set()
        yield made
    finally:
        made.end()
    assert made.left() == []


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
