"""A service on this machine, deployed by the real command and daemon, whose stations die at a chosen moment of a chosen step."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from shop import Shop

from sparki_daemon.system import process

PATIENCE_S = 30.0
FRESH = 4  # so many deaths, and the daemon is started anew: the supervisor waits longer and longer before it starts who dies quickly
SERVICE = """
import os, socket
with open(os.environ["STARTS"], "a") as starts:
    starts.write(os.environ["SPARKI_RELEASE"] + "\\n")
body, asked = os.environ["SPARKI_RELEASE"].encode(), 0
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)
while True:
    link, _ = server.accept()
    with link:
        ask = link.recv(65536)
        asked += ask.startswith(b"GET /healthz")
        if os.environ["TURNS"] == "crash" and asked > 1:
            os._exit(3)
        status = b"500 Bad" if os.environ["TURNS"] == "bad" and asked > 1 else b"200 OK"
        link.sendall(b"HTTP/1.1 %s\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
"""
SETTINGS = """
environments:
  staging:
    adapter: process
    command: exec {python} -IS service.py
    listen: 127.0.0.1:{port}
    health: {{http: /healthz, interval: 50ms, successes: 1, within: 20s}}
    watch: {watch}
    grace: 5s
    release_command: echo migrated >> {migrated}
    variables: {{STARTS: "{starts}", TURNS: "{turns}"}}
"""
# Loaded by the interpreter at loco's start. A kill that is due lies in a file, which is gone before the kill: so each is met once.
HOOK = """
import glob, json, os, sys

if "loco" in sys.orig_argv:
    from sparki_daemon.loco.driver import Driver
    from sparki_daemon.system import held

    SIDE = os.path.dirname(os.path.abspath(__file__))
    move = Driver._move

    def stations(name):
        if name == "keeper":  # a minder's command line is its keeper's
            who = [held.holder(path) for path in glob.glob(sys.orig_argv[-1] + "/environments/*/*/keeper.lock")]
            return [one.pid for one in who if one]
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    words = file.read().split("\\0")
            except OSError:
                continue
            if words[1:4] == ["-m", "sparki_daemon", name] and words[5].startswith(sys.orig_argv[-1]):
                found.append(int(pid))
        return found

    def end(victim):
        if victim == "loco":
            os.kill(os.getpid(), 9)
        elif victim == "supervisor":
            os.kill(os.getppid(), 9)
        else:
            for pid in stations(victim):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass

    def meet(moment, saga):
        try:
            with open(f"{SIDE}/kill") as file:
                kill = json.load(file)
        except FileNotFoundError:
            return
        if (kill["moment"], kill["step"], kill["back"]) == (moment, saga.step.name, saga.direction == "back"):
            os.rename(f"{SIDE}/kill", f"{SIDE}/killed")
            for victim in kill["victims"]:
                end(victim)

    async def mortal(self, event, **more):
        saga, begun = self._saga, event == "begun"
        meet("intent" if begun else "result", saga)
        await move(self, event, **more)
        meet("effect" if begun else "next", saga)

    Driver._move = mortal
"""
MOMENTS = ("intent", "effect", "result", "next")  # what is about to be written or done when death comes


@dataclass(frozen=True)
class Kill:
    """Who dies, and when."""

    victims: tuple[str, ...]
    step: str
    moment: str
    back: bool = False


class KillYard(Shop):
    """One environment under a load that never pauses."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.side.mkdir()
        (self.side / "sitecustomize.py").write_text(HOOK)
        self.starts, self.migrated = folder / "starts", folder / "migrated"
        self.starts.touch()
        self.write("service.py", SERVICE)
        self.settle("")
        self.deaths = 0
        self.asking = Asking(self.port)

    def settle(self, turns: str, *, watch: str = "200ms") -> None:
        """What the next releases turn to once they are looked at a second time."""
        paths = {"starts": self.starts, "migrated": self.migrated}
        self.write("sparki.yml", SETTINGS.format(python=sys.executable, port=self.port, turns=turns, watch=watch, **paths))
        self.turns = turns
        self.commit(f"turns {turns or 'well'}")

    def deploy(self, kill: Kill | None = None, *, end: str = "live") -> None:
        """A deployment that meets this kill, followed to this end by the command. What must hold afterwards is checked."""
        before, commands = self.live(), self.ran()
        if kill is not None:
            self.spare(kill)
            self.arm(kill)
        last = self.json("deploy", "staging", code=0 if end == "live" else 1)["data"]
        if kill is not None:
            self.met(kill)
        release = str(last["release"])
        assert (last["status"], bool(last["reason"])) == (end, end != "live"), (kill, last)
        assert self.starts.read_text().split().count(release) <= (1 if self.turns != "crash" else 99), kill
        assert self.ran() - commands <= 1, kill
        self.check(release if end == "live" else before)

    def spare(self, kill: Kill) -> None:
        """Count its deaths beforehand, and have a new daemon before there are too many of them."""
        self.deaths += len(kill.victims)
        if self.deaths > FRESH:
            self.deaths = 0
            self.sparki("daemon", "stop")

    def arm(self, kill: Kill) -> None:
        """Have this kill met by whoever comes to its moment first."""
        (self.side / "kill.new").write_text(json.dumps(asdict(kill)))
        (self.side / "kill.new").rename(self.side / "kill")

    def met(self, kill: Kill) -> None:
        """Wait until it was: a death after the last move comes when all has been told."""
        until((self.side / "killed").exists, f"{kill} is met")
        (self.side / "killed").unlink()

    def live(self) -> str:
        shown = self.json("env", "show", "staging")["live"]
        return str(shown["release"]) if shown else ""

    def ran(self) -> int:
        """How often a release command was run."""
        return len(self.migrated.read_text().split()) if self.migrated.exists() else 0

    def check(self, live: str) -> None:
        """Exactly one release serves: in the books, at the port, and among the processes."""
        assert self.live() == live
        assert {self.get() for _ in range(5)} == {live}
        assert self.services() == [live], self.left()

    def get(self) -> str:
        return ask(self.port)

    def services(self) -> list[str]:
        """The release of each service's process that lives."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                place = os.readlink(f"/proc/{pid}/cwd")
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if place.startswith(f"{self.home}/environments/") and b"service.py" in words:
                    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                    found += [word.partition(b"=")[2].decode() for word in environment if word.startswith(b"SPARKI_RELEASE=")]
        return found

    def left(self) -> list[str]:
        """The command lines of all that lives and has to do with the state folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words, place = Path(f"/proc/{pid}/cmdline").read_bytes(), os.readlink(f"/proc/{pid}/cwd")
                if int(pid) != os.getpid() and (str(self.home).encode() in words or place.startswith(str(self.home))):
                    found += [] if process.is_zombie(int(pid)) else [words.replace(b"\0", b" ").decode()]
        return found

    def end(self) -> None:
        self.asking.close()
        (self.side / "sitecustomize.py").unlink(missing_ok=True)
        with contextlib.suppress(AssertionError):
            self.down()
        super().end()


def ask(port: int) -> str:
    """What the service at this port says; its status, too, where that is not 200."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        link.request("GET", "/")
        answer = link.getresponse()
        text = answer.read().decode()
        return text if answer.status == 200 else f"{answer.status} {text}"
    finally:
        link.close()


class Asking:
    """Asks again and again once it has begun, and counts what went wrong. As a context: what goes wrong within does not count."""

    def __init__(self, port: int) -> None:
        self.port, self.wrong, self.answers = port, Counter[str](), 0
        self.begun, self.over = threading.Event(), threading.Event()
        self.forgiven = False
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        self.forgiven = True
        return self

    def __exit__(self, *_: object) -> None:
        until(lambda: self._well(5), "five good answers in a row")
        self.forgiven = False

    def _well(self, count: int) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return all(ask(self.port).startswith("v-") for _ in range(count))
        return False

    def _ask(self) -> None:
        while not self.over.is_set():
            if not self.begun.wait(0.05):
                continue
            try:
                answer = ask(self.port)
            except (OSError, http.client.HTTPException) as error:
                answer = type(error).__name__
            self.answers += 1
            if not answer.startswith("v-") and not self.forgiven:
                self.wrong[answer] += 1
            self.over.wait(0.005)

    def close(self) -> None:
        self.over.set()
        self.thread.join()


def until(true: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
