"""A run's log as lines and as bytes, and why a run went red."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_twin import TIME, Twin, ask, asked, served

from sparki_daemon.store.log_writer import LogWriter


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


@pytest.fixture
async def path(twin: Twin, tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "sock")
    async with served(twin, path):
        yield path


def work(twin: Twin, uid: str, *texts: bytes, end: str = "success") -> None:
    twin.begin(uid)
    for number, text in enumerate(texts):
        twin.begin_step(uid, number)
        twin.write(uid, text)
        twin.end_step(uid, number, end, 1 if end == "failure" else 0)
    twin.finish(uid, end)


async def lines(path: str, run: str, query: str = "") -> list[dict[str, Any]]:
    talk = await ask(path, "GET", f"/v1/runs/{run}/lines?{query}")
    assert talk.status == 200
    found = [line async for line in talk.lines()]
    talk.close()
    return found


def brief(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(line["job"], line["index"], line["line"], line["text"]) for line in found]


async def test_lines_have_job_step_number_time_and_text(twin: Twin, path: str) -> None:
    run = twin.run()
    work(twin, f"{run}.test", b"one\n")
    twin.finish_run(run)
    assert await lines(path, run) == [{"job": "test", "step": "step 0", "index": 0, "line": 1, "time": TIME, "text": "one"}]


async def test_jobs_come_in_the_plans_order_and_lines_count_on_through_steps(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    work(twin, f"{run}.b", b"b1\n")
    work(twin, f"{run}.a", b"a1\r\na2\n", b"a3 \xff\nno end")
    twin.finish_run(run)
    assert brief(await lines(path, run)) == [
        ("a", 0, 1, "a1"),
        ("a", 0, 2, "a2"),
        ("a", 1, 3, "a3 \ufffd"),
        ("a", 1, 4, "no end"),
        ("b", 0, 1, "b1"),
    ]


async def test_one_job_can_be_chosen_by_id_or_name(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    work(twin, f"{run}.a", b"a1\n")
    work(twin, f"{run}.b", b"b1\n")
    twin.finish_run(run)
    for job in ("b", "B", f"{run}.b"):
        assert brief(await lines(path, run, f"job={job}")) == [("b", 0, 1, "b1")]
    status, refused = await asked(path, "GET", f"/v1/runs/{run}/lines?job=c")
    assert (status, refused["code"], refused["problems"][0]["hint"]) == (404, "no_such_job", "its jobs: a, b")


async def test_a_running_job_shows_its_whole_lines_without_follow(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    twin.write(uid, b"one\ntw")
    assert brief(await lines(path, run)) == [("test", 0, 1, "one")]


async def test_following_shows_each_line_once_until_the_run_has_ended(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    talk = await ask(path, "GET", f"/v1/runs/{run}/lines?follow=true")
    for key in "ab":
        uid = f"{run}.{key}"
        twin.begin(uid)
        twin.begin_step(uid, 0)
        for number in range(20):
            twin.write(uid, b"line %d" % number)
            await asyncio.sleep(0.004)
            twin.write(uid, b"\n")
        twin.write(uid, b"rest")
        twin.end_step(uid, 0)
        twin.finish(uid)
    twin.finish_run(run)
    found = brief([line async for line in talk.lines()])
    talk.close()
    texts = [*(f"line {number}" for number in range(20)), "rest"]
    assert found == [(key, 0, number, text) for key in "ab" for number, text in enumerate(texts, 1)]
    assert not twin.log_watch.watched(f"{run}.a")


async def test_following_a_run_that_is_cancelled_before_its_jobs_ends(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    talk = await ask(path, "GET", f"/v1/runs/{run}/lines?follow=true")
    await asyncio.sleep(0.05)
    twin.finish_run(run, "cancelled")
    assert [line async for line in talk.lines()] == []
    talk.close()


async def test_a_long_log_comes_whole_with_the_times_of_its_index(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    writer = LogWriter(twin.logs[uid].file)
    for number in range(200):
        writer.write(b"".join(b"%d\n" % line for line in range(number * 500, number * 500 + 500)))
    writer.close()
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    found = await lines(path, run)
    assert [(line["line"], line["text"]) for line in found] == [(number + 1, str(number)) for number in range(100_000)]
    times = [line["time"] for line in found]
    assert times == sorted(times)
    assert times[-1] > TIME


async def test_a_short_log_that_is_followed_has_the_times_of_its_lines(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    start_ms = 1_900_000_000_000
    clock = iter([start_ms, *(start_ms + second * 1000 for second in (1, 2, 62))])
    talk = await ask(path, "GET", f"/v1/runs/{run}/lines?follow=true")
    coming, found = aiter(talk.lines()), []
    with LogWriter(twin.logs[uid].file, now_ms=lambda: next(clock)) as writer:
        for text in (b"one\n", b"two\n", b"three\n"):
            writer.write(text)
            twin.log_watch.notify(uid)
            found.append(await anext(coming))
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    talk.close()
    assert [line["time"] for line in found] == ["2030-03-17T17:46:41.000Z", "2030-03-17T17:46:42.000Z", "2030-03-17T17:47:42.000Z"]


async def test_a_very_long_line_is_shown_when_it_ends(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    talk = await ask(path, "GET", f"/v1/runs/{run}/lines?follow=true")
    for _ in range(10):
        twin.write(uid, b"x" * 50_000)
        await asyncio.sleep(0.01)
    twin.write(uid, b"\nnext\n")
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    found = [line async for line in talk.lines()]
    talk.close()
    assert "".join(line["text"] for line in found if line["line"] == 1) == "x" * 500_000
    assert [line["text"] for line in found if line["line"] == 2] == ["next"]


# -- bytes ------------------------------------------------------------------------------------------------------------------


async def test_a_log_is_given_by_bytes_with_its_size(twin: Twin, path: str) -> None:
    run = twin.run()
    work(twin, f"{run}.test", b"0123456789" * 100_000)
    for query, wanted in (
        ("", b"0123456789" * 100_000),
        ("?from=999995", b"56789"),
        ("?from=3&to=6", b"345"),
        ("?from=2000000", b""),
        ("?from=9&to=3", b""),
    ):
        talk = await ask(path, "GET", f"/v1/jobs/{run}.test/log{query}")
        assert (talk.status, talk.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert talk.headers["sparki-log-size"] == "1000000"
        assert await talk.body() == wanted
        talk.close()


async def test_following_a_log_ends_when_the_job_has_ended_and_all_was_sent(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    talk = await ask(path, "GET", f"/v1/jobs/{uid}/log?follow=true")
    assert talk.headers["sparki-log-size"] == "0"
    for _ in range(30):
        twin.write(uid, b"x" * 1000)
        await asyncio.sleep(0.001)
    twin.write(uid, b"last")
    twin.finish(uid)
    assert await talk.body() == b"x" * 30_000 + b"last"
    assert talk.whole
    talk.close()
    assert not twin.log_watch.watched(uid)


async def test_following_a_log_up_to_a_byte_ends_there(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    talk = await ask(path, "GET", f"/v1/jobs/{uid}/log?from=2&to=6&follow=true")
    twin.write(uid, b"012")
    twin.write(uid, b"3456789")
    assert await talk.body() == b"2345"
    talk.close()


# -- excerpts ---------------------------------------------------------------------------------------------------------------


async def excerpts(path: str, run: str) -> list[dict[str, Any]]:
    status, answer = await asked(path, "GET", f"/v1/runs/{run}/excerpts")
    assert status == 200
    return answer["excerpts"]


async def test_a_failed_step_is_told_by_its_last_twenty_lines(twin: Twin, path: str) -> None:
    run = twin.run(("good", "bad"))
    work(twin, f"{run}.good", b"fine\n")
    work(twin, f"{run}.bad", b"".join(b"%d\n" % number for number in range(50)), end="failure")
    twin.finish_run(run, "failure")
    (found,) = await excerpts(path, run)
    assert found == {
        "job": "bad",
        "step": 0,
        "name": "step 0",
        "exit_code": 1,
        "reason": "",
        "lines": [str(number) for number in range(30, 50)],
    }


async def test_a_lost_job_is_told_by_the_last_lines_of_its_log(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    twin.write(uid, b"working\nstill wor")
    twin.finish(uid, "lost", reason="runner_died")
    twin.finish_run(run, "lost")
    (found,) = await excerpts(path, run)
    assert (found["name"], found["step"], found["reason"], found["lines"]) == ("Test", None, "runner_died", ["working", "still wor"])


async def test_a_job_that_failed_before_its_first_step_tells_its_reason(twin: Twin, path: str) -> None:
    run = twin.run()
    twin.finish(f"{run}.test", "failure", reason="its if can't be evaluated")
    (found,) = await excerpts(path, run)
    assert (found["job"], found["reason"], found["lines"]) == ("test", "its if can't be evaluated", [])


async def test_a_green_run_has_no_excerpts(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    work(twin, uid, b"x\n", end="failure")
    twin.job(uid)["steps"][0]["conclusion"] = "success"  # continue-on-error
    twin.job(uid)["status"] = "success"
    assert await excerpts(path, run) == []


async def test_a_failure_that_is_tolerated_explains_nothing(twin: Twin, path: str) -> None:
    run = twin.run()
    work(twin, f"{run}.test", b"x\n", end="failure")
    twin.job(f"{run}.test")["tolerated"] = True
    assert await excerpts(path, run) == []


async def test_a_very_wide_line_is_cut_in_an_excerpt(twin: Twin, path: str) -> None:
    run = twin.run()
    work(twin, f"{run}.test", b"x" * 100_000 + b"\n", end="failure")
    (found,) = await excerpts(path, run)
    assert [len(line) for line in found["lines"]] == [10_000]


async def test_a_former_attempts_log_is_not_shown(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    work(twin, uid, b"old\n")
    twin.logs[uid] = replace(twin.logs[uid], attempt=2, path=f"{twin.logs[uid].path}.2", steps=())
    assert await lines(path, run) == []
