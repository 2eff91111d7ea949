"""The daemon as a service of a real systemd of a user's, in namespaces of its own; a reboot is the end of everything in them."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SPARKI = [sys.executable, "-m", "sparki_cli.main"]
SYSTEMD = "/lib/systemd/systemd"
PATIENCE_S = 20.0
SECRET = "correct-horse-battery"
SERVICE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"secret known" if os.environ.get("TOKEN") == "correct-horse-battery" else b"no secret"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SETTINGS = """
environments:
  staging:
    adapter: process
    command: exec {python} service.py
    listen: 127.0.0.1:{port}
    health: {{http: /, interval: 50ms, within: 20s}}
    watch: 0s
    secrets: [TOKEN]
"""
BOOT = """
mount -t tmpfs none /run && mkdir -p /run/systemd/system
echo $$ > "$1/cgroup.procs"
{systemd} --user --log-target=console &
wait
"""


class Machine:
    """A machine that can be started and, all at once, lose its power. Its disk is the test's folder."""

    def __init__(self, folder: Path, cgroup: Path) -> None:
        self.folder = folder
        self.cgroup = cgroup
        self.home = folder / "home"
        self.root = folder / "shop"
        self.runtime = folder / "run"
        self.log = (folder / "systemd.log").open("ab")
        for made in (self.home, self.root, self.runtime):
            made.mkdir(mode=0o700)
        self._outer: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        away = ("SPARKI_", "XDG_", "DBUS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(away)}
        return {**kept, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}

    def start(self) -> None:
        command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
        self._outer = subprocess.Popen(
            [*command, BOOT.format(systemd=SYSTEMD), "sh", str(self.cgroup)], env=self.environ, stdout=self.log, stderr=self.log
        )
        until(lambda: self.run("systemctl", "--user", "is-system-running", check=False).stdout.strip() in ("running", "degraded"))

    def lose_power(self) -> None:
        if self._outer is not None:
            self._outer.kill()  # its child, the first process of the namespace, goes with it, and all others with that
            self._outer.wait()
            self._outer = None
            until(lambda: not (self.cgroup / "cgroup.procs").read_text().strip())

    def end(self) -> None:
        self.lose_power()
        self.log.close()
        for below, _, _ in os.walk(self.cgroup, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(below)

    def run(self, *words: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        assert self._outer is not None
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        if not children:
            return subprocess.CompletedProcess(words, 1, "", "it is not up yet")
        enter = ["nsenter", "--target", children[0], "--mount", "--pid", f"--wd={self.root}", "--"]
        done = subprocess.run(
            [*enter, *words], cwd=self.root, env=self.environ, capture_output=True, text=True, input=text, timeout=PATIENCE_S, check=False
        )
        assert not check or done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    def supervisor(self) -> str:
        return self.run(*SPARKI, "daemon", "status", "--jq", ".processes.supervisor.pid", check=False).stdout.strip()

    def sparki(self, *words: str, text: str | None = None) -> str:
        return self.run(*SPARKI, *words, text=text).stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() or not os.path.exists(SYSTEMD) or not all(map(shutil.which, ("unshare", "nsenter", "systemctl"))):
        pytest.skip("needs root, unshare and systemd: a user's systemd is run in namespaces of its own")
    tree = next((path for path in map(Path, ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup")) if (path / "cgroup.procs").exists()), None)
    cgroup = (tree or Path("/sys/fs/cgroup")) / f"sparki-test-{os.getpid()}"
    try:
        cgroup.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    found = Machine(tmp_path, cgroup)
    yield found
    found.end()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
        return free


def until(holds: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def get(port: int) -> str:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        link.request("GET", "/")
        return link.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        link.close()


def test_what_was_live_is_back_after_a_reboot_with_its_secrets_and_nobody_asked(machine: Machine, port: int) -> None:
    machine.start()
    (machine.root / "service.py").write_text(SERVICE)
    (machine.root / "sparki.yml").write_text(SETTINGS.format(python=sys.executable, port=port))
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for words in (("init", "-q", "-b", "main", "."), ("add", "."), (*who, "commit", "-qm", "first")):
        machine.run("git", *words)
    assert "starts the daemon" in machine.sparki("daemon", "install")
    machine.sparki("secret", "set", "TOKEN", text=SECRET)
    machine.sparki("deploy", "staging")
    assert get(port) == "secret known"

    machine.lose_power()
    until(lambda: get(port) == "ConnectionRefusedError")
    machine.start()
    until(lambda: get(port) == "secret known")

    told = machine.run("systemctl", "--user", "show", "sparki.service", "--property=MainPID,ActiveState").stdout
    supervisor = machine.supervisor()
    assert sorted(told.split()) == ["ActiveState=active", f"MainPID={supervisor}"]

    machine.run("kill", f"-{signal.SIGKILL.value}", supervisor)  # systemd starts it again
    until(lambda: machine.supervisor() not in ("null", supervisor))
    machine.run("systemctl", "--user", "stop", "sparki.service")
    assert machine.run(*SPARKI, "daemon", "status", check=False).returncode == 3
    assert get(port) == "secret known"

    machine.sparki("daemon", "uninstall")
    assert not list((machine.home / ".config").rglob("*sparki*"))
    machine.lose_power()
    machine.start()
    assert machine.run("systemctl", "--user", "is-enabled", "sparki.service", check=False).returncode != 0
    until(lambda: get(port) == "ConnectionRefusedError")


def test_a_daemon_that_was_started_by_hand_is_left_alone_and_replaced_when_it_dies(machine: Machine) -> None:
    machine.start()
    machine.sparki("daemon", "start")
    by_hand = machine.supervisor()
    machine.sparki("daemon", "install")
    assert machine.supervisor() == by_hand

    machine.run("kill", "-9", by_hand)
    main = machine.run("systemctl", "--user", "show", "sparki.service", "--property=MainPID", "--value").stdout.strip()
    until(lambda: machine.supervisor() == main)
    machine.sparki("daemon", "stop")  # means it: systemd does not start what was told to stop
    until(lambda: machine.run("systemctl", "--user", "is-active", "sparki.service", check=False).stdout.strip() == "inactive")
    machine.run("systemctl", "--user", "start", "sparki.service")
    until(lambda: machine.run(*SPARKI, "daemon", "status", check=False).returncode == 0)
