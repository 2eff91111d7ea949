"""The parent of all: forks runners, starts the engine again whenever it dies, ends what they leave behind.

Standard library, one thread, no lock, no database: it forks without exec, so it must hold nothing that a child could keep.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.supervisor.children import RunnerMain, end_adopted, fork_runner, namespaces_wanted, reap_until
from sparki_daemon.supervisor.control import CONTROL_FD, LISTEN_FD
from sparki_daemon.supervisor.home import Home
from sparki_daemon.supervisor.kept import kept_pids
from sparki_daemon.supervisor.loco import LocoChild
from sparki_daemon.supervisor.strays import end_strays
from sparki_daemon.system import files, nonce, process
from sparki_daemon.system.backoff import HEALTHY_S, delay_s
from sparki_daemon.system.lines import Lines, pack

STOP_LIMIT_S = 10.0
LEAVE_LIMIT_S = 0.5  # for a runner that has nothing to do to go by itself
LOOK_MS = 30_000  # between two looks whether the state folder is there: the engine's death is heard at once
LOCO_LIMIT_S = 5.0  # for loco to leave its deployments where they are


@dataclass
class Held:
    """What outlives the supervisor's own exec: handed over as JSON."""

    listen_fd: int
    death_read_fd: int  # every runner holds it: end of file there is the supervisor's death
    death_write_fd: int
    runners: dict[str, int] = field(default_factory=dict)
    born: int = 0  # runners so far: no name is used twice
    loco: int = 0  # its pid; 0: there is none


class Supervisor:
    """One state folder's processes. `runner_main(name, home, death_fd)` is what a forked runner does."""

    def __init__(self, home: str, socket_path: str, held: Held, runner_main: RunnerMain) -> None:
        self.home = home
        self.socket_path = socket_path
        self.held = held
        self.runner_main = runner_main
        self.tag = f"{os.getpid():x}-{int(time.time() * 1000):x}"
        self.namespaces = namespaces_wanted()
        self.loco = LocoChild(home, held.death_read_fd, held.loco)
        self.engine = 0
        self.engine_since = 0.0
        self.deaths = 0
        self.start_at: float | None = 0.0  # monotonic; None: it runs, or is not wanted
        self.control: socket.socket | None = None
        self.lines = Lines()
        self.asked = ""  # "stop" or "restart"
        self.asked_at = 0.0
        self.folder = Home(home)
        self.poller = select.poll()
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; `restart` never comes back from here, it executes the supervisor anew."""
        self._listen_to_signals()
        self.poller.register(self.wake_read, select.POLLIN)
        self._reap()  # what ended while the program was changed: no signal tells of it any more
        end_strays(self.home)
        gc.collect()
        gc.freeze()  # the runners share these pages
        while not (self.asked and self.engine == 0):
            if not self.asked and self.folder.lost:
                self._ask("stop")
                continue
            self._start_engine_when_due()
            if not self.asked:
                self.loco.start_when_due()
            for fd, _ in self.poller.poll(self._wait_ms()):
                if fd == self.wake_read:
                    self._drain_wakeups()
                elif self.control and fd == self.control.fileno():
                    self._hear()
            self._reap()
            if self.asked and time.monotonic() - self.asked_at > STOP_LIMIT_S and self.engine:
                os.kill(self.engine, signal.SIGKILL)
        if self.asked == "restart" and not self.folder.lost:
            self._execute_anew()
        self._end_loco()
        if self.folder.removed:
            self.folder.end_services()
        self._end_runners()
        if not self.folder.lost:  # else what is there by these names is another daemon's
            self._tidy_up()

    def _tidy_up(self) -> None:
        for path in (self.socket_path, os.path.join(self.home, "daemon.json")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with contextlib.suppress(OSError):  # none is there, or a job left something that the next engine sweeps
            os.rmdir(nonce.memory_folder(self.home))

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask("stop"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_read, 4096)

    def _wait_ms(self) -> int:
        due = [at for at in (self.start_at, self.loco.due) if at is not None]
        if due and not self.asked:
            return min(LOOK_MS, max(0, int((min(due) - time.monotonic()) * 1000) + 1))
        return 500 if self.asked else LOOK_MS

    def _ask(self, what: str) -> None:
        """Begin to stop or restart: the engine ends first, in its own time."""
        if self.asked:
            return
        self.asked, self.asked_at = what, time.monotonic()
        if self.engine:
            os.kill(self.engine, signal.SIGTERM)

    # -- the engine ----------------------------------------------------------------------------------------------------

    def _start_engine_when_due(self) -> None:
        if self.engine or self.asked or self.start_at is None or time.monotonic() < self.start_at:
            return
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "sparki_daemon", "engine", "--home", self.home]
        actions = [
            (os.POSIX_SPAWN_DUP2, self.held.listen_fd, 10 + LISTEN_FD),  # by way of higher numbers: the targets may be taken
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 10 + CONTROL_FD),
            (os.POSIX_SPAWN_DUP2, 10 + LISTEN_FD, LISTEN_FD),
            (os.POSIX_SPAWN_DUP2, 10 + CONTROL_FD, CONTROL_FD),
            (os.POSIX_SPAWN_CLOSE, 10 + LISTEN_FD),
            (os.POSIX_SPAWN_CLOSE, 10 + CONTROL_FD),
        ]
        self.engine = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
        theirs.close()
        self.engine_since, self.start_at = time.monotonic(), None
        self.control, self.lines = ours, Lines()
        self.poller.register(ours.fileno(), select.POLLIN)
        self._tell({"runners": self.held.runners, "tag": self.tag})

    def _engine_ended(self) -> None:
        lived_s = time.monotonic() - self.engine_since
        self.deaths = 1 if lived_s > HEALTHY_S else self.deaths + 1
        self.start_at = time.monotonic() + delay_s(self.deaths)
        self.engine = 0
        self._drop_control()

    def _drop_control(self) -> None:
        if self.control:
            self.poller.unregister(self.control.fileno())
            self.control.close()
            self.control = None

    def _tell(self, message: dict[str, Any]) -> None:
        if self.control:
            with contextlib.suppress(OSError):  # the engine just died: its successor is told all
                self.control.sendall(pack(message))

    def _hear(self) -> None:
        if self.control is None:
            return
        try:
            data = self.control.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop_control()
            return
        for message in self.lines.feed(data):
            if message.get("do") == "spawn":
                self._fork_runner()
            elif message.get("do") == "loco":
                self.loco.want()
            elif message.get("do") == "sweep":
                end_strays(self.home)
            elif message.get("do") in ("stop", "restart"):
                self._ask(message["do"])

    # -- runners -------------------------------------------------------------------------------------------------------

    def _fork_runner(self) -> None:
        self.held.born += 1
        name = f"{self.tag}-{self.held.born}"
        pid = fork_runner(self.runner_main, name, self.home, self.held.death_read_fd, namespace=self.namespaces)
        self.held.runners[name] = pid
        self._tell({"born": name, "pid": pid})

    def _reap(self) -> None:
        """Take what ended; a dead runner is told once nothing of its tree is left."""
        died: list[tuple[str, int, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.engine:
                self._engine_ended()
            elif pid == self.loco.pid:
                self.loco.ended(status)
            for name in [name for name, runner in self.held.runners.items() if runner == pid]:
                del self.held.runners[name]
                died.append((name, pid, status))
        self._end_adopted()
        for name, pid, status in died:
            self._tell({"died": name, "pid": pid, "status": status})

    def _known(self) -> set[int]:
        """The children that are to live."""
        return {self.engine, self.loco.pid, *self.held.runners.values()}

    def _end_loco(self) -> None:
        """Let it end its transaction; whatever it was at, the next one goes on with."""
        if self.loco.pid:
            os.kill(self.loco.pid, signal.SIGTERM)
            for pid in reap_until(time.monotonic() + LOCO_LIMIT_S, [self.loco.pid]):
                os.kill(pid, signal.SIGKILL)
                reap_until(time.monotonic() + LEAVE_LIMIT_S, [pid])
            self.loco.pid = 0

    def _end_adopted(self) -> None:
        end_adopted(self._known(), spared=lambda: kept_pids(self.folder.inside))  # by its name a moved folder would spare nobody

    def _end_runners(self) -> None:
        """End them: an idle one goes by itself once it hears the end, and leaves nothing; others are killed."""
        os.close(self.held.death_write_fd)
        busy = reap_until(time.monotonic() + LEAVE_LIMIT_S, self.held.runners.values())
        for pid in busy:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap_until(time.monotonic() + LEAVE_LIMIT_S, busy)
        self.held.runners.clear()
        self._end_adopted()

    # -- a new program in the same process -------------------------------------------------------------------------------

    def _execute_anew(self) -> NoReturn:
        for fd in (self.held.listen_fd, self.held.death_read_fd, self.held.death_write_fd):
            os.set_inheritable(fd, True)
        self.held.loco = self.loco.pid
        resume = json.dumps(self.held.__dict__)
        arguments = [
            sys.executable,
            "-m",
            "sparki_daemon",
            "supervisor",
            "--home",
            self.home,
            "--socket",
            self.socket_path,
            "--resume",
            resume,
        ]
        os.execv(sys.executable, arguments)


def listen(path: str) -> socket.socket:
    """A listening Unix socket at `path`, for its owner only; a stale one is replaced (the caller holds `start.lock`)."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        server.bind(path)
    finally:
        os.umask(before)
    server.listen(1024)
    return server


def main(home: str, socket_path: str, version: str, runner_main: RunnerMain, resume: str = "", start_lock: int | None = None) -> None:
    """Be the supervisor of the state folder `home`.

    `resume` is what `_execute_anew` handed over; `start_lock`, a descriptor, is let go once daemon.json is there.
    """
    process.become_subreaper()
    if resume:
        held = Held(**json.loads(resume))
        for fd in (held.listen_fd, held.death_read_fd, held.death_write_fd):
            os.set_inheritable(fd, False)
    else:
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        held = Held(listen(socket_path).detach(), read_fd, write_fd)
    identity = process.identity(os.getpid())
    told = {"socket": socket_path, "pid": identity.pid, "start": identity.start, "boot": identity.boot, "version": version}
    files.write_atomic(os.path.join(home, "daemon.json"), json.dumps(told).encode())
    if start_lock is not None:
        os.close(start_lock)
    Supervisor(home, socket_path, held, runner_main).run()
