"""A state folder that is removed or moved under its daemon: nothing of it lives on, and nobody else's is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from service_site import PATIENCE_S, Site

pytestmark = pytest.mark.slow


def processes(home: Path) -> dict[int, str]:
    """Everything that runs for a state folder: the supervisor and its stations name it, a service has its keeper's environment."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(home) in told or str(home) in os.readlink(f"/proc/{entry}/cwd"):
                found[int(entry)] = told
    return found


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(folder: Path) -> bool:
    """Remove a folder in which stations still make and remove files of their own: whole at the first time it is not overtaken."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def stations(site: Site) -> dict[str, int]:
    told = site.json("daemon", "status")["processes"]
    return {name: told[name]["pid"] for name in ("supervisor", "engine")}


def test_nothing_of_a_removed_state_folder_lives_on(site: Site) -> None:
    site.sparki("deploy", "staging")
    engine = stations(site)["engine"]
    assert len(processes(site.home)) >= 5
    until(lambda: gone(site.home))
    os.kill(engine, signal.SIGKILL)  # its death is when the supervisor looks, and so is every half minute
    until(lambda: not processes(site.home))
    assert not (site.home / "daemon.json").exists()
    site.sparki("daemon", "start")  # another daemon, in a new folder of that name
    assert stations(site)["engine"] != engine


def test_a_daemon_whose_folder_was_moved_leaves_and_what_is_deployed_serves_on(site: Site) -> None:
    site.sparki("deploy", "staging")
    before = stations(site)
    elsewhere = site.home.with_name("elsewhere")
    site.home.rename(elsewhere)
    os.kill(before["engine"], signal.SIGKILL)
    until(lambda: not Path(f"/proc/{before['supervisor']}").exists())
    assert site.get() == (200, "one")
    elsewhere.rename(site.home)
    assert site.json("env", "show", "staging")["live"]["healthy"] is True
    assert stations(site)["supervisor"] != before["supervisor"]
