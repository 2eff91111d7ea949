"""A state folder, a repository whose steps keep book of what they write, and a hand that kills; with checks of what must hold after."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparki_daemon.system import files, nonce, process

SPARKI = str(Path(sys.executable).parent / "sparki")
TERMINAL = {"success", "failure", "cancelled", "skipped", "lost"}
PATIENCE_S = 40.0

STEP = """\
      - shell: sh
        run: |
          {first}
          echo "$SPARKI_JOB {step}" >> {side}/started
          i=0
          while [ $i -lt {lines} ]; do
            i=$((i+1))
            echo "{job}.{step}.$i $(cat {side}/secret)"
            echo $i >> "{side}/wrote.$SPARKI_JOB.{step}"
          done
"""
FIRST = """\
echo "::add-mask::$(cat {side}/secret)"
          (setsid sleep {marker} >/dev/null 2>&1 &)
          (env -i setsid sleep {bare_marker} >/dev/null 2>&1 &)"""


class Gone(Exception):  # noqa: N818  # reads as what happened
    """What was waited for did not come."""


@dataclass
class Bench:
    """Use `started` → `kill` → `follower_ends` → `check`."""

    folder: Path
    namespaces: bool = True
    jobs: int = 4
    chain: int = 1
    steps: int = 3
    lines: int = 12

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.repo = self.folder / "repo"
        self.side = self.folder / "side"
        for place in (self.side, self.repo / ".github/workflows"):
            place.mkdir(parents=True)
        number = random.SystemRandom().randrange(10**8, 10**9)
        self.marker, self.bare_marker = f"{number}.1", f"{number}.2"
        self.secret = f"sesame-{number}-open"
        (self.side / "secret").write_text(self.secret)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("SPARKI_", "GIT_"))}
        self.env |= {"SPARKI_HOME": str(self.home), "NO_COLOR": "1"}
        if not self.namespaces:
            self.env["SPARKI_NO_PID_NAMESPACE"] = "1"
        self.write_workflow(self.workflow())
        self.books = True

    def workflow(self) -> str:
        """`jobs` legs, each followed by `chain` more jobs one after the other."""
        text = "on: push\njobs:\n"
        for leg in range(self.jobs):
            for link in range(self.chain + 1):
                name = f"j{leg}-{link}"
                needs = f"    needs: j{leg}-{link - 1}\n" if link else ""
                text += f"  {name}:\n    runs-on: ubuntu-latest\n{needs}    steps:\n"
                for step in range(self.steps):
                    first = FIRST.format(side=self.side, marker=self.marker, bare_marker=self.bare_marker) if step == 0 else ":"
                    text += STEP.format(first=first, step=step, side=self.side, lines=self.lines, job=name)
        return text

    def write_workflow(self, text: str) -> None:
        """Make `text` the repository's only workflow, committed."""
        self.books = False
        (self.repo / ".github/workflows/ci.yml").write_text(text)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(self.repo)]
        if not (self.repo / ".git").exists():
            subprocess.run([*git, "init", "-q", "-b", "main"], check=True, env=self.env)
        subprocess.run([*git, "add", "-A"], check=True, env=self.env)
        subprocess.run([*git, "commit", "-q", "-m", "work"], check=True, env=self.env)

    # -- the command line ----------------------------------------------------------------------------------------------

    def sparki(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """A command to its end; with `ok` it must exit with 0."""
        done = subprocess.run(
            [SPARKI, *arguments], cwd=self.repo, env=self.env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if ok and done.returncode:
            raise AssertionError(f"sparki {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}{self.daemon_log()}")
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.sparki(*arguments, "--json").stdout)

    def follower(self, *arguments: str) -> Follower:
        """`sparki run --json` that goes on beside the test."""
        return Follower(self, arguments or ("run",))

    def show(self, run: str = "latest") -> dict[str, Any]:
        return dict(self.json("show", run))

    def daemon_log(self) -> str:
        path = self.home / "daemon.log"
        return f"\n--- daemon.log\n{path.read_text()[-6000:]}" if path.exists() else ""

    # -- who is there --------------------------------------------------------------------------------------------------

    def supervisor(self) -> int:
        return self._daemon("supervisor")

    def engine(self) -> int:
        return self._daemon("engine")

    def _daemon(self, station: str) -> int:
        runners = set(self.runners().values())
        return next((pid for pid in _stations(self.home, station) if pid not in runners), 0)

    def runners(self) -> dict[str, int]:
        """Name → pid of each runner that holds its lock."""
        found = {}
        for lock in (self.home / "runners").glob("*.lock") if self.home.exists() else ():
            if files.is_locked(str(lock)):
                text = lock.read_text()
                if text:
                    found[lock.stem] = json.loads(text)["pid"]
        return found

    def busy_runner(self) -> int:
        """The pid of a runner that has a job's process below it, or of any."""
        pids = list(self.runners().values())
        return next((pid for pid in pids if process.children(pid)), pids[0] if pids else 0)

    def wrote(self) -> int:
        """Lines that steps have written so far."""
        return sum(path.read_bytes().count(b"\n") for path in self.side.glob("wrote.*"))

    def until(self, what: Any, name: str, *, limit_s: float = PATIENCE_S) -> Any:
        """Wait for a true answer. Raises Gone."""
        deadline = time.monotonic() + limit_s
        while not (answer := what()):
            if time.monotonic() > deadline:
                raise Gone(f"{name}: not within {limit_s} s{self.daemon_log()}")
            time.sleep(0.003)
        return answer

    # -- the kill ------------------------------------------------------------------------------------------------------

    def kill(self, victims: str) -> list[int]:
        """SIGKILL to `engine`, `runner`, `supervisor`, any sum of them, or `all` (with every runner); gives the pids."""
        found: list[int] = []
        for victim in ("supervisor+engine+runners" if victims == "all" else victims).split("+"):
            if victim == "runners":
                found += self.runners().values()
            else:
                found.append({"supervisor": self.supervisor, "engine": self.engine, "runner": self.busy_runner}[victim]())
        found = [pid for pid in found if pid]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found

    def end(self) -> None:
        """Leave nothing behind, whatever the test left."""
        self.kill("all")
        self.until(lambda: not self.runners(), "the end of the runners", limit_s=10)
        for pid in self.strays():
            os.kill(pid, signal.SIGKILL)
        for path in Path("/dev/shm").glob(f"sparki-*-{nonce.home_digest(str(self.home))}"):
            files.remove_tree(str(path))

    # -- what must hold ------------------------------------------------------------------------------------------------

    def strays(self, *, bare: bool = True) -> list[int]:
        """Processes of steps that still live, known by argument or by mark; `bare`: those with a cleaned environment, too."""
        mark = f"{nonce.VARIABLE}={nonce.home_digest(str(self.home))}.".encode()
        found = []
        for pid in _pids():
            words = _words(pid)
            marked = self.marker in words or mark in _environment(pid)
            if (marked or (bare and self.bare_marker in words)) and not process.is_zombie(pid):
                found.append(pid)
        return found

    def check(self, run: str, *, bare: bool = True) -> dict[str, Any]:
        """I1 to I5 and I7 for one run that must have ended; gives it as `show` does."""
        self.until(lambda: self.show(run)["status"] in TERMINAL, f"the end of {run}")  # I1
        shown = self.show(run)
        states = {job["id"]: job["status"] for job in shown["jobs"]}
        assert set(states.values()) <= TERMINAL, states
        assert not self.json("daemon", "status")["queues"]["builds"]
        self.check_journal(run, shown)
        self.check_logs(shown)
        self.until(lambda: not self.strays(bare=bare), "the end of what steps had left", limit_s=8)  # I5
        try:
            self.until(lambda: not self.left_folders(), "the end of the run's folders", limit_s=8)
        except Gone as error:
            raise Gone(f"{self.left_folders()} beside {self.runners()}: {error}") from None
        self.check_secret()
        return shown

    def check_journal(self, run: str, shown: dict[str, Any]) -> None:
        """I2, I4: no hole in the journal, one end a job and attempt, no step begun twice."""
        events = self.events()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        mine = [event for event in events if event["stream"] == run]
        ends = Counter((event["data"]["uid"], event["data"]["attempt"]) for event in mine if event["kind"] == "job.finished")
        assert set(ends.values()) == {1}, ends
        assert {uid for uid, _ in ends} == {job["uid"] for job in shown["jobs"]}
        assert len([event for event in mine if event["kind"] == "run.finished"]) == shown["attempt"]
        begun = Counter(
            (event["data"]["uid"], event["data"]["attempt"], event["data"]["step"]) for event in mine if event["kind"] == "step.started"
        )
        assert not begun or set(begun.values()) == {1}, begun

    def events(self) -> list[dict[str, Any]]:
        """The journal as it lies in the state file."""
        with sqlite3.connect(f"file:{self.home / 'state.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT seq, stream, kind, data FROM events ORDER BY seq").fetchall()
        database.close()
        return [{"seq": seq, "stream": stream, "kind": kind, "data": json.loads(data)} for seq, stream, kind, data in rows]

    def check_logs(self, shown: dict[str, Any]) -> None:
        """I2, I3: no step of an attempt ran twice, and each log has its steps' lines without a hole.

        Of a step whose end is told, every line that it wrote is there. Of a lost one, a beginning of them.
        """
        started = (self.side / "started").read_text().splitlines() if (self.side / "started").exists() else []
        assert len(started) == len(set(started))
        for job in shown["jobs"]:
            mine = [line for line in started if line.split(" ")[0].split(".")[2] == job["uid"]]
            name = job["id"] if job["attempt"] == 1 else f"{job['id']}.{job['attempt']}"
            path = self.home / "logs" / shown["id"] / f"{name}.log"
            text = path.read_text() if path.exists() else ""
            for step in job["steps"]:
                lines = [line.split(" ")[0] for line in text.splitlines() if line.startswith(f"{job['id']}.{step['index']}.")]
                assert lines == [f"{job['id']}.{step['index']}.{number}" for number in range(1, len(lines) + 1)]
                if step["exit_code"] == 0 and self.books:
                    assert len(lines) == self.lines, (job, step, text)
            assert len({line.split(" ")[0].split(".")[3] for line in mine}) <= job["attempt"]  # no attempt began twice

    def left_folders(self) -> list[str]:
        """What lies in `work` and in the folder in memory, but for spare folders of runners that live."""
        spares = {f".spare-{name}" for name in self.runners()}
        places = [self.home / "work", self.home / "temp", *Path("/dev/shm").glob(f"sparki-*-{nonce.home_digest(str(self.home))}")]
        return [str(path) for place in places if place.exists() for path in place.iterdir() if path.name not in spares]

    def check_secret(self) -> None:
        """I7: a masked value is in no file that is kept."""
        secret = self.secret.encode()
        for path in self.home.rglob("*"):
            if path.is_file() and path.relative_to(self.home).parts[0] not in ("work", "temp"):
                assert secret not in path.read_bytes(), path


class Follower:
    """A `sparki run --json` or `sparki retry --json` of its own."""

    def __init__(self, bench: Bench, arguments: tuple[str, ...]) -> None:
        self.bench = bench
        self.out = bench.folder / f"follower-{time.monotonic_ns()}"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [SPARKI, *arguments, "--json"], cwd=bench.repo, env=bench.env, stdout=out, stderr=subprocess.PIPE, text=True
            )

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def run(self) -> str:
        """The run that it follows, once its first event is there."""
        return str(self.bench.until(self.events, "the first event")[0]["stream"])

    def ends(self) -> int:
        """Wait for its end; I4: its events are those of the journal, each once. Gives the exit code."""
        try:
            _, errors = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Gone(f"the follower does not end: {self.process.communicate()[1]}{self.bench.daemon_log()}") from None
        events = self.events()
        assert events, f"{self.process.returncode} {errors}{self.bench.daemon_log()}"
        assert events[-1].get("kind") == "run.finished", f"{events[-1]} {errors}{self.bench.daemon_log()}"
        kept = [event["seq"] for event in self.bench.events() if event["stream"] == events[0]["stream"]]
        kept = [seq for seq in kept if events[0]["seq"] <= seq <= events[-1]["seq"]]
        assert [event["seq"] for event in events] == kept
        return self.process.returncode


def supervisors(home: Path) -> list[int]:
    """Supervisors of a state folder. A runner's command line is its supervisor's, but it is the child of one, or its own session's head."""
    found = _stations(home, "supervisor")
    return [pid for pid in found if _parent(pid) not in found]


def _stations(home: Path, station: str) -> list[int]:
    wanted = ["-m", "sparki_daemon", station, "--home", str(home)]
    return [pid for pid in _pids() if _words(pid)[1:6] == wanted and not process.is_zombie(pid)]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
