"""A place to measure in: throw-away repositories, a daemon with a state folder of its own, and the programs to compare with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.clock import Action, command, environment, memory_kib

BIN = Path(sys.prefix, "bin")
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0", "-c", "init.defaultBranch=main"]


class Desk:
    """Use as a context: everything is gone afterwards, the daemon too."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sparki-bench-"))
        self.home = self.folder / "state"
        act_home = self.folder / "act-home"
        act_home.mkdir()
        (act_home / ".actrc").write_text("-P ubuntu-latest=-self-hosted\n")
        self.env = environment(SPARKI_HOME=str(self.home))
        self.act_env = environment(HOME=str(act_home), XDG_CONFIG_HOME=str(act_home), XDG_CACHE_HOME=str(act_home / "cache"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run([BIN / "sparki", "daemon", "stop", "--force"], env=self.env, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def repository(self, name: str, files: dict[str, str]) -> Path:
        """A git repository with these files, committed."""
        root = self.folder / name
        for path, text in files.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "bench"]):
            subprocess.run([*GIT, *words], cwd=root, check=True)
        return root

    def sparki(self, cwd: Path, *words: str) -> Action:
        return command([BIN / "sparki", *words], cwd=cwd, env=self.env)

    def act(self, cwd: Path) -> Action:
        return command([BIN / "act"], cwd=cwd, env=self.act_env)

    def tool(self, cwd: Path, *words: str) -> Action:
        """A program of this virtual environment, else of PATH."""
        own = BIN / words[0]
        return command([own if own.exists() else words[0], *words[1:]], cwd=cwd, env=environment())

    def peak_mib(self, cwd: Path, *words: str) -> float:
        """The peak of a command of ours. A small process starts it: one of ours would hand down its own peak."""
        script = "import os, resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)"
        script += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        words = (str(Path(sys.executable)), "-c", script, str(BIN / "sparki"), *words)
        return int(subprocess.run(words, cwd=cwd, env=self.env, capture_output=True, check=True).stdout) / 1024

    def pids(self, cwd: Path) -> dict[str, int]:
        """The daemon's processes."""
        told = json.loads(bytes(self.sparki(cwd, "daemon", "status", "--json")()))["processes"]  # type: ignore[arg-type]
        found = {"supervisor": told["supervisor"]["pid"], "engine": told["engine"]["pid"]}
        return found | {f"runner {number}": runner["pid"] for number, runner in enumerate(told["runners"], 1)}

    def settled(self) -> None:
        """Wait until what the last round left to be written back no longer disturbs the next."""
        os.sync()
        time.sleep(0.05)


def peaks_mib(pids: dict[str, int]) -> dict[str, float]:
    return {name: memory_kib(pid, "VmHWM") / 1024 for name, pid in pids.items()}


def idle_mib(pids: dict[str, int]) -> float:
    return sum(memory_kib(pid, "Pss", "smaps_rollup") for pid in pids.values()) / 1024
