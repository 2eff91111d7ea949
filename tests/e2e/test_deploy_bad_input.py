"""What people get wrong, and what a machine does to them, with a real service: a clear error, its exit code, and what served serves on."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_site import SECRET, Site, wait_for_step
from shop import SPARKI

pytestmark = pytest.mark.slow
FLAPPY = """
import http.server, itertools, os
turn = itertools.count()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if next(turn) % 2 else 200)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def change(site: Site, **lines: str) -> None:
    """Commit settings in which some lines are others."""
    settings = (site.root / "sparki.yml").read_text().splitlines()
    for key, value in lines.items():
        at = next(index for index, line in enumerate(settings) if line.startswith(f"    {key}:"))
        settings[at] = f"    {key}: {value}"
    site.write("sparki.yml", "\n".join(settings) + "\n")
    site.commit("settings")


def serves_as_before(site: Site, deployment: str) -> None:
    """What was live answers, nothing else runs, nothing has drifted, and the target is free."""
    shown = site.json("env", "show", "staging")
    assert (shown["live"]["release"], shown["live"]["healthy"], shown["drift"], shown["deploying"]) == (deployment, True, [], None)
    assert site.get() == (200, "one")
    (folder,) = site.home.glob("environments/*/staging/services")
    assert [path.name for path in folder.iterdir()] == [deployment]


@pytest.fixture
def live(site: Site) -> str:
    """A release that is live."""
    release: str = site.json("deploy", "staging")["data"]["release"]
    return release


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ({"command": "exit 0"}, "the new release's command ended with 0"),
        ({"command": "echo no good; exit 3"}, "the new release's command ended with 3; its last lines:\nno good"),
        ({"command": "kill -9 $$"}, "the new release's command was ended by signal 9"),
        ({"command": "exec nosuchprogram"}, "nosuchprogram: not found"),
        (
            {"command": "sleep 1000", "health": "{http: /healthz, interval: 50ms, within: 1s}"},
            "was not healthy within 1 s: it does not listen on $PORT",
        ),
        (
            {"command": f"exec {sys.executable} flappy.py", "health": "{http: /, interval: 20ms, successes: 3, within: 1s}"},
            "was not healthy within 1 s",
        ),
        ({"release_command": "echo half; exit 4"}, "the release command ended with 4"),
    ],
    ids=["ends", "fails", "killed", "absent", "mute", "flaps", "release_command"],
)
def test_a_release_that_can_not_serve_fails_with_its_reason(site: Site, live: str, lines: dict[str, str], reason: str) -> None:
    site.write("flappy.py", FLAPPY)
    change(site, **lines)
    last = site.json("deploy", "staging", code=1)
    assert last["data"]["status"] == "failed"
    assert reason in last["data"]["reason"]
    serves_as_before(site, live)


def test_an_address_that_is_taken_is_told_before_anything_of_the_release_runs(site: Site, live: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        change(site, listen=f"127.0.0.1:{taken.getsockname()[1]}", release_command="touch ../migrated")
        last = site.json("deploy", "staging", code=1)
    assert last["data"]["status"] == "failed"
    assert f"is taken by python (pid {os.getpid()})" in last["data"]["reason"].replace("pytest", "python")
    assert list(site.home.glob("environments/*/staging/releases/migrated")) == []
    serves_as_before(site, live)


def test_a_release_that_was_pruned_is_refused_and_the_way_back_to_its_commit_told(site: Site) -> None:
    site.write("sparki.yml", (site.root / "sparki.yml").read_text() + "    keep_releases: 1\n")
    site.commit("keep one")
    first = site.git("rev-parse", "HEAD")
    site.sparki("deploy", "staging")
    site.write("app.txt", "two")
    site.commit("two")
    deployment = site.json("deploy", "staging")["data"]["deployment"]
    for words in (["rollback", "staging"], ["rollback", "staging", "1"], ["deploy", "staging", "--release", "1"]):
        error = site.json(*words, code=5)["error"]
        assert (error["code"], error["hint"]) == ("release_pruned", f"deploy its commit anew: sparki deploy staging --ref {first[:12]}")
    assert site.json("deployments")["deployments"][0]["id"] == deployment
    assert site.get() == (200, "two")


def test_an_environment_that_is_deleted_in_mid_deployment_gets_what_it_was_asked_for(site: Site, live: str) -> None:
    site.settle(watch="20s")
    deployment = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, deployment, "watch")
    site.write("sparki.yml", "project: shop\n")
    site.commit("no environments any more")
    assert site.json("deploy", "staging", code=5)["error"]["code"] == "unknown_environment"
    site.sparki("cancel", deployment)
    assert site.wait_for(deployment, "cancelled", "live", "failed")["status"] == "cancelled"
    serves_as_before(site, live)
    site.sparki("env", "down", "staging", "--yes")  # what is there can still be ended


def test_of_two_daemons_the_second_is_told_who_has_the_address(site: Site, live: str, tmp_path: Path) -> None:
    other = Site(tmp_path / "other", site.port)
    try:
        last = other.json("deploy", "staging", code=1)
        assert last["data"]["status"] == "failed"
        said = f"127.0.0.1:{site.port} is taken by what was deployed to 'staging' with the state folder {site.home}"
        assert said in last["data"]["reason"]
        assert other.json("env", "show", "staging")["live"] is None
        assert list(other.home.glob("environments/*/staging/keeper.sock")) == []
    finally:
        other.end()
    serves_as_before(site, live)


@pytest.fixture
def small(tmp_path: Path, free_port: int) -> Iterator[Site]:
    """A site whose state folder is on a disk of its own, of 24 MiB."""
    home = tmp_path / "small" / "home"
    home.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(home)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        found = Site(tmp_path / "small", free_port)
        yield found
        found.end()
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(site: Site) -> Path:
    path = site.home / "filler"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path


def test_a_full_disk_refuses_what_is_new_holds_up_what_is_under_way_and_passes(small: Site) -> None:
    live = small.json("deploy", "staging")["data"]["release"]
    filler = fill(small)
    assert small.json("deploy", "staging", code=1)["error"]["code"] == "disk_full"
    assert len(small.json("deployments")["deployments"]) == 1
    filler.unlink()
    serves_as_before(small, live)

    small.settle(watch="2s")
    deployment = small.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(small, deployment, "watch")
    filler = fill(small)
    done = subprocess.run(
        [*SPARKI, "deploy", "staging", "--wait", "4s"], cwd=small.root, env=small.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done
    assert small.get() == (200, "one")
    filler.unlink()
    assert small.wait_for(deployment, "live", "failed", "reverted", "unknown")["status"] == "live"
    assert small.json("env", "show", "staging")["drift"] == []


def test_a_release_that_does_not_fit_is_refused_and_leaves_nothing_of_it(small: Site) -> None:
    live = small.json("deploy", "staging")["data"]["release"]
    (small.root / "big.bin").write_bytes(os.urandom(14 << 20))  # once in the archive, and not a second time unpacked
    small.commit("big")
    last = small.json("deploy", "staging", code=1)
    assert last["data"]["status"] == "failed"
    assert "No space left on device" in last["data"]["reason"]
    (folder,) = small.home.glob("environments/*/staging/releases")
    assert sorted(path.name for path in folder.iterdir()) == [live, f"{live}.by"]
    serves_as_before(small, live)


def test_no_secret_is_in_what_a_failing_release_leaves(site: Site, live: str) -> None:
    change(site, command="echo $TOKEN; exit 3", release_command="echo $TOKEN")
    last = site.json("deploy", "staging", code=1)
    assert "its last lines:\n***" in last["data"]["reason"]
    leaks = [path for path in site.home.rglob("*") if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()]
    assert leaks == []
    serves_as_before(site, live)
