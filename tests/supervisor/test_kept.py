"""What an environment keeps running is spared by the supervisor that adopts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from sparki_daemon.loco.front.names import lock_name
from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.loco.keeper.main import LOCK_NAME
from sparki_daemon.loco.keeper.minder import lock_path
from sparki_daemon.supervisor.kept import kept_pids
from sparki_daemon.system import process


def test_keeper_front_and_minder_are_known_by_their_locks(tmp_path):
    folder = tmp_path / "environments" / "shop" / "staging"
    folder.mkdir(parents=True)
    with Keeper(str(folder), deployment="d-1", epoch=1) as keeper:
        try:
            keeper.start_service("r-1", "sleep 600", "/", variables={}, secrets={})
            keeper.ensure_front("127.0.0.1:0")
            status = keeper.status()
            minder = process.children(status.pid)
            assert kept_pids(str(tmp_path)) == {status.pid, status.front_pid, *minder}
            assert status.services["r-1"].pid not in kept_pids(str(tmp_path))
        finally:
            keeper.down(grace_s=1)
    deadline = time.monotonic() + 20
    while kept_pids(str(tmp_path)):  # its last breath: its sockets end before it does
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_record_that_somebody_else_s_pid_got_is_not_believed(tmp_path):
    folder = tmp_path / "environments" / "shop" / "staging"
    (folder / "services" / "r-1").mkdir(parents=True)
    me = process.identity(os.getpid())
    lie = json.dumps({"pid": me.pid, "start": me.start + 1, "boot": me.boot})
    for name in (LOCK_NAME, lock_name(1), lock_path("services/r-1")):
        (folder / name).write_text(lie)

    assert kept_pids(str(tmp_path)) == set()


ADOPTER = """
import os, sys
from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.supervisor.children import end_adopted
from sparki_daemon.supervisor.kept import kept_pids
from sparki_daemon.system import process
home = sys.argv[1]
process.become_subreaper()
with Keeper(home + "/environments/shop/staging", deployment="d-1", epoch=1) as keeper:
    keeper.start_service("r-1", "sleep 600", "/", variables={}, secrets={})
    keeper.ensure_front("127.0.0.1:0")
    stray = os.fork() or os.execvp("sleep", ["sleep", "600"])
    before = keeper.status()
    adopted = set(process.children())
    end_adopted(set(), spared=lambda: kept_pids(home))
    after = keeper.status()
    print(before.pid in adopted, stray in process.children(), (before.pid, before.front_pid) == (after.pid, after.front_pid))
    keeper.down(grace_s=1)
"""


def test_the_supervisor_that_adopts_a_keeper_ends_strays_and_spares_it(tmp_path):
    done = subprocess.run([sys.executable, "-c", ADOPTER, str(tmp_path)], capture_output=True, text=True, timeout=50, check=True)

    assert done.stdout == "True False True\n"
