"""What the front costs, and what a switch, a killed front and a killed keeper cost those who are being served."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from benchmarks import deploy_waits
from benchmarks.deploy_crowd import brought
from benchmarks.desk import Desk
from benchmarks.report import Row, megabytes
from sparki_daemon.loco.keeper.client import Keeper

SWITCHES, KILLS = 20, 3
CROWD, TARGETS = 1000, 100
ROUND_S = 0.5
COMMAND = f"exec {sys.executable} -m benchmarks.deploy_service"
ROOT = str(Path(__file__).parent.parent)


class Stage:
    """One environment with its keeper; use as a context."""

    def __init__(self, folder: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.keeper = Keeper(folder, deployment="bench", epoch=1)

    def __enter__(self) -> Self:
        self.keeper.ensure_front(f"127.0.0.1:{self.port}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.keeper.down(grace_s=2)

    def start(self, release: str) -> int:
        """A release's service, started and listening; its own port."""
        self.keeper.start_service(release, COMMAND, ROOT, variables={}, secrets={})
        while True:
            service = self.keeper.status().services[release]
            if service.listening:
                return service.port
            time.sleep(0.005)

    def switch(self, old: str, new: str) -> float:
        """The recipe: start, cut, wait until nothing is in flight, end the old. Milliseconds of the cut itself."""
        self.start(new)
        begin = time.perf_counter()
        self.keeper.set_upstream(new)
        taken = (time.perf_counter() - begin) * 1000
        while self.keeper.status().counted(old).in_flight:
            time.sleep(0.01)
        self.keeper.stop_service(old, grace_s=5)
        return taken

    def load(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "benchmarks.deploy_load", str(self.port), "mixed"]
        process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        return process


def ended(load: subprocess.Popen[str]) -> dict[str, Any]:
    return dict(json.loads(load.communicate()[0]))


def measured(port: int, kind: str) -> float:
    words = [sys.executable, "-m", "benchmarks.deploy_load", str(port), kind, str(ROUND_S)]
    return float(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout)


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    yield from deploy_waits.rows(desk, rounds)
    with Stage(str(desk.folder / "environment")) as stage:
        direct = stage.start("r-0")
        stage.keeper.set_upstream("r-0")
        yield from cost(stage, direct, rounds)
        yield from switches(stage)
        yield from kills(stage)
    yield from crowd(desk)


def cost(stage: Stage, direct: int, rounds: int) -> Iterator[Row]:
    """Side by side, in turns; the first round warms up."""
    times: dict[tuple[str, int], list[float]] = {}
    front, pid = stage.port, stage.keeper.status().front_pid
    service = stage.keeper.status().services["r-0"].pid
    spent: dict[int | None, float] = dict.fromkeys((pid, service), 0.0)
    requests = 0
    for number in range(rounds + 1):
        for kind in ("one", "many"):
            for port in (direct, front):
                before, counted = {who: cpu_s(who) for who in spent}, stage.keeper.status().counted("r-0").requests
                figure = measured(port, kind)
                if not number:
                    continue
                times.setdefault((kind, port), []).append(figure)
                if port == front:
                    spent = {who: spent[who] + cpu_s(who) - before[who] for who in spent}
                    requests += stage.keeper.status().counted("r-0").requests - counted
    middle = {key: median(found) for key, found in times.items()}
    added_us = middle["one", front] - middle["one", direct]
    ours, other = (f"{middle['one', port]:.0f} µs (best {min(times['one', port]):.0f})" for port in (front, direct))
    yield Row("the front: milliseconds that it adds to a request", ours, f"direct: {other}", added_us / 1000, 0.15)
    share = middle["many", front] / middle["many", direct]
    ours, other = (f"{middle['many', port]:.0f}/s (best {max(times['many', port]):.0f})" for port in (front, direct))
    yield Row("the front: share of the requests a second, 16 connections", ours, f"direct: {other}", share, 0.3, at_least=True)
    own_us, its_us = (spent[who] / requests * 1e6 for who in (pid, service))
    yield Row("the front: processor time of a request", f"{own_us:.0f} µs", f"the service: {its_us:.0f} µs", own_us / its_us)


def cpu_s(pid: int | None) -> float:
    """Processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(stage: Stage) -> Iterator[Row]:
    load = stage.load()
    cuts_ms = [stage.switch(f"r-{number}", f"r-{number + 1}") for number in range(SWITCHES)]
    told = ended(load)
    rate = told["answers"] / told["seconds"]
    counted = stage.keeper.status().counts.values()
    what, failed = f"{SWITCHES} switches under load", sum(told["failed"].values())
    yield Row(f"{what}: requests a second", f"{rate:.0f}/s", "wanted: 200/s", rate, 200, at_least=True)
    yield Row(f"{what}: failed requests", f"{failed} of {told['answers'] + failed}", "wanted: 0", failed, 0)
    yield Row(f"{what}: resets of idle connections", str(told["resets"]), "wanted: 0", told["resets"], 0)
    dropped = sum(one.dropped for one in counted)
    yield Row(f"{what}: dropped, as the front counts", f"{dropped} of {sum(one.requests for one in counted)}", "wanted: 0", dropped, 0)
    yield Row("a cut, told and held, milliseconds", f"{median(cuts_ms):.1f} ms", f"most: {max(cuts_ms):.1f} ms", median(cuts_ms))


def kills(stage: Stage) -> Iterator[Row]:
    for who in ("front", "keeper"):
        load = stage.load()
        for _ in range(KILLS):
            time.sleep(0.5)
            status = stage.keeper.status()
            pid = status.front_pid if who == "front" else status.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            time.sleep(1.5)
        told = ended(load)
        refused = sum(count for error, count in told["failed"].items() if "Refused" in error)
        failed = sum(told["failed"].values())
        what = f"SIGKILL of the {who}, {KILLS} times under load"
        yield Row(f"{what}: refused connections", f"{refused} of {told['answers'] + failed}", "wanted: 0", refused, 0)
        goal = 0 if who == "keeper" else None
        yield Row(f"{what}: answers cut in flight", str(failed - refused), "", failed - refused, goal)


def crowd(desk: Desk) -> Iterator[Row]:
    found = brought(desk.folder / "crowd", CROWD, TARGETS)
    what = f"{CROWD} deployments queued to {TARGETS} targets"
    yield Row(f"{what}: went live", f"{found.states['live']} in {found.seconds:.0f} s", "", found.states["live"] / CROWD, 1, at_least=True)
    yield Row(f"{what}: at one target at once", f"{found.at_once}", "wanted: 1", found.at_once, 1)
    yield megabytes(f"{what}: peak of loco", found.peak_mib, 80)
    yield Row(f"{what}: longest without an end", f"{found.longest_s:.1f} s", f"processor time: {found.cpu_s:.0f} s", found.longest_s)
