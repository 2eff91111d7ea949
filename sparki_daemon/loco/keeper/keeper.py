"""One environment's keeper: holds the public socket, restarts front and services, answers what is asked. One thread, no event library."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from sparki_daemon.loco.keeper import address, requests, values
from sparki_daemon.loco.keeper import state as states
from sparki_daemon.loco.keeper.fronts import Fronts
from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.loco.keeper.services import Services
from sparki_daemon.system import clock, process
from sparki_daemon.system.lines import Lines, pack

SOCKET_NAME = "keeper.sock"
LEAVE_GRACE_S = 10.0  # for services and requests, when the keeper is told to go by a signal
SEND_LIMIT_S = 1.0
REQUEST_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(eq=False)
class Client:
    """A connection that asks, and the answers that it waits for."""

    link: socket.socket
    lines: Lines = field(default_factory=Lines)
    waiting: list[tuple[Any, requests.Later]] = field(default_factory=list)


class Keeper:
    """The process's work. Its working directory is the environment's folder."""

    def __init__(self, listener: socket.socket, version: str) -> None:
        self.listener = listener
        self.version = version
        self.since_ms = clock.now_ms()
        self.state = states.load()
        self.fronts = Fronts(self.state, self.save, self.save_soon, self._port_of)
        self.values: values.Values = {}
        self.services = Services(self.state, self.values, self.save, self.save_soon)
        self.clients: list[Client] = []
        self.told_to_leave = False
        self.leaving = False
        self.unsaved = False
        self.leave_grace_s = 0.0
        self.forget = False
        self._pidfds: dict[process.Identity, int] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def save(self) -> None:
        states.save(self.state)
        self.unsaved = False

    def save_soon(self) -> None:
        """Save now, or once the disk allows it again: what runs goes on meanwhile."""
        try:
            self.save()
        except OSError:
            self.unsaved = True

    def _port_of(self, release: str) -> int:
        wanted = self.state.services.get(release)
        return wanted.port if wanted is not None else 0

    def seal_values(self) -> None:
        """Give the fronts the present values to hold for the next keeper."""
        self.fronts.hold(values.seal(self.values))

    # -- the loop -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to leave, and everything has ended."""
        self._listen_to_signals()
        self.fronts.adopt()
        if self.fronts.held is not None:
            self.values.update(values.unseal(self.fronts.held))
        self.services.adopt()
        while not self.has_left():
            self._turn()
        self._answer_waiting()

    def _turn(self) -> None:
        handlers = self._handlers()
        poller = select.poll()
        for fd in handlers:
            poller.register(fd, select.POLLIN)
        for fd, _ in poller.poll(self._wait_ms()):
            handlers[fd]()
        if self.told_to_leave:
            self.leave(grace_s=LEAVE_GRACE_S, forget=False)
        if self.unsaved:
            self.save_soon()
        self._reap()
        self.services.tend()
        self._follow_moves()
        self.fronts.tend()
        if self.leaving and not self.fronts.members:
            self._end_services()
        self._answer_waiting()

    def _handlers(self) -> dict[int, Any]:
        found: dict[int, Any] = {self.wake_read: self._drain_wakeups, self.listener.fileno(): self._accept}
        for client in self.clients:
            found[client.link.fileno()] = lambda client=client: self._hear(client)
        for member in self.fronts.members.values():
            found[member.link.fileno()] = lambda member=member: self.fronts.hear(member)
        for fd in self._watched():
            found[fd] = lambda: None  # the turn that follows looks who ended
        return found

    def _watched(self) -> list[int]:
        """Descriptors that become readable when a minder ends: an adopted one is nobody's child here."""
        alive = {life.minder for life in self.services.lives.values() if life.minder is not None}
        for who in set(self._pidfds) - alive:
            os.close(self._pidfds.pop(who))
        for who in alive - set(self._pidfds):
            with contextlib.suppress(OSError, AttributeError):  # gone already, or no such thing on this system
                self._pidfds[who] = os.pidfd_open(who.pid)
        return list(self._pidfds.values())

    def _wait_ms(self) -> float | None:
        moments = self.services.due() + self.fronts.due()
        if len(self._pidfds) < sum(life.minder is not None for life in self.services.lives.values()):
            moments.append(time.monotonic() + 0.2)  # somebody can't be watched: look
        if self.unsaved:
            moments.append(time.monotonic() + 1.0)
        if not moments:
            return None
        return max(1.0, (min(moments) - time.monotonic()) * 1000 + 1)

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def _told_to_leave(self, *_: object) -> None:
        self.told_to_leave = True  # acted upon in the loop's turn: nothing is changed under its hands

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_read, 4096)

    def _reap(self) -> None:
        """Take what ended, and end what a dead minder left: it came here, and nobody else knows it."""
        known = self.services.known_pids() | self.fronts.known_pids()
        for pid in process.children():
            if pid in known:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def _follow_moves(self) -> None:
        """Tell the front when the live service has come back at another port."""
        for release, life in self.services.lives.items():
            if life.moved:
                life.moved = False
                if release == self.state.live:
                    self.fronts.send_route()

    # -- those who ask --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        link, _ = self.listener.accept()
        if address.peer_uid(link) not in (os.geteuid(), 0):
            link.close()
            return
        link.settimeout(SEND_LIMIT_S)
        self.clients.append(Client(link))

    def _hear(self, client: Client) -> None:
        try:
            data = client.link.recv(65536)
            messages = list(client.lines.feed(data))
        except (OSError, ValueError):
            data, messages = b"", []
        if not data or client.lines.held_bytes > REQUEST_LIMIT_BYTES:
            self._drop(client)
        for message in messages:
            self._begin(client, message)

    def _begin(self, client: Client, message: dict[str, Any]) -> None:
        try:
            if self.leaving and message.get("do") not in ("status", "down"):
                raise KeeperError("leaving", "this keeper is about to go", "ask again: a new one is started")
            client.waiting.append((message.get("id"), requests.handle(self, message)))
        except (KeeperError, OSError) as error:
            self._send(client, {"id": message.get("id"), "error": _told(error)})

    def _answer_waiting(self) -> None:
        for client in list(self.clients):
            for at in list(client.waiting):
                number, later = at
                try:
                    answer = later()
                except (KeeperError, OSError) as error:
                    client.waiting.remove(at)
                    self._send(client, {"id": number, "error": _told(error)})
                    continue
                if answer is not None:
                    client.waiting.remove(at)
                    self._send(client, {"id": number, "ok": answer})

    def _send(self, client: Client, message: dict[str, Any]) -> None:
        try:
            client.link.sendall(pack(message))
        except OSError:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            client.link.close()

    def status(self) -> dict[str, Any]:
        """Everything, as `status` tells it."""
        serving = self.fronts.serving
        return {
            "version": self.version,
            "pid": os.getpid(),
            "since_ms": self.since_ms,
            "epoch": self.state.epoch,
            "deployment": self.state.deployment,
            "listen": self.state.listen,
            "live": self.state.live,
            "maintenance": self.state.maintenance,
            "front": {
                "pid": serving.who.pid if serving and serving.who else None,
                "ready": bool(serving and serving.ready),
                "restarts": self.state.front_restarts,
                "draining": sum(member.draining for member in self.fronts.members.values()),
                "problem": _told(self.fronts.problem) if self.fronts.problem else None,
            },
            "services": self.services.told(),
            "counts": self.fronts.counted(),
        }

    # -- the end --------------------------------------------------------------------------------------------------------

    def leave(self, *, grace_s: float, forget: bool) -> None:
        """Begin to end everything: first the fronts, then the services. Not `forget`: the next keeper brings the same back."""
        self.forget = self.forget or forget
        if not self.leaving:
            self.leaving, self.leave_grace_s = True, grace_s
            self.fronts.end(grace_s)
            if not self.fronts.members:
                self._end_services()

    def _end_services(self) -> None:
        if self.forget:
            for release in list(self.state.services):
                self.services.stop(release, self.leave_grace_s)
        elif not self.services.resting:
            self.services.rest(self.leave_grace_s)

    def has_left(self) -> bool:
        """Tell whether everything has ended that was to end."""
        return self.leaving and not self.fronts.members and self.services.all_ended() and not (self.forget and self.state.services)


def _told(error: KeeperError | OSError) -> dict[str, Any]:
    if isinstance(error, KeeperError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    message = f"the environment's folder can't be written: {error.strerror or error}"
    return {"code": "state_unwritable", "message": message, "hint": "free some space there, then ask again"}
