"""Two things at once: the same request twice, a cancel beside an end, a retry of what was lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from death_bench import TERMINAL, Bench

from sparki_daemon.client import http

SHORT = """\
on: push
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - run: sleep 0.05
  two:
    needs: one
    if: always()
    runs-on: ubuntu-latest
    steps:
      - run: echo two
"""


def post(bench: Bench, target: str, body: Any, key: str) -> tuple[int, dict[str, Any]]:
    with contextlib.closing(http.dial(str(bench.home / "daemon.sock"), 30.0)) as sock:
        answer = http.exchange(sock, "POST", target, json.dumps(body).encode(), (f"Idempotency-Key: {key}",))
        return answer.status, json.loads(answer.read())


def request(bench: Bench) -> dict[str, Any]:
    return {"directory": str(bench.repo), "pipelines": [], "jobs": [], "env": dict(bench.env)}


def test_one_key_sent_many_times_at_once_starts_one_run(bench: Bench) -> None:
    bench.write_workflow(SHORT)
    bench.sparki("daemon", "start")
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(post(bench, "/v1/runs", request(bench), "k1"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [status for status, _ in answers] == [answers[0][0]] * 5
    assert len({answer["runs"][0]["run"] for _, answer in answers}) == 1
    assert len(bench.json("runs")["runs"]) == 1


def test_a_key_is_remembered_by_the_next_engine(bench: Bench) -> None:
    bench.write_workflow(SHORT)
    bench.sparki("daemon", "start")
    _, first = post(bench, "/v1/runs", request(bench), "k1")
    bench.kill("supervisor+engine")
    bench.sparki("daemon", "start")

    assert post(bench, "/v1/runs", request(bench), "k1")[1]["runs"] == first["runs"]
    assert len(bench.json("runs")["runs"]) == 1


def test_an_engine_killed_while_runs_are_started_starts_each_once(bench: Bench) -> None:
    bench.write_workflow(SHORT)
    bench.sparki("daemon", "start")
    followers = [bench.follower() for _ in range(3)]
    time.sleep(random.SystemRandom().random() * 0.3)
    bench.kill("engine")

    assert [follower.ends() for follower in followers] == [0, 0, 0]
    assert len(bench.json("runs")["runs"]) == 3
    for follower in followers:
        bench.check(follower.run())


def test_a_cancel_that_races_the_end_leaves_one_end(bench: Bench) -> None:
    bench.write_workflow(SHORT)
    bench.sparki("daemon", "start")
    for number in range(12):
        run = bench.json("run", "--detach")["run"]
        time.sleep(number * 0.012)
        bench.sparki("cancel", run, ok=False)
        bench.until(lambda run=run: bench.show(run)["status"] in TERMINAL, f"the end of {run}")
        assert bench.check(run)["status"] in ("success", "cancelled")


def test_a_cancelled_run_stays_cancelled_over_the_death_of_the_engine(bench: Bench) -> None:
    text = "on: push\njobs:\n" + "".join(
        f"  j{number}:\n    runs-on: ubuntu-latest\n    steps:\n      - run: trap '' INT; sleep 1\n" for number in range(6)
    )
    bench.write_workflow(text)
    follower = bench.follower()
    run = follower.run()
    bench.until(lambda: any(job["status"] == "running" for job in bench.show(run)["jobs"]), "a job's beginning")
    bench.sparki("cancel", run)
    bench.kill("engine")

    assert follower.ends() == 1
    assert bench.check(run)["status"] == "cancelled"


def test_a_lost_job_runs_again_and_those_after_it_go_on(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(jobs=2, chain=2)
    follower = bench.follower()
    bench.until(bench.wrote, "a line")
    os.kill(bench.busy_runner(), signal.SIGKILL)
    assert follower.ends() == 1
    shown = bench.check(follower.run())
    lost = [job["id"] for job in shown["jobs"] if job["status"] == "lost"]
    assert len(lost) == 1
    assert any("signal 9" in job["reason"] for job in shown["jobs"])

    again = bench.follower("retry", shown["id"], "--failed")
    assert again.ends() == 0
    after = bench.check(shown["id"])
    assert after["attempt"] == 2
    assert {job["status"] for job in after["jobs"]} == {"success"}
    assert {job["id"] for job in after["jobs"] if job["attempt"] == 1} == {job["id"] for job in shown["jobs"] if job["status"] == "success"}
