"""A thousand deployments queued to a hundred targets, brought on by a real loco process with an adapter that only waits."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.clock import memory_kib
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.queue.protocol import DEPLOYMENTS
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.deployments import NewDeployment
from sparki_daemon.store.releases import NewRelease
from sparki_daemon.store.sqlite import SqliteStore

ROOT = str(Path(__file__).parent.parent)
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.executable, [sys.executable, "-m", "sparki_daemon", "loco", "--home", sys.argv[2]])
"""
QUIET_S = 60.0  # without the end of any deployment: it hangs


@dataclass(frozen=True)
class Crowd:
    """What became of them."""

    states: Counter[str]
    seconds: float  # until the last had ended
    longest_s: float  # without the end of any
    cpu_s: float
    peak_mib: float
    at_once: int  # the most deployments that any one target had between a first and a last step


def brought(folder: Path, count: int = 1000, targets: int = 100) -> Crowd:
    """Queue them in a new state folder, and have a loco bring them all to their ends."""
    home, book = folder / "home", folder / "book"
    home.mkdir(parents=True)
    book.touch()
    asyncio.run(_fill(home, count, targets))
    info = folder / "side" / "sparki_crowd-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sparki-crowd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sparki.adapters]\ncrowd = benchmarks.crowd_adapter:ADAPTER\n")
    environment = {**os.environ, "CROWD_BOOK": str(book), "PYTHONPATH": f"{folder / 'side'}{os.pathsep}{ROOT}"}
    read, write = os.pipe()  # its end is the supervisor's death
    begin = time.monotonic()
    with (folder / "loco.log").open("wb") as log:
        words = [sys.executable, "-c", START, str(read), str(home)]
        loco = subprocess.Popen(words, env=environment, pass_fds=(read,), stdout=log, stderr=log)
    try:
        _wait(home, loco, folder / "loco.log")
        seconds, peak = time.monotonic() - begin, memory_kib(loco.pid, "VmHWM") / 1024
    finally:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        loco.terminate()
        loco.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.close(read)
        os.close(write)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    states, longest_s = _ends(home)
    return Crowd(states, seconds, longest_s, cpu_s, peak, _at_once(book))


async def _fill(home: Path, count: int, targets: int) -> None:
    store = SqliteStore.open(str(home / "state.db"))

    async def work(tx) -> None:
        for number in range(count):
            target, environment = number % targets, f"{number % targets}-{number // targets}"
            await environments.find_or_add(tx, "p-1", environment, adapter="crowd")
            release = NewRelease(
                id=f"v-{number}",
                project="p-1",
                environment=environment,
                commit=f"{number:040}",
                tree="t",
                subject="",
                run="",
                artifact={"kind": "source"},
                settings={"adapter": "crowd"},
                settings_digest="",
                secrets=(),
                author="ann",
            )
            await releases.create(tx, release)
            new = NewDeployment(id=f"d-{number}", project="p-1", environment=environment, target=f"p-1/{target}", release=f"v-{number}")
            await deployments.create(tx, new)
            await EmbeddedQueue().put(tx, DEPLOYMENTS, [new.id])

    await store.write(work)
    await store.close()


def _wait(home: Path, loco: subprocess.Popen[bytes], log: Path) -> None:
    left, since = -1, time.monotonic()
    while left:
        (now,) = _asked(home, "SELECT count(*) FROM deployments WHERE state NOT IN ('live', 'failed', 'reverted', 'cancelled')")[0]
        if now != left:
            left, since = now, time.monotonic()
        if loco.poll() is not None or time.monotonic() - since > QUIET_S:
            raise RuntimeError(f"{left} deployments are left, and nothing happens:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _ends(home: Path) -> tuple[Counter[str], float]:
    rows = _asked(home, "SELECT state, started, finished FROM deployments")
    ends = sorted(datetime.fromisoformat(finished) for _, _, finished in rows)
    begin = min(datetime.fromisoformat(started) for _, started, _ in rows)
    longest = max((later - earlier).total_seconds() for earlier, later in zip([begin, *ends], ends, strict=False))
    return Counter(state for state, _, _ in rows), longest


def _at_once(book: Path) -> int:
    """Follows the book: a target is taken from a deployment's first line to its last."""
    lines = [line.split() for line in book.read_text().splitlines()]
    last = {deployment: at for at, (_, deployment, _, _) in enumerate(lines)}
    taken: dict[str, set[str]] = {}
    most = 0
    for at, (target, deployment, _, _) in enumerate(lines):
        there = taken.setdefault(target, set())
        there.add(deployment)
        most = max(most, len(there))
        if last[deployment] == at:
            there.remove(deployment)
    return most


def _asked(home: Path, sql: str) -> list[tuple]:
    database = sqlite3.connect(f"file:{home / 'state.db'}?mode=ro", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()
