"""A runner as a supervisor forks it, and a builder that speaks to it over the real wire."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparki_daemon.model.plan import JobPlan, Plan, StepPlan, Template
from sparki_daemon.model.wire import Frame, Unpacker, pack
from sparki_daemon.runner.child import Limits
from sparki_daemon.runner.main import serve
from sparki_daemon.system import process

QUICK = Limits(interrupt_s=0.3, terminate_s=0.3, cleanup_s=2.0, left_over_s=0.1, minute_s=0.3)
PATIENCE_S = 20.0


def template(text: str | None) -> Template | None:
    return None if text is None else Template(text, 1, 1)


def pairs(values: dict[str, str] | None) -> tuple[tuple[str, Template], ...]:
    return tuple((name, Template(text, 1, 1)) for name, text in (values or {}).items())


def step(run: str | None = None, **keys: Any) -> dict[str, Any]:
    """Arguments of a StepPlan; texts become templates."""
    plain: dict[str, Any] = {"run": template(run), "line": 1, "column": 1}
    for name, value in keys.items():
        if name in {"id", "uses"}:
            plain[name] = value
        elif name in {"env", "inputs"}:
            plain[name] = pairs(value)
        else:
            plain[{"if_": "condition"}.get(name, name)] = template(value)
    return plain


def job_plan(*steps: dict[str, Any] | str, key: str = "test", **keys: Any) -> JobPlan:
    made = tuple(StepPlan(index=index, **(step(one) if isinstance(one, str) else one)) for index, one in enumerate(steps))
    for name in ("env", "outputs"):
        if name in keys:
            keys[name] = pairs(keys[name])
    for name in ("timeout_minutes", "shell", "working_directory"):
        if name in keys:
            keys[name] = template(keys[name])
    return JobPlan(id=key, base=key, name=key, line=1, column=1, steps=made, **keys)


@dataclass
class Done:
    """What became of a job."""

    records: list[dict[str, Any]]
    log: str

    @property
    def end(self) -> dict[str, Any]:
        return self.records[-1]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == "step.finished"]

    @property
    def conclusions(self) -> list[str]:
        return [record["conclusion"] for record in self.steps]

    def text(self, index: int) -> str:
        """The log of one step."""
        one = next(record for record in self.steps if record["step"] == index)
        return self.log.encode()[one["from"] : one["to"]].decode()


@dataclass
class Driver:
    """One runner and the builder's end of its socket."""

    home: Path
    limits: Limits = QUICK
    name: str = "r1"
    namespace: bool = False
    pid: int = 0
    death_fd: int = -1
    records: list[dict[str, Any]] = field(default_factory=list)
    frames: list[tuple[Frame, int, bytes]] = field(default_factory=list)
    hello: dict[str, Any] = field(default_factory=dict)
    offset: int = 0  # of the spool, after the last record that came
    connection: socket.socket | None = None
    jobs: int = 0

    # -- the runner's life ---------------------------------------------------------------------------------------------

    def start(self) -> Driver:
        self.home.mkdir(exist_ok=True)
        read_fd, self.death_fd = os.pipe()
        if self.namespace:
            self.pid = process.fork_in_pid_namespace(lambda: self._serve(read_fd))
        else:
            self.pid = os.fork()
            if self.pid == 0:
                self._serve(read_fd)
        os.close(read_fd)
        return self.connect()

    def _serve(self, death_fd: int) -> None:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.closerange(3, death_fd)
            os.closerange(death_fd + 1, 4096)
            error_fd = os.open(self.home / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(error_fd, 2)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)  # the test framework's own goes elsewhere
            serve(self.name, str(self.home), death_fd, self.limits)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait_end(self) -> int:
        """The runner's wait status, once it has left by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return status
            time.sleep(0.005)
        raise TimeoutError("the runner did not leave")

    def stop(self) -> None:
        self.disconnect()
        if self.death_fd >= 0:
            os.close(self.death_fd)
            self.death_fd = -1
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    # -- the builder's end ---------------------------------------------------------------------------------------------

    def connect(self, *, resume: int | None = -1) -> Driver:
        """Connect, hear the hello, and ask for the spool from where this builder has it (`resume`: from there; None: don't ask)."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.connection = socket.socket(socket.AF_UNIX)
            try:
                folder = os.open(self.home / "runners", os.O_RDONLY)
                try:
                    self.connection.connect(
                        f"/proc/self/fd/{folder}/{self.name}.sock"
                    )  # a test's folder may be too long for a socket's path
                finally:
                    os.close(folder)
                break
            except OSError:
                self.connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        self._unpacker = Unpacker()
        self.hello = json.loads(self._next(Frame.HELLO)[1])
        if resume is not None:
            if resume >= 0:
                self.offset = resume
            self.send(Frame.RESUME, {"from": self.offset})
        return self

    def disconnect(self) -> None:
        if self.connection:
            self.connection.close()
            self.connection = None

    def send(self, kind: Frame, body: dict[str, Any]) -> None:
        assert self.connection
        self.connection.sendall(pack(kind, json.dumps(body).encode()))

    def receive(self, timeout_s: float = PATIENCE_S) -> bool:
        """Take the next bytes; False: none came in time, or the runner is gone."""
        assert self.connection
        self.connection.settimeout(timeout_s)
        try:
            data = self.connection.recv(1 << 20)
        except (TimeoutError, ConnectionResetError):
            return False
        for kind, offset, body in self._unpacker.feed(data):
            self.frames.append((kind, offset, body))
            if kind is Frame.RECORDS:
                assert offset == self.offset, "records came from elsewhere than asked"
                assert body.endswith(b"\n")
                self.offset += len(body)
                self.records += [json.loads(line) for line in body.splitlines()]
        return bool(data)

    def _next(self, kind: Frame) -> tuple[int, bytes]:
        seen = len(self.frames)
        while True:
            for found, offset, body in self.frames[seen:]:
                if found is kind:
                    return offset, body
            seen = len(self.frames)
            if not self.receive():
                raise TimeoutError(f"no {kind.name} came")

    def wait_for(self, kind: str, job: str, **fields: Any) -> dict[str, Any]:
        """The first record of a job of that kind with those fields."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for record in self.records:
                if record["kind"] == kind and record["job"] == job and all(record.get(name) == value for name, value in fields.items()):
                    return record
            if not self.receive():
                break
        raise TimeoutError(f"no {kind} of {job} came: {self.records}")

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def spec(self, *steps: dict[str, Any] | str, **keys: Any) -> dict[str, Any]:
        """A job's spec, with its run file written. `run_*` keys go to the run, `needs` and `epoch` to the spec, the others to the plan."""
        self.jobs += 1
        uid = f"j-{self.name}-{self.jobs}"
        folder = self.home / "work" / f"r-{self.name}-{self.jobs}"
        folder.mkdir(parents=True)
        needs, epoch = keys.pop("needs", {}), keys.pop("epoch", 1)
        own = {name.removeprefix("run_"): keys.pop(name) for name in [*keys] if name.startswith("run_")}
        job = job_plan(*steps, **keys)
        plan = Plan(name="ci", file="ci.yml", jobs=(job,), env=pairs(own.pop("root_env", None)))
        run = {
            "run": "r-1",
            "plan": plan.to_json(),
            "github": {"repository": "o/r", "sha": "0" * 40, "ref": "refs/heads/main", "run_attempt": "1", "workflow": "ci"},
            "event": {"ref": "refs/heads/main"},
            "inputs": {},
            "vars": {},
            "source": {"worktree": "/", "branch": None, "snapshot": {}},
            "env": {"PATH": os.environ["PATH"]},
            "home": "job",
            "user_home": str(self.home / "user"),
            **own,
        }
        (folder / "run.json").write_text(json.dumps(run))
        (self.home / "logs").mkdir(exist_ok=True)
        return {
            "job": uid,
            "key": job.id,
            "run": "r-1",
            "run_file": str(folder / "run.json"),
            "attempt": 1,
            "epoch": epoch,
            "needs": needs,
            "name": job.name,
            "work": str(folder / uid),
            "temp": str(self.home / "temp" / uid),
            "log": str(self.home / "logs" / uid),
            "artifacts": str(self.home / "artifacts"),
            "cache": str(self.home / "cache"),
        }

    def assign(self, *steps: dict[str, Any] | str, **keys: Any) -> str:
        """Give the runner a job; its uid."""
        spec = self.spec(*steps, **keys)
        self.send(Frame.ASSIGN, spec)
        return str(spec["job"])

    def result(self, job: str) -> Done:
        """Wait for a job's end."""
        self.wait_for("job.finished", job)
        return Done([record for record in self.records if record["job"] == job], self.log(job))

    def do(self, *steps: dict[str, Any] | str, **keys: Any) -> Done:
        """Give the runner a job, and wait for its end."""
        return self.result(self.assign(*steps, **keys))

    def cancel(self, job: str, epoch: int = 1) -> None:
        self.send(Frame.CANCEL, {"job": job, "epoch": epoch})

    def log(self, job: str) -> str:
        path = self.home / "logs" / f"{job}.log"
        return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
