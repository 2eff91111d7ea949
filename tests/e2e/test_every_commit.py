"""The engine dies before and after the commit of every transition: nothing that it told is lost, nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from death_bench import Bench

# Loaded by the interpreter at its start: the engine's writer counts its commits, and dies at the one that the environment names.
HOOK = """
import os, sqlite3, sys

if "engine" in sys.orig_argv and "SPARKI_TEST_COMMIT" in os.environ:
    real, commits = sqlite3.connect, [0]
    when, number, mark = os.environ["SPARKI_TEST_COMMIT"].split(":", 2)

    def die():
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), 9)

    class Mortal(sqlite3.Connection):
        def execute(self, sql, *rest):
            if sql != "COMMIT":
                return super().execute(sql, *rest)
            commits[0] += 1
            if when == "before" and commits[0] == int(number):
                die()
            done = super().execute(sql, *rest)
            if when == "after" and commits[0] == int(number):
                die()
            return done

    sqlite3.connect = lambda *args, **named: real(*args, **{"factory": Mortal, **named})
"""


def dies(make_bench: Callable[..., Bench], when: str, number: int) -> bool:
    """One run, whose engine dies at commit `number`; False: there was no such commit."""
    bench = make_bench(jobs=2, chain=1, steps=2, lines=3)
    (bench.side / "sitecustomize.py").write_text(HOOK)
    mark = bench.side / "died"
    bench.env |= {"PYTHONPATH": str(bench.side), "SPARKI_TEST_COMMIT": f"{when}:{number}:{mark}"}
    follower = bench.follower()
    assert follower.ends() == 0
    assert bench.check(follower.run())["status"] == "success"
    assert len(bench.json("runs")["runs"]) == 1
    bench.end()
    return mark.exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_an_engine_that_dies_at_one_of_its_first_commits_loses_nothing(make_bench: Callable[..., Bench], when: str, number: int) -> None:
    assert dies(make_bench, when, number)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_engine_that_dies_at_any_commit_loses_nothing(make_bench: Callable[..., Bench], when: str) -> None:
    number = 1
    while dies(make_bench, when, number):
        number += 1
    assert number > 8  # that many commits a run has at least, or the hook sees none
