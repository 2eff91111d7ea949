"""A run's events with the text of its jobs: a step's text is whole before its end, nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_twin import Talk, Twin, ask, served

from sparki_daemon.engine.api import texts as texts_module
from sparki_daemon.store.log_reader import LogReader


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


@pytest.fixture
async def path(twin: Twin, tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "sock")
    async with served(twin, path):
        yield path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every read of a log: (from, how many bytes at most)."""
    found: list[tuple[int, int]] = []

    class Counting(LogReader):
        def read(self, start: int, limit: int) -> bytes:
            found.append((start, limit))
            return super().read(start, limit)

    monkeypatch.setattr(texts_module, "LogReader", Counting)
    return found


async def follow(path: str, run: str, query: str = "log=true") -> Talk:
    return await ask(path, "GET", f"/v1/runs/{run}/follow?{query}")


async def followed(path: str, run: str, query: str = "log=true") -> list[dict[str, Any]]:
    talk = await follow(path, run, query)
    found = [line async for line in talk.lines()]
    assert talk.whole
    talk.close()
    return found


def brief(lines: list[dict[str, Any]]) -> list[str]:
    """Events by kind and step, text by step and text."""
    found = []
    for line in lines:
        if "log" in line:
            found.append(f"{line['log']['step']}: {line['log']['text']!r}")
        else:
            step = line["data"].get("step")
            found.append(line["kind"] if step is None else f"{line['kind']} {step}")
    return found


def texts(lines: list[dict[str, Any]], uid: str) -> str:
    """The text of a job; its pieces must lie one behind the other."""
    pieces = [line["log"] for line in lines if line.get("log", {}).get("uid") == uid]
    for one, other in itertools.pairwise(pieces):
        assert one["to"] == other["from"]
    return "".join(piece["text"] for piece in pieces)


def whole_run(twin: Twin) -> tuple[str, str]:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    for step in (0, 1):
        twin.begin_step(uid, step)
        twin.write(uid, f"begin {step}\nend {step}".encode())
        twin.end_step(uid, step)
    twin.finish(uid)
    twin.finish_run(run)
    return run, uid


WHOLE = [
    "run.created",
    "job.started",
    "step.started 0",
    "0: 'begin 0\\nend 0'",
    "step.finished 0",
    "step.started 1",
    "1: 'begin 1\\nend 1'",
    "step.finished 1",
    "job.finished",
    "run.finished",
]


async def test_a_run_that_is_over_is_told_from_its_start_to_its_end(twin: Twin, path: str) -> None:
    run, _ = whole_run(twin)
    twin.run()
    assert brief(await followed(path, run)) == WHOLE
    assert brief(await followed(path, "r-0000"[:6])) == WHOLE
    assert brief(await followed(path, run, "")) == [line for line in WHOLE if ": " not in line]


async def test_nothing_is_left_to_tell_after_the_end(twin: Twin, path: str) -> None:
    run, _ = whole_run(twin)
    assert await followed(path, run, f"since={len(twin.journal)}&log=true") == []


async def test_a_run_is_told_the_same_while_it_goes(twin: Twin, path: str) -> None:
    run = twin.run()
    talk = await follow(path, run)
    while not twin.feed.followers:
        await asyncio.sleep(0.001)
    uid = f"{run}.test"
    twin.begin(uid)
    for step in (0, 1):
        twin.begin_step(uid, step)
        twin.write(uid, f"begin {step}\nend {step}".encode())
        twin.end_step(uid, step)
    twin.finish(uid)
    twin.finish_run(run)
    assert brief([line async for line in talk.lines()]) == WHOLE
    talk.close()


async def test_text_comes_while_its_step_runs_in_whole_lines(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    talk = await follow(path, run)
    twin.begin(uid)
    twin.begin_step(uid, 0)
    lines = talk.lines()
    seen = [await anext(lines) for _ in range(3)]
    twin.write(uid, b"one\ntw")
    seen.append(await anext(lines))
    twin.write(uid, b"o\nthree\n")
    seen.append(await anext(lines))
    assert brief(seen)[3:] == ["0: 'one\\n'", "0: 'two\\nthree\\n'"]
    assert twin.watched == [(uid, True)]
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    assert brief([line async for line in lines]) == ["step.finished 0", "job.finished", "run.finished"]
    assert twin.watched == [(uid, True), (uid, False)]
    talk.close()


async def test_a_prompt_is_shown_after_a_silence(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    talk = await follow(path, run)
    twin.begin(uid)
    twin.begin_step(uid, 0)
    lines = talk.lines()
    for _ in range(3):
        await anext(lines)
    twin.write(uid, "Name? ü".encode()[:-1])
    assert (await anext(lines))["log"]["text"] == "Name? "
    twin.write(uid, "ü".encode()[1:] + b"\n")
    assert (await anext(lines))["log"]["text"] == "ü\n"
    talk.close()


async def test_growth_without_a_notice_is_seen_within_a_second(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    talk = await follow(path, run)
    twin.begin(uid)
    twin.begin_step(uid, 0)
    lines = talk.lines()
    for _ in range(3):
        await anext(lines)
    await asyncio.sleep(0.1)
    twin.write(uid, b"hush\n", notify=False)
    assert (await anext(lines))["log"]["text"] == "hush\n"
    talk.close()


async def test_text_that_is_in_the_file_before_its_step_is_told_goes_to_that_step(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    talk = await follow(path, run)
    twin.begin(uid)
    twin.begin_step(uid, 0)
    lines = talk.lines()
    seen = [await anext(lines) for _ in range(3)]
    await asyncio.sleep(0.05)  # watched by now
    twin.write(uid, b"of 0\n")
    mark = twin.size(uid)
    twin.write(uid, b"of 1\n")
    await asyncio.sleep(0.01)
    log = twin.logs[uid]
    twin.logs[uid] = replace(log, steps=(replace(log.steps[0], end=mark),))
    known = {"job": "test", "uid": uid, "attempt": 1, "id": "", "name": ""}
    twin.tell(
        ("step.finished", run, {**known, "step": 0, "from": 0, "to": mark}), ("step.started", run, {**known, "step": 1, "from": mark})
    )
    seen += [await anext(lines) for _ in range(4)]
    assert brief(seen)[3:] == ["0: 'of 0\\n'", "step.finished 0", "step.started 1", "1: 'of 1\\n'"]
    talk.close()


async def test_text_outside_of_steps_has_no_step(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.write(uid, b"before\n")
    twin.begin_step(uid, 0)
    twin.write(uid, b"in\n")
    twin.end_step(uid, 0)
    twin.write(uid, b"after\n")
    twin.finish(uid)
    twin.finish_run(run)
    found = brief(await followed(path, run))
    assert [line for line in found if ": " in line] == ["None: 'before\\n'", "0: 'in\\n'", "None: 'after\\n'"]
    assert found.index("None: 'before\\n'") < found.index("step.started 0")
    assert found.index("None: 'after\\n'") < found.index("job.finished")


async def test_a_large_text_comes_whole_and_in_pieces(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    text = "".join(f"line {number} ü\n" for number in range(60_000)) + "€" * 200_000
    twin.begin(uid)
    twin.begin_step(uid, 0)
    twin.write(uid, text.encode())
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    found = await followed(path, run)
    assert texts(found, uid) == text
    assert max(len(line["log"]["text"].encode()) for line in found if "log" in line) <= 64 * 1024


async def test_a_silent_or_skipped_job_needs_no_file(twin: Twin, path: str) -> None:
    run = twin.run(("a", "b"))
    twin.begin(f"{run}.a")
    twin.begin_step(f"{run}.a", 0)
    twin.end_step(f"{run}.a", 0)
    twin.finish(f"{run}.a")
    twin.finish(f"{run}.b", "skipped")
    twin.finish_run(run)
    kinds = ["run.created", "job.started", "step.started 0", "step.finished 0", "job.finished", "job.finished", "run.finished"]
    assert brief(await followed(path, run)) == kinds


async def test_a_former_attempts_events_come_without_its_text(twin: Twin, path: str) -> None:
    run, uid = whole_run(twin)
    twin.logs[uid] = replace(twin.logs[uid], attempt=2, path=f"{twin.logs[uid].path}.2", ended=False, steps=())
    twin.tell(("run.retried", run, {"attempt": 2}), ("job.queued", run, {"job": "test", "uid": uid, "attempt": 2}))
    twin.begin(uid)
    twin.begin_step(uid, 0)
    twin.write(uid, b"again\n")
    twin.end_step(uid, 0)
    twin.finish(uid)
    twin.finish_run(run)
    found = brief(await followed(path, run))
    assert [line for line in found if ": " in line] == ["0: 'again\\n'"]
    assert [line for line in found if line.startswith("run.")] == ["run.created", "run.finished", "run.retried", "run.finished"]


async def test_following_a_retry_ends_with_the_present_attempt(twin: Twin, path: str) -> None:
    run, uid = whole_run(twin)
    since = len(twin.journal)
    twin.runs[run]["status"] = "queued"
    talk = await follow(path, run, f"since={since}")
    twin.tell(("run.retried", run, {"attempt": 2}), ("job.queued", run, {"job": "test", "uid": uid, "attempt": 2}))
    await asyncio.sleep(0.02)
    twin.finish_run(run)
    assert brief([line async for line in talk.lines()]) == ["run.retried", "job.queued", "run.finished"]
    talk.close()


@pytest.mark.parametrize("seed", range(8))
async def test_a_client_that_reconnects_anywhere_gets_every_byte_and_event_once(twin: Twin, path: str, seed: int) -> None:
    dice = random.Random(seed)
    run = twin.run(("a", "b"))
    wanted = {f"{run}.{key}": "" for key in "ab"}

    async def work(uid: str) -> None:
        twin.begin(uid)
        for step in range(6):
            twin.begin_step(uid, step)
            for _ in range(dice.randrange(4)):
                text = f"{step} {dice.random()} ü€\n" * dice.randrange(1, 300)
                wanted[uid] += text
                cut = dice.randrange(len(text))
                twin.write(uid, text[:cut].encode())
                await asyncio.sleep(dice.choice([0, 0.005, 0.05]))
                twin.write(uid, text[cut:].encode())
            twin.end_step(uid, step)
        twin.finish(uid)

    async def all_of_it() -> None:
        await asyncio.gather(*(work(uid) for uid in wanted))
        twin.finish_run(run)

    working = asyncio.create_task(all_of_it())
    seen: list[dict[str, Any]] = []
    since, at, reconnects = 0, {}, 0
    while not seen or seen[-1].get("kind") != "run.finished":
        query = f"since={since}&log=true" + "".join(f"&at={uid}:{byte}" for uid, byte in at.items())
        talk = await follow(path, run, query)
        patience = dice.randrange(1, 12)
        async for line in talk.lines():
            seen.append(line)
            if "log" in line:
                at[line["log"]["uid"]] = line["log"]["to"]
            else:
                since = line["seq"]
            patience -= 1
            if not patience:
                break
        reconnects += 1
        talk.close()
    await working
    assert reconnects > 1
    assert [line["seq"] for line in seen if "seq" in line] == [event.seq for event in twin.journal]
    for uid, text in wanted.items():
        assert texts(seen, uid) == text
        told: dict[int, int] = {}
        for line in seen:
            if line.get("log", {}).get("uid") == uid:
                told[line["log"]["step"]] = line["log"]["to"]
            elif line.get("kind") == "step.finished" and line["data"]["uid"] == uid and line["data"]["to"] > line["data"]["from"]:
                assert told[line["data"]["step"]] == line["data"]["to"]


async def test_a_follower_that_comes_late_gets_the_text_of_running_jobs(twin: Twin, path: str) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    twin.write(uid, b"early\n")
    twin.end_step(uid, 0)
    twin.begin_step(uid, 1)
    twin.write(uid, b"late\n")
    talk = await follow(path, run, f"since={len(twin.journal)}&log=true")
    lines = talk.lines()
    assert brief([await anext(lines), await anext(lines)]) == ["0: 'early\\n'", "1: 'late\\n'"]
    talk.close()
    talk = await follow(path, run, f"since={len(twin.journal)}&log=true&at={uid}:8")
    assert brief([await anext(talk.lines())]) == ["1: 'te\\n'"]
    talk.close()


async def test_many_followers_of_one_job_read_its_log_about_once(twin: Twin, path: str, reads: list[tuple[int, int]]) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    talks = [await follow(path, run) for _ in range(50)]
    streams = [talk.lines() for talk in talks]
    for stream in streams:
        for _ in range(3):
            await anext(stream)
    await asyncio.sleep(0.1)
    twin.write(uid, b"hello\n" * 100)
    for stream in streams:
        assert (await anext(stream))["log"]["text"] == "hello\n" * 100
    assert 0 < len(reads) <= 5
    for talk in talks:
        talk.close()


async def test_a_wide_run_of_silent_jobs_asks_for_no_log(twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = twin.run(tuple(f"j{number}" for number in range(50)))
    for number in range(50):
        uid = f"{run}.j{number}"
        twin.begin(uid)
        twin.begin_step(uid, 0)
        twin.end_step(uid, 0)
        twin.finish(uid, log_bytes=0)
    twin.finish_run(run)
    asked_for: list[str] = []
    monkeypatch.setattr(twin, "job_log", asked_for.append)
    assert len(await followed(path, run)) == 1 + 4 * 50 + 1
    assert asked_for == []


async def test_jobs_from_the_cache_are_told_with_their_text_and_nobody_asks_the_store(
    twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = twin.run(("a", "b"))
    for uid in (f"{run}.a", f"{run}.b"):
        twin.restore(uid, *(f"step {step} of {uid}\n".encode() for step in (0, 1)))
    twin.finish_run(run)
    asked_for: list[str] = []
    monkeypatch.setattr(twin, "job_log", asked_for.append)

    lines = await followed(path, run)

    told = [line for uid in ("a", "b") for step in (0, 1) for line in (f"{step}: 'step {step} of {run}.{uid}\\n'", f"step.finished {step}")]
    assert brief(lines) == ["run.created", *told[:4], "job.finished", *told[4:], "job.finished", "run.finished"]
    assert asked_for == []


async def test_a_follower_that_leaves_is_forgotten_everywhere(twin: Twin, path: str, caplog: pytest.LogCaptureFixture) -> None:
    run = twin.run()
    uid = f"{run}.test"
    twin.begin(uid)
    twin.begin_step(uid, 0)
    talks = [await follow(path, run) for _ in range(5)]
    while not twin.log_watch.watched(uid):
        await asyncio.sleep(0.005)
    for talk in talks:
        talk.close()
    while twin.feed.followers:
        await asyncio.sleep(0.001)
    assert not twin.log_watch.watched(uid)
    assert caplog.records == []
