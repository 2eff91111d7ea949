"""A repository with workflows, and the real `sparki` in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SPARKI = str(Path(sys.executable).with_name("sparki"))
KEPT = ("PATH", "LANG", "HOME", "SPARKI_NO_PID_NAMESPACE")


class Repository:
    """`temp` is where temporary folders go, so that a test sees what is left there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.temp = folder / "t"
        self.home = folder / "home"
        self.temp.mkdir()
        (self.root / ".github" / "workflows").mkdir(parents=True)
        self.env = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.env |= {"TMPDIR": str(self.temp), "SPARKI_HOME": str(self.home)}
        self._git("init", "-q", "-b", "main")

    def _git(self, *words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=self.root, check=True)

    def workflow(self, name: str, text: str) -> None:
        (self.root / ".github" / "workflows" / f"{name}.yml").write_text(text)

    def commit(self) -> None:
        self._git("add", "-A")
        self._git("commit", "-qm", "x")

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SPARKI, *words],
            cwd=self.root,
            env=self.env | env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def sparki(self, *words: str, patience_s: float = 50, **env: str) -> subprocess.CompletedProcess[str]:
        started = self.start(*words, **env)
        out, err = started.communicate(timeout=patience_s)
        return subprocess.CompletedProcess(words, started.returncode, out, err)

    def processes(self, mark: str) -> list[int]:
        """Living processes with `mark` in their command lines."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words and int(entry) != os.getpid():
                found.append(int(entry))
        return found

    def end(self, mark: str) -> None:
        for pid in self.processes(mark):
            os.kill(pid, signal.SIGKILL)
