"""The runner: a process that does one job after the other, and loses nothing of them whoever else dies."""

from __future__ import annotations

import json
import os
from collections import OrderedDict, deque
from typing import Any

from sparki_daemon.model.spec import JobSpec
from sparki_daemon.model.wire import PROTOCOL, Frame
from sparki_daemon.runner.child import Limits
from sparki_daemon.runner.job import Host, Job
from sparki_daemon.runner.link import Link
from sparki_daemon.runner.loop import READ, Loop
from sparki_daemon.runner.scope import BadValue
from sparki_daemon.runner.spool import Spool
from sparki_daemon.runner.workspace import Folders
from sparki_daemon.system.clock import now_ms
from sparki_daemon.system.files import try_lock, write_all
from sparki_daemon.system.nonce import home_digest
from sparki_daemon.system.process import become_subreaper, boot_id, outer_pid, start_time

REMEMBERED = 32  # jobs: more than a builder gives ahead


def serve(name: str, home: str, death_fd: int, limits: Limits | None = None, *, outlives: bool = True) -> None:
    """Be the runner `name` of the state folder `home`, until told to go; called in a freshly forked process that has no other descriptors.

    `death_fd` is the end of a pipe whose other end the supervisor holds: end of file there is its death. A runner that `outlives` it
    finishes the step that it is in; another one ends that at once.
    The process is pid 1 of a namespace of its own, or becomes a subreaper: either way what escapes from its steps comes back to it.
    Raises OSError where the state folder can't be written.
    """
    if os.getpid() != os.getsid(0):
        os.setsid()
    if os.getpid() != 1:
        become_subreaper()
    os.set_inheritable(death_fd, False)
    os.umask(0o022)
    runner = Runner(name, home, limits or Limits(), outlives=outlives)
    runner.run(death_fd)


class Runner:
    """Takes orders from the builder, and does them in turn."""

    def __init__(self, name: str, home: str, limits: Limits, *, outlives: bool) -> None:
        self._identity = {"pid": outer_pid(), "start": start_time(os.getpid()), "boot": boot_id()}
        self._name = name
        self._waiting: deque[JobSpec] = deque()
        self._gave: OrderedDict[tuple[str, int], dict[str, str]] = OrderedDict()  # the outputs of its last jobs that ended well
        self._job: Job | None = None
        self._leaving = False
        self._orphaned = False
        self._outlives = outlives
        folder = os.path.join(home, "runners")
        for place in (folder, os.path.join(home, "spool")):
            os.makedirs(place, mode=0o700, exist_ok=True)
        self._lock = _lock(os.path.join(folder, f"{name}.lock"), {**self._identity, "proto": PROTOCOL})
        self._loop = Loop()
        self._spool = Spool(os.path.join(home, "spool", name), self._loop.sleep)
        self._link = Link(self._loop, folder, name, self._spool, self)
        mark = f"{home_digest(home)}.{name}"
        self._host = Host(name, home, self._loop, self._spool, self._link, limits, Folders(name), mark, self._waiting)
        self._host.look_ahead = self._look_ahead
        self._host.lasting = outlives

    def run(self, death_fd: int) -> None:
        """Serve until told to quit, or until the supervisor is dead; what has begun is ended first."""
        self._loop.watch(death_fd, READ, lambda: self._supervisor_died(death_fd))
        while not (self._orphaned or (self._leaving and not self._waiting)):
            if self._waiting:
                spec = self._waiting.popleft()
                self._keep_ready(spec)
                if self._may_begin(spec):
                    self._work(spec)
                else:
                    self._keep_ready(None)
                    self._return(spec)
            else:
                self._keep_ready(None)
                self._loop.turn()
        self._keep_ready(None)
        self._link.flush()
        self._link.close()
        self._host.folders.close()

    def _may_begin(self, spec: JobSpec) -> bool:
        """A link of a chain begins only after a success of the one before it, whose outputs it then gets."""
        before = spec.get("after")
        if before is None:
            return True
        outputs = self._gave.get((before["job"], before["epoch"]))
        if outputs is None:
            return False
        spec["needs"][before["base"]] = {"result": "success", "outputs": outputs}
        return True

    def _look_ahead(self) -> None:
        """The last step of the present job runs: make the link after it ready, if that is what comes next."""
        spec, job = self._waiting[0] if self._waiting else None, self._job
        after = spec.get("after") if spec else None
        if not (spec and job and after) or self._host.next or (after["job"], after["epoch"]) != (job.uid, job.epoch):
            return
        try:
            self._host.next = Job(self._host, spec)
            if not self._host.next.get_ready():
                self._keep_ready(None)
        except (BadValue, OSError, ValueError, KeyError):  # told in its turn
            self._keep_ready(None)

    def _keep_ready(self, spec: JobSpec | None) -> None:
        """What was made ready is thrown away unless it is for `spec`."""
        ready = self._host.next
        if ready and ready.spec is not spec:
            self._host.next = None
            ready.discard()

    def _remember(self, job: Job) -> None:
        if job.gave is not None:
            self._gave[job.uid, job.epoch] = job.gave
            if len(self._gave) > REMEMBERED:
                self._gave.popitem(last=False)

    def _work(self, spec: JobSpec) -> None:
        try:
            self._job = self._host.next or Job(self._host, spec)
            self._host.next = None
        except OSError as error:  # no descriptor is left for its output
            self._tell_end(spec["job"], spec["epoch"], "failure", f"runner_error: {error.strerror}", begun=True)
            return
        try:
            self._job.run()
            self._remember(self._job)
        finally:
            self._job = None

    def _tell_end(self, job: str, epoch: int, result: str, reason: str = "", *, begun: bool = False) -> None:
        """The end of a job that never got as far as to tell its own."""
        record = {"job": job, "epoch": epoch, "t": now_ms()}
        end = {"kind": "job.finished", **record, "result": result, "reason": reason, "outputs": {}, "log": 0}
        self._spool.append(*([{"kind": "job.started", **record}] if begun else []), end)
        self._link.flush()

    def _supervisor_died(self, death_fd: int) -> None:
        self._loop.forget(death_fd)
        self._orphaned = True
        if self._job:
            self._job.orphan()
            if not self._outlives:
                self._job.cancel(force=True)

    # -- the link's owner ----------------------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        """Who this is, how much it has to tell, and what it is at."""
        job = self._job
        told = {"job": job.uid if job else None, "epoch": job.epoch if job else None, "spool": self._spool.size}
        return {"protocol": PROTOCOL, "runner": self._name, **self._identity, **told}

    def ordered(self, kind: Frame, message: dict[str, Any]) -> None:
        """Hear the builder."""
        if kind is Frame.ASSIGN:
            self._take(message)  # type: ignore[arg-type]  # the builder sends a JobSpec
        elif kind is Frame.CANCEL:
            self._cancel(message["job"], message["epoch"], force=bool(message.get("force")))
        elif kind is Frame.RECALL:
            self._give_back(message["job"], message["epoch"])
        elif kind is Frame.QUIT:
            self._leaving = True

    def deserted(self) -> None:
        """The builder is gone: what it had given ahead it will give again, for nothing tells the next one of it."""
        self._waiting.clear()

    def _take(self, spec: JobSpec) -> None:
        attempt = (spec["job"], spec["epoch"])
        known = [(job["job"], job["epoch"]) for job in self._waiting]
        if self._job:
            known.append((self._job.uid, self._job.epoch))
        if attempt not in known:
            self._waiting.append(spec)

    def _cancel(self, job: str, epoch: int, *, force: bool) -> None:
        if self._job and (self._job.uid, self._job.epoch) == (job, epoch):
            self._job.cancel(force=force)
            return
        for spec in [spec for spec in self._waiting if (spec["job"], spec["epoch"]) == (job, epoch)]:
            self._waiting.remove(spec)
            self._tell_end(job, epoch, "cancelled")

    def _give_back(self, job: str, epoch: int) -> None:
        """Another runner is idle: it may have what waits here behind a long job."""
        for spec in [spec for spec in self._waiting if (spec["job"], spec["epoch"]) == (job, epoch)]:
            self._waiting.remove(spec)
            self._return(spec)

    def _return(self, spec: JobSpec) -> None:
        self._spool.append({"kind": "job.returned", "job": spec["job"], "epoch": spec["epoch"], "t": now_ms()})
        self._link.flush()


def _lock(path: str, content: dict[str, Any]) -> int:
    """Take the lock that says that this runner lives, and write into it who it is. The lock lasts as long as the process."""
    fd = try_lock(path)
    if fd is None:
        raise BlockingIOError(f"{path} is held: there is another runner of that name")
    os.ftruncate(fd, 0)
    write_all(fd, json.dumps(content).encode())
    return fd
