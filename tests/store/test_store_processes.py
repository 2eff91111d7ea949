"""Several processes on one state file, and processes that are killed while they write."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparki_daemon.store import jobs, journal, runs
from sparki_daemon.store.sqlite import SqliteStore

WRITERS = Path(__file__).with_name("store_writers.py")


def writers(state: Path, name: str, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITERS), str(state), name, str(limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def acknowledged(output: str) -> set[tuple[str, str, int]]:
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {(uid, status, int(epoch)) for uid, status, epoch in lines}


async def check(state: Path, told: set[tuple[str, str, int]]) -> int:
    """Everything acknowledged is there, no seq is missing, and rows and events agree; how many events there are."""
    store = SqliteStore.open(str(state))
    events = await store.read(lambda tx: journal.since(tx, 0, limit=10**9))
    head = await store.read(journal.head)
    rows = [row for run in await store.read(lambda tx: runs.listing(tx, limit=10**9)) for row in await of_run(store, run.id)]
    states = {row.id: row.state.value for row in await store.read(lambda tx: runs.listing(tx, limit=10**9))}
    await store.close()

    assert [event.seq for event in events] == list(range(1, head + 1))
    job_events = [event for event in events if event.kind.startswith("job.")]
    assert told <= {(event.data["uid"], event.data["status"], event.data["epoch"]) for event in job_events}

    last = {event.data["uid"]: (event.data["status"], event.data["epoch"]) for event in job_events}
    assert {row.uid: (row.state.public, row.epoch) for row in rows} == {row.uid: ("queued", 0) for row in rows} | last
    ends = {event.stream: event.data["status"] for event in events if event.kind == "run.finished"}
    assert states == {event.stream: "running" for event in events if event.kind == "run.created"} | ends
    return head


async def of_run(store: SqliteStore, run: str) -> list[jobs.JobRow]:
    return await store.read(lambda tx: jobs.of_run(tx, run))


async def kill_and_look(state: Path, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    told: set[tuple[str, str, int]] = set()
    heads = [0]
    for turn in range(rounds):
        process = writers(state, f"w{turn}")
        time.sleep(dice.uniform(0.01, 0.15))
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=30)
        told |= acknowledged(output)
        heads.append(await check(state, told))

    assert heads == sorted(heads)
    assert heads[-1] > 0
    assert told


async def test_what_a_killed_process_had_acknowledged_is_there(tmp_path: Path) -> None:
    await kill_and_look(tmp_path / "state.db", rounds=3, seed=1)


@pytest.mark.slow
async def test_what_killed_processes_had_acknowledged_is_there_over_many_kills(tmp_path: Path) -> None:
    await kill_and_look(tmp_path / "state.db", rounds=30, seed=2)


async def test_one_of_two_writing_processes_killed_leaves_the_other_writing(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    staying, victim = writers(state, "stays", limit=30), writers(state, "dies")
    time.sleep(0.1)
    victim.kill()
    lost_output, _ = victim.communicate(timeout=30)
    output, _ = staying.communicate(timeout=30)

    assert staying.returncode == 0
    assert len(acknowledged(output)) == 3 * 30 * 4  # five moves a job: assigned and returned look alike
    await check(state, acknowledged(output) | acknowledged(lost_output))


async def test_two_processes_write_one_file_and_nobody_is_told_that_it_is_locked(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    one, other = writers(state, "one", limit=25), writers(state, "other", limit=25)
    outputs = [process.communicate(timeout=50)[0] for process in (one, other)]

    assert (one.returncode, other.returncode) == (0, 0)
    assert [len(acknowledged(output)) for output in outputs] == [3 * 25 * 4] * 2
    assert await check(state, acknowledged("".join(outputs))) == 2 * 3 * 25 * 8


async def test_a_file_that_another_program_keeps_locked_is_waited_for(tmp_path: Path) -> None:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    shell = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    writing = asyncio.create_task(store.write(lambda tx: tx.append("a", stream="r-1")))
    await asyncio.sleep(2.5)  # longer than SQLite's own patience, as we set it
    waited = not writing.done()
    assert await store.read(journal.head) == 0
    shell.execute("ROLLBACK")
    shell.close()

    assert (await writing).seq == 1
    assert waited
    await store.close()
