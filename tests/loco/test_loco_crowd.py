"""Very many deployments at once, through a real loco process."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.deploy_crowd import brought

PEAK_MIB = 80


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_deployments_go_live_and_no_target_ever_has_two_at_once(tmp_path: Path) -> None:
    crowd = brought(tmp_path, count=1000, targets=100)

    assert crowd.states == {"live": 1000}
    assert crowd.at_once == 1
    assert crowd.peak_mib <= PEAK_MIB
