"""Twenty switches while very many ask: kept connections, new ones, slow requests, and connections that are idle for most of the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.suite_deploy import SWITCHES, Stage, ended

LOAD_PER_S = 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_switches_fail_no_request_and_reset_no_idle_connection(tmp_path: Path) -> None:
    with Stage(str(tmp_path / "environment")) as stage:
        stage.start("r-0")
        stage.keeper.set_upstream("r-0")
        load = stage.load()
        for number in range(SWITCHES):
            stage.switch(f"r-{number}", f"r-{number + 1}")
        told = ended(load)
        counted = stage.keeper.status().counts.values()

    assert (told["failed"], told["resets"]) == ({}, 0)
    assert sum(one.dropped for one in counted) == 0
    assert sum(one.requests for one in counted) >= told["answers"] >= LOAD_PER_S  # it was asked at all: the rate is the benchmark's
