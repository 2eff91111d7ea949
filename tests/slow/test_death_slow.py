"""The kills of tests/e2e/test_death.py, twenty times each, at moments that a printed seed chooses."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))  # tests are no package

from death_bench import Bench
from test_death import VICTIMS, round_of_death

ROUNDS = 20


@pytest.mark.slow
@pytest.mark.timeout(900)  # twenty rounds of 3 s, and of 15 where the machine does much else
@pytest.mark.parametrize("victims", VICTIMS)
def test_twenty_kills_break_no_promise(tmp_path: Path, victims: str) -> None:
    dice = random.SystemRandom()
    for number in range(ROUNDS):
        folder = tmp_path / f"round{number}"
        folder.mkdir()
        bench = Bench(folder, namespaces=number % 2 == 0)
        try:
            round_of_death(bench, victims, seed=dice.randrange(10**6))
        finally:
            bench.end()
