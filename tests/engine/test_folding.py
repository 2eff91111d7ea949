"""A matrix that does not run is one job, as on GitHub, and its legs are back in another attempt."""

from __future__ import annotations

import pytest
from scheduler_bench import RUN, WAITING, parts

from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.store import jobs as job_rows

MATRIX = b"""
on: push
jobs:
  one: {runs-on: x, steps: [{run: "true"}]}
  test:
    needs: one
    runs-on: ${{ matrix.os }}
    name: test on ${{ matrix.os }}
    strategy: {matrix: {os: [windows-latest, ubuntu-latest, any]}}
    steps: [{run: "true"}]
  last: {needs: test, runs-on: x, strategy: {matrix: {n: [1, 2]}}, steps: [{run: "true"}]}
"""


async def shown(bench):
    return [(row.key, row.name, row.state.value) for row in await bench.store.read(lambda tx: job_rows.of_run(tx, RUN))]


async def test_a_matrix_that_does_not_run_is_told_as_the_one_job_that_github_tells(bench):
    await bench.begin(*plan(read(MATRIX, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1", "w2"))
    await bench.does("one", "failure")

    assert await shown(bench) == [
        ("one", "one", "failure"),
        ("test", "test on ${{ matrix.os }}", "skipped"),
        ("last", "last", "skipped"),
    ]
    assert await bench.status() == "failure"
    assert (await bench.kinds())[-5:] == ["job.folded", "job.finished", "job.folded", "job.finished", "run.finished"]


@pytest.mark.parametrize("failed", [True, False])
async def test_another_attempt_expands_the_matrix_that_did_not_run(bench, tmp_path, failed):
    await bench.begin(*plan(read(MATRIX, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.does("one", "failure")
    bench.scheduler, bench.ledger = parts(bench.store, tmp_path)  # nothing of it is only in memory
    await bench.retry(failed=failed)
    assert list(await bench.states()) == ["one", "test-windows-latest", "test-ubuntu-latest", "test-any", "last-1", "last-2"]
    await bench.turn(idle=("w1", "w2", "w3"))
    turn = await bench.does("one")
    assert [(spec["key"], spec["attempt"]) for _, spec in turn.assign] == [("test-ubuntu-latest", 2), ("test-any", 2)]
    await bench.does("test-ubuntu-latest")
    await bench.does("test-any")

    assert (await shown(bench))[1:4] == [
        ("test-windows-latest", "test on windows-latest", "skipped"),  # for its system, so that it alone is
        ("test-ubuntu-latest", "test on ubuntu-latest", "success"),
        ("test-any", "test on any", "success"),
    ]


async def test_legs_that_ran_are_one_job_in_an_attempt_that_skips_them_and_legs_again_after_it(bench):
    await bench.begin(*plan(read(MATRIX.replace(b"windows-latest", b"other"), "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1", "w2", "w3"))
    await bench.does("one")
    epochs = {key: held[1] for key, held in bench.held.items()}
    for key in ("test-other", "test-ubuntu-latest", "test-any", "last-1", "last-2"):
        await bench.does(key)
    await bench.retry(failed=False)
    await bench.turn(idle=("w1", "w2", "w3"))
    await bench.does("one", "failure")
    assert list(await bench.states()) == ["one", "test", "last"]
    await bench.retry(failed=True)
    await bench.turn(idle=("w1", "w2", "w3"))
    await bench.does("one")

    assert bench.held["test-other"][1] > epochs["test-other"]  # news of the first attempt's epoch are still refused
    assert (await bench.states())["test-any"] == "assigned"


async def test_a_cancel_ends_a_matrix_that_waits_as_one_job(bench):
    await bench.begin(*plan(read(MATRIX, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.cancel()
    await bench.does("one", "cancelled")

    assert await bench.states() == {"one": "cancelled", "test": "cancelled", "last": "cancelled"}


async def test_a_forced_cancel_ends_matrices_that_wait_as_one_job_each(bench):
    await bench.begin(*plan(read(MATRIX, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.cancel(force=True)
    assert await bench.states() == {"one": "assigned", "test": "cancelled", "last": "cancelled"}
    await bench.does("one", "cancelled")

    assert await bench.status() == "cancelled"


async def test_a_late_matrix_that_the_next_attempt_skips_waits_again_in_the_one_after(bench):
    await bench.begin(*plan(read(WAITING, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1", "w2"))
    await bench.does("pick", outputs={"all": '{"n": [1, 2]}'})
    await bench.does("test-1", "failure")
    await bench.does("test-2", "cancelled")
    await bench.retry(failed=False)
    await bench.turn(idle=("w1", "w2"))
    await bench.does("pick", "failure")
    assert await bench.states() == {"pick": "failure", "test": "skipped", "last": "skipped"}
    await bench.retry(failed=True)
    await bench.turn(idle=("w1", "w2"))
    turn = await bench.does("pick", outputs={"all": '{"n": [3]}'})

    assert next(spec["key"] for _, spec in turn.assign) == "test-3"


async def test_an_if_of_a_matrix_that_cannot_be_evaluated_fails_one_job(bench):
    await bench.begin(*plan(read(MATRIX.replace(b"needs: one", b"if: fromJSON('{')", 1), "ci.yml"), github={}).jobs)

    states = await bench.states()
    assert states["test"] == "failure"
    assert "test-any" not in states


async def test_a_leg_that_comes_back_from_its_runner_goes_before_the_later_legs(bench):
    text = MATRIX.replace(b"strategy: {matrix: {os: [windows-latest,", b"strategy: {max-parallel: 1, matrix: {os: [first,")
    await bench.begin(*plan(read(text, "ci.yml"), github={}).jobs)
    await bench.turn(idle=("w1",))
    await bench.does("one")
    turn = await bench.turn(bench.says("test-first", "job.returned"))

    assert [spec["key"] for _, spec in turn.assign] == ["test-first"]
