"""Whoever is killed: every run ends, nothing happens twice, no byte is lost that was told, nothing stays behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from death_bench import Bench

VICTIMS = ["engine", "runner", "supervisor", "engine+runner", "supervisor+engine", "all"]


@pytest.mark.parametrize("namespaces", [True, False], ids=["namespace", "plain"])
@pytest.mark.parametrize("victims", VICTIMS)
def test_every_promise_holds_whoever_is_killed(make_bench: Callable[..., Bench], victims: str, namespaces: bool) -> None:
    round_of_death(make_bench(namespaces=namespaces), victims, seed=random.SystemRandom().randrange(10**6))


def round_of_death(bench: Bench, victims: str, seed: int) -> None:
    """One run, one kill at a moment that `seed` chooses, every check; then a retry makes it good."""
    print(f"seed {seed}, victims {victims}, namespaces {bench.namespaces}")
    dice = random.Random(seed)
    follower = bench.follower()
    moment = dice.randrange(1, bench.jobs * bench.steps * bench.lines)
    bench.until(lambda: bench.wrote() >= moment or follower.process.poll() is not None, "the moment")
    time.sleep(dice.random() * 0.02)
    assert bench.kill(victims)
    follower.ends()
    run = follower.run()

    escapes = not bench.namespaces and victims == "all"  # nobody is left who could know them
    shown = bench.check(run, bare=not escapes)
    if victims == "engine":
        assert shown["status"] == "success"
    if shown["status"] != "success":
        assert shown["status"] == "lost"
        assert all(job["reason"] for job in shown["jobs"] if job["status"] == "lost")
        assert bench.sparki("retry", run, "--failed").returncode == 0
        assert bench.check(run, bare=not escapes)["status"] == "success"
