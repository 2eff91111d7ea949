"""What past runs tell: which jobs are flaky, slower than usual, expensive, and since when a pipeline is broken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from sparki_daemon.model.dataclass import dataclass

USUAL = 20  # how many of a job's good ends before it say what is usual
FEWEST = 5  # with fewer of them nothing is usual
NOTABLE, NOTABLE_MS = 1.2, 100  # times and milliseconds over the median from which slower is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One job that succeeded or failed. `failed_before`: an earlier attempt at it, so on the same tree, had a step that failed."""

    run: str
    file: str
    pipeline: str
    tree: str
    key: str
    name: str
    good: bool
    cached: bool
    started: str
    finished: str
    failed_before: bool

    @property
    def took_ms(self) -> int | None:
        """How long it took; None for one that never began, or came from the cache: that says nothing of the work."""
        if not self.started or not self.finished or self.cached:
            return None
        return int((datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """One run of a pipeline: its state's name, and the commit that it was on."""

    id: str
    state: str
    commit: str


def flaky(ended: Iterable[Ended]) -> list[dict[str, Any]]:
    """Jobs that came to different results on the same tree, the most often different first. `ended`: newest first."""
    by_tree: dict[tuple[str, str, str], list[Ended]] = {}
    for one in ended:
        if one.tree:
            by_tree.setdefault((one.file, one.key, one.tree), []).append(one)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for (file, key, _), same in by_tree.items():
        good = next((one.run for one in same if one.good), None)
        bad = next((one.run for one in same if not one.good or one.failed_before), None)
        if good is None or bad is None:
            continue
        entry = found.setdefault((file, key), {**_about(same[0]), "trees": 0, "passed": good, "failed": bad})
        entry["trees"] += 1
    return sorted(found.values(), key=lambda entry: -entry["trees"])


def slow(ended: Iterable[Ended]) -> list[dict[str, Any]]:
    """Jobs whose last good end took longer than each of the (up to) 20 before it, and notably so; the slowest by factor first."""
    times: dict[tuple[str, str], list[tuple[Ended, int]]] = {}
    for one in ended:
        took = one.took_ms
        if one.good and took is not None:
            kept = times.setdefault((one.file, one.key), [])
            if len(kept) <= USUAL:
                kept.append((one, took))
    found = []
    for (last, took), *before in times.values():
        usual = [ms for _, ms in before]
        if is_slow(took, usual):
            found.append({**_about(last), "run": last.run, "took_ms": took, "usual_ms": int(median(usual))})
    return sorted(found, key=lambda entry: -entry["took_ms"] / max(1, entry["usual_ms"]))


def is_slow(took_ms: int, before_ms: Sequence[int]) -> bool:
    """Whether a time is longer than each before it, and notably longer than what is usual."""
    if len(before_ms) < FEWEST or took_ms <= max(before_ms):
        return False
    usual = median(before_ms)
    return took_ms >= usual * NOTABLE and took_ms - usual >= NOTABLE_MS


def expensive(ended: Iterable[Ended]) -> list[dict[str, Any]]:
    """Jobs by the time that they took in all, the dearest first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in ended:
        took = one.took_ms
        if took is not None:
            entry = found.setdefault((one.file, one.key), {**_about(one), "runs": 0, "total_ms": 0})
            entry["runs"] += 1
            entry["total_ms"] += took
    return sorted(found.values(), key=lambda entry: -entry["total_ms"])


def broken_since(ends: Sequence[RunEnd], *, more: bool = False) -> dict[str, Any] | None:
    """Where the first of `ends` (newest first) is red: the oldest red run after the last green one, and that one. None: it is green.

    Runs that were cancelled, or go on, say nothing. `more`: there are older ones that were not looked at, so without a green one
    among these it is broken at least since the oldest.
    """
    telling = [end for end in ends if end.state in ("success", "failure", "lost")]
    if not telling or not ends or telling[0] is not ends[0] or telling[0].state == "success":
        return None
    red = telling[0]
    good: RunEnd | None = None
    for end in telling[1:]:
        if end.state == "success":
            good = end
            break
        red = end
    return {
        "run": red.id,
        "commit": red.commit,
        "last_good": {"run": good.id, "commit": good.commit} if good else None,
        "at_least": more and good is None,
    }


def of_run(run: str, ends: Sequence[RunEnd], ended: Sequence[Ended], *, more: bool = False) -> dict[str, Any]:
    """What the past says of one run: since when its pipeline is broken, and which of its jobs are flaky, or were slower than usual.

    `more`: see `broken_since`.
    """
    mine = {one.key for one in ended if one.run == run}
    return {
        "broken_since": broken_since(ends, more=more),
        "flaky": [entry for entry in flaky(ended) if entry["job"] in mine],
        "slow": [entry for entry in slow(ended) if entry["run"] == run],
    }


def _about(one: Ended) -> dict[str, Any]:
    return {"job": one.key, "name": one.name, "pipeline": one.pipeline, "file": one.file}
