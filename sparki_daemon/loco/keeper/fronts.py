"""The environment's fronts: one that serves, and old ones that drain; all on one public socket, which the keeper holds."""

from __future__ import annotations

import contextlib
import glob
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparki_daemon.loco import counts
from sparki_daemon.loco.front.names import CONTROL_FD, PUBLIC_FD, control_name, lock_name, sheet_name
from sparki_daemon.loco.keeper import address
from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.loco.keeper.state import State
from sparki_daemon.system import files, held, process
from sparki_daemon.system.backoff import HEALTHY_S, delay_s
from sparki_daemon.system.lines import Lines, pack

GIVE_LIMIT_S = 3.0
END_LIMIT_S = 2.0
TOTALS_KEPT = 300  # releases whose counters are remembered


@dataclass
class Member:
    """One front, from the keeper's side."""

    number: int
    link: socket.socket
    sheet: counts.Sheet
    who: process.Identity | None = None
    since: float = 0.0
    ready: bool = False
    did: int = 0  # the last route that it holds
    draining: bool = False
    lines: Lines = field(default_factory=Lines)


@dataclass
class Fronts:
    """All of them. The working directory is the environment's folder."""

    state: State
    save: Callable[[], None]
    save_soon: Callable[[], None]  # for what nobody asked: a full disk must not end the keeper
    port_of: Callable[[str], int]  # where a release's service listens; 0: it has none
    listener: socket.socket | None = None
    held: int | None = None  # the descriptor that a front holds for the next keeper
    members: dict[int, Member] = field(default_factory=dict)
    told: int = 0  # routes so far
    deaths: int = 0
    start_at: float | None = None  # monotonic
    problem: KeeperError | OSError | None = None
    ending: bool = False

    @property
    def serving(self) -> Member | None:
        found = [member for member in self.members.values() if not member.draining]
        return found[-1] if found else None

    # -- asked for ------------------------------------------------------------------------------------------------------

    def ensure(self, listen: str) -> None:
        """Have a front serve there. Raises KeeperError, also where this environment listens elsewhere already."""
        if self.state.listen and self.state.listen != listen and self.listener is not None:
            self._move(listen)
        if self.listener is None:
            self.listener = address.bind(listen)
        if self.state.listen != listen:
            self.state.listen = listen
            self.save()
        self.problem = None
        if self.serving is None:
            self._start()

    def _move(self, listen: str) -> None:
        """Another address: taken before the old one is given up, so that a taken one changes nothing."""
        new = address.bind(listen)
        if self.listener is not None:
            self.listener.close()
        self.listener = new
        self._drain_all(except_for=None)

    def send_route(self) -> int:
        """Tell the serving front where requests go now; the number that it will have done."""
        self.told += 1
        if self.serving is not None:
            self._route(self.serving)
        return self.told

    def holds(self, told: int) -> bool:
        """Tell whether the serving front does what it was told then, or later."""
        return self.serving is not None and self.serving.ready and self.serving.did >= told

    def renew(self) -> None:
        """A new front on the same socket; the old one drains as soon as the new one serves."""
        self._start()

    def hold(self, fd: int | None) -> None:
        """Have the fronts hold this descriptor for the next keeper."""
        old, self.held = self.held, fd
        if old is not None:
            os.close(old)
        for member in self.members.values():
            self._give_to_hold(member)

    def end(self, limit_s: float) -> None:
        """Close the public socket; the fronts end what they are at."""
        self.ending = True
        self.start_at = None
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        self._drain_all(limit_s=limit_s, except_for=None)

    # -- the loop's part ------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Go on with the fronts that a former keeper left; the last one gives its socket back."""
        for number in list(self.state.fronts):
            member = self._reach(number) if files.is_locked(lock_name(number)) else None
            if member is None:
                self._fold(number, counts.load(sheet_name(number)))
            else:
                self.members[number] = member
        self._sweep_files()
        if not self.state.listen:
            return
        last = self.members.get(self.state.fronts[-1]) if self.state.fronts else None
        if self.listener is None or last is None:
            self.start_at = 0.0
        else:
            self._drain_all(except_for=last)
            self._route(last)

    def tend(self) -> None:
        """Start the front that is due."""
        if self.start_at is None or time.monotonic() < self.start_at or self.ending:
            return
        self.start_at = None
        try:
            if self.listener is None:
                self.listener = address.bind(self.state.listen)
            self._start()
            self.problem = None
        except (KeeperError, OSError) as problem:
            self.problem = problem
            self.start_at = time.monotonic() + 1.0

    def hear(self, member: Member) -> None:
        """Read what a front says; its end is its death."""
        if member.number not in self.members:
            return  # ended in this very turn
        try:
            data = member.link.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended(member)
            return
        for message in member.lines.feed(data):
            member.did = max(member.did, message.get("did", 0))
            if message.get("ready"):
                member.ready = True
                if member is self.serving:
                    self._drain_all(except_for=member)

    def due(self) -> list[float]:
        return [] if self.start_at is None or self.ending else [self.start_at]

    def known_pids(self) -> set[int]:
        return {member.who.pid for member in self.members.values() if member.who is not None}

    # -- one front ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self.listener is None:
            return
        self.state.fronts_born += 1
        number = self.state.fronts_born
        self.state.fronts.append(number)
        self.save()
        sheet = counts.create(sheet_name(number))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(control_name(number))
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(control_name(number))
            control.listen(4)
            pid = _spawn(number, self.listener.fileno(), control.fileno())
        link = socket.socket(socket.AF_UNIX)
        link.connect(control_name(number))
        self.members[number] = Member(number, link, sheet, _identity(pid), time.monotonic())
        self._give_to_hold(self.members[number])
        self._route(self.members[number])

    def _reach(self, number: int) -> Member | None:
        """Connect to a living front, and take the descriptors that it has. One that does not answer is ended."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(GIVE_LIMIT_S)
        sheet = counts.load(sheet_name(number))
        try:
            link.connect(control_name(number))
            link.sendall(pack({"do": "give"}))
            member = Member(number, link, sheet or counts.create(sheet_name(number)), held.written(lock_name(number)), time.monotonic())
            self._take(member)
        except (OSError, ValueError):
            link.close()
            _kill(held.written(lock_name(number)))
            return None
        link.settimeout(None)
        return member

    def _take(self, member: Member) -> None:
        while True:
            data, fds, _, _ = socket.recv_fds(member.link, 65536, 4)
            if not data:
                raise ConnectionError("the front is gone")
            for fd in fds:
                os.set_inheritable(fd, False)
            for message in member.lines.feed(data):
                member.ready = member.ready or bool(message.get("ready"))
                if "given" in message:
                    self._keep(dict(zip(message["given"], fds, strict=False)))
                    return

    def _keep(self, given: dict[str, int]) -> None:
        if self.listener is not None:
            self.listener.close()
        self.listener = socket.socket(fileno=given["listener"])
        if "held" in given:
            if self.held is not None:
                os.close(self.held)
            self.held = given["held"]

    def _say(self, member: Member, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        with contextlib.suppress(OSError):  # it just died: its end is read next
            socket.send_fds(member.link, [pack(message)], fds)

    def _give_to_hold(self, member: Member) -> None:
        if self.held is not None:
            self._say(member, {"do": "hold"}, (self.held,))

    def _route(self, member: Member) -> None:
        release, upstream = self.state.live, None
        port = self.port_of(release) if release else 0
        if release and port:
            upstream = {"release": release, "port": port, "row": self._row_of(release)}
        self._say(member, {"do": "route", "n": self.told, "upstream": upstream, "maintenance": self.state.maintenance})

    def _drain_all(self, *, except_for: Member | None, limit_s: float = 60.0) -> None:
        for member in self.members.values():
            if member is not except_for and (not member.draining or self.ending):
                member.draining = True
                self._say(member, {"do": "drain", "limit_s": limit_s})
                if self.ending:
                    self._say(member, {"do": "bye"})

    def _ended(self, member: Member) -> None:
        member.link.close()
        _kill(member.who)
        self._fold(member.number, member.sheet)
        del self.members[member.number]
        if member.draining or self.ending:
            return
        self.state.front_restarts += 1
        self.deaths = 1 if time.monotonic() - member.since > HEALTHY_S else self.deaths + 1
        self.start_at = time.monotonic() + delay_s(self.deaths)
        self.tend()

    # -- counters -------------------------------------------------------------------------------------------------------

    def _row_of(self, release: str) -> int:
        rows = self.state.rows
        if release not in rows:
            free = set(range(1, counts.ROWS)) - set(rows.values())
            rows[release] = min(free) if free else self._freed_row()
            self.save_soon()
        return rows[release]

    def _freed_row(self) -> int:
        """The row of the release that got its own longest ago and is not needed: its numbers go to the totals."""
        for release, row in self.state.rows.items():
            read = [member.sheet.read(row) for member in self.members.values()]
            if release != self.state.live and not self.port_of(release) and not any(one["in_flight"] for one in read):
                for one in read:
                    self.state.totals[release] = counts.add(self.state.totals.get(release, {}), one)
                for member in self.members.values():
                    member.sheet.clear(row)
                del self.state.rows[release]
                return row
        raise KeeperError("too_many_releases", f"{counts.ROWS - 1} releases have requests in flight")

    def _fold(self, number: int, sheet: counts.Sheet | None) -> None:
        """Put what a dead front counted into the totals, once: its number leaves the state with the same write."""
        if sheet is not None:
            for release, row in {"": counts.NO_RELEASE, **self.state.rows}.items():
                self.state.totals[release] = counts.add(self.state.totals.get(release, {}), counts.ended(sheet.read(row)))
        self.state.fronts.remove(number)
        if len(self.state.totals) > TOTALS_KEPT:
            for release in list(self.state.totals)[: len(self.state.totals) - TOTALS_KEPT]:
                if release not in ("", self.state.live):
                    del self.state.totals[release]
        self.save_soon()
        self._sweep_files()

    def _sweep_files(self) -> None:
        wanted = {name(number) for number in self.state.fronts for name in (lock_name, sheet_name, control_name)}
        for path in glob.glob("front-*"):
            if path not in wanted:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def counted(self) -> dict[str, dict[str, int]]:
        """Every counter by release; "" for requests that met none."""
        found = dict(self.state.totals)
        for release, row in {"": counts.NO_RELEASE, **self.state.rows}.items():
            for member in self.members.values():
                found[release] = counts.add(found.get(release, {}), member.sheet.read(row))
        return found


def _spawn(number: int, public_fd: int, control_fd: int) -> int:
    command = [sys.executable, "-m", "sparki_daemon", "front", "--folder", os.getcwd(), "--number", str(number)]
    above = max(public_fd, control_fd, CONTROL_FD) + 1  # by way of numbers that are neither source nor target
    actions = [
        (os.POSIX_SPAWN_DUP2, public_fd, above),
        (os.POSIX_SPAWN_DUP2, control_fd, above + 1),
        (os.POSIX_SPAWN_DUP2, above, PUBLIC_FD),
        (os.POSIX_SPAWN_DUP2, above + 1, CONTROL_FD),
        (os.POSIX_SPAWN_CLOSE, above),
        (os.POSIX_SPAWN_CLOSE, above + 1),
    ]
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)


def _identity(pid: int) -> process.Identity | None:
    try:
        return process.identity(pid)
    except ProcessLookupError:  # it has ended already: its link says so next
        return None


def _kill(who: process.Identity | None) -> None:
    """End a front for sure, and wait: what it counted must not change any more."""
    if who is None:
        return
    deadline = time.monotonic() + END_LIMIT_S
    while process.alive(who) and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)
        time.sleep(0.001)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(who.pid, os.WNOHANG)
