"""Times things side by side: one round of each in turn, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Action = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """What one thing took, in milliseconds."""

    times: tuple[float, ...]

    @property
    def middle(self) -> float:
        return median(self.times)

    @property
    def best(self) -> float:
        return min(self.times)


def side_by_side(cases: Mapping[str, Action], rounds: int, *, between: Action = lambda: None) -> dict[str, Figure]:
    """Each case once a round; `between` runs untimed before each. The first round warms up and doesn't count."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, action in cases.items():
            between()
            begin = time.perf_counter()
            action()
            taken = (time.perf_counter() - begin) * 1000
            if number:
                times[name].append(taken)
    return {name: Figure(tuple(taken)) for name, taken in times.items()}


def command(words: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> Action:
    """A program whose output goes through a pipe, as a script that calls it would read it. Raises SystemExit when it fails."""

    def act() -> bytes:
        done = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{words}: exit code {done.returncode}\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
        return done.stdout

    return act


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would make each start of Python compile its modules anew."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    return {**env, "NO_COLOR": "1", **more}


def memory_kib(pid: int, key: str, file: str = "status") -> int:
    """A figure of /proc/PID/status (VmHWM, the peak) or smaps_rollup (Pss); 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0
