"""Kills while a daemon starts, right after a run's end, and again and again during one run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from death_bench import Bench

from sparki_daemon.system import nonce


@pytest.mark.parametrize("number", range(4))
def test_a_kill_while_the_daemon_starts_leaves_a_folder_that_works(make_bench: Callable[..., Bench], number: int) -> None:
    start_and_kill(make_bench(jobs=1, lines=3), random.SystemRandom().randrange(10**6))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_forty_kills_while_the_daemon_starts_leave_folders_that_work(make_bench: Callable[..., Bench]) -> None:
    for _ in range(40):
        bench = make_bench(jobs=1, lines=3)
        start_and_kill(bench, random.SystemRandom().randrange(10**6))
        bench.end()


def start_and_kill(bench: Bench, seed: int) -> None:
    """The command that starts the daemon either ends well, or says that the daemon can't be reached; the next one works."""
    print(f"seed {seed}")
    dice = random.Random(seed)
    follower = bench.follower()
    time.sleep(dice.random() * 0.9)
    bench.kill(dice.choice(["engine", "supervisor", "all"]))
    code = follower.process.wait(timeout=40)
    said = follower.process.stderr.read() if follower.process.stderr else ""
    follower.process.communicate()
    lines = follower.out.read_text().splitlines()
    assert "Traceback" not in said, said
    if code == 3:
        assert json.loads(lines[-1])["error"]["code"] == "daemon_unreachable"
    else:
        assert code in (0, 1), (code, said, lines)

    assert bench.sparki("run").returncode == 0
    for run in bench.json("runs")["runs"]:
        bench.check(run["id"])


def test_an_engine_that_dies_again_and_again_only_delays_a_run(bench: Bench) -> None:
    follower = bench.follower()
    bench.until(bench.wrote, "a line")
    for _ in range(4):
        with contextlib.suppress(ProcessLookupError):  # it was just dying
            os.kill(bench.until(bench.engine, "an engine"), signal.SIGKILL)

    assert follower.ends() == 0
    assert bench.check(follower.run())["status"] == "success"


def test_every_runner_that_dies_costs_its_own_job_only(bench: Bench) -> None:
    follower = bench.follower()
    killed = 0
    for _ in range(3):
        bench.until(lambda killed=killed: bench.wrote() > killed * 20 or follower.process.poll() is not None, "more lines")
        if runner := bench.busy_runner():
            os.kill(runner, signal.SIGKILL)
            killed += 1
            bench.until(lambda runner=runner: runner not in bench.runners().values(), "its lock's end")
    follower.ends()
    shown = bench.check(follower.run())

    assert sum(job["status"] == "lost" for job in shown["jobs"]) <= killed


def test_the_end_of_a_run_is_told_even_if_all_die_the_moment_it_is_written(bench: Bench) -> None:
    follower = bench.follower()
    bench.until(lambda: any(event["kind"] == "run.finished" for event in follower.events()), "the run's end")
    bench.kill("all")

    assert follower.ends() == 0
    assert bench.check(follower.run())["status"] == "success"


def test_a_runner_that_dies_between_its_folders_and_its_first_word_leaves_none(bench: Bench) -> None:
    variables = "".join(f"      V{number}: ${{{{ format('{{0}}', {number}) }}}}\n" for number in range(4000))  # some ms to evaluate
    bench.write_workflow(f"on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    env:\n{variables}    steps:\n      - run: 'true'\n")
    bench.sparki("daemon", "start")
    memory = Path(nonce.memory_folder(str(bench.home)))
    follower = bench.follower()
    bench.until(lambda: [path for path in memory.glob("j-*") if not list(bench.home.glob("logs/*/*.log"))], "a job's folder")
    for runner in bench.runners().values():
        os.kill(runner, signal.SIGKILL)

    assert follower.ends() == 0
    (kinds,) = [[event["kind"] for event in bench.events() if event["kind"].startswith("job.")]]
    assert kinds[:2] == ["job.assigned", "job.queued"]
    assert kinds[-3:] == ["job.assigned", "job.started", "job.finished"]
    assert kinds.count("job.started") == 1  # it may have been given to the other one that was dying, too
    bench.check(follower.run())
