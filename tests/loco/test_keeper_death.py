"""Keeper, front and services killed together and apart: what runs goes on, or comes back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loco_services import LIMIT_S, until
from place import SECRET, Load, Stand, code, kill, stat_mode, tree_of, tuple_of

from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.system import held, process

# -- the keeper's death -------------------------------------------------------------------------------------------------------


def test_a_killed_keeper_cuts_nothing_and_its_successor_adopts_all(place):
    place.serve("r-1", secrets={"SECRET": "r-secret"})
    before = place.keeper.status()
    with Load(place) as load:
        kill(before.pid)
        until(lambda: held.holder(place.folder + "/keeper.lock"), "the front has a new keeper started")
        after = place.keeper.status()
        time.sleep(0.2)
    assert load.failures == []
    assert after.pid != before.pid
    assert (after.front_pid, after.services["r-1"].pid) == (before.front_pid, before.services["r-1"].pid)
    assert (after.live, after.epoch, after.listen) == (before.live, before.epoch, before.listen)
    kill(after.services["r-1"].pid)
    until(lambda: place.service("r-1").listening, "restarted with the values that the front held")
    assert place.get() == "r-secret"


def test_a_keeper_that_was_stopped_is_ended_by_who_acts_alone_and_nothing_is_cut(place, monkeypatch):
    monkeypatch.setattr("sparki_daemon.loco.keeper.client.MUTE_S", 1.0)
    place.serve("r-1")
    before = place.keeper.status()
    with Load(place) as load:
        os.kill(before.pid, signal.SIGSTOP)
        with Keeper(place.folder) as looking, pytest.raises(SparkiError, match="it does not answer"):
            looking._ask({"do": "status"}, limit_s=0.2)
        assert held.holder(place.folder + "/keeper.lock").pid == before.pid
        told = place.keeper._ask({"do": "status"}, limit_s=5.0)
    assert load.failures == []
    after = place.keeper.status()
    assert told["pid"] == after.pid != before.pid
    assert (after.front_pid, after.services["r-1"].pid) == (before.front_pid, before.services["r-1"].pid)


def test_a_keeper_that_takes_its_time_for_what_it_is_asked_is_left_alone(place):
    place.serve("r-1")
    before = place.keeper.status()
    place.run("r-2", f"trap '' TERM; : > {place.root}/deaf; sleep 600")
    until((place.root / "deaf").exists)

    with pytest.raises(SparkiError, match="it does not answer"):
        place.keeper._ask({"do": "stop_service", "release": "r-2", "grace_s": 5.0}, limit_s=0.1)
    assert place.keeper.status().pid == before.pid


@pytest.mark.parametrize("together", [True, False], ids=["together", "one after the other"])
def test_a_service_whose_keeper_and_minder_were_killed_is_ended_and_started_again(place, together):
    place.serve("r-1")
    before = place.keeper.status()
    minder = place.keeper._ask({"do": "status"})["services"][0]["minder"]
    tree = [*tree_of(minder), process.identity(before.services["r-1"].pid)]
    kill(before.pid)
    if not together:
        until(lambda: place.keeper.status().pid != before.pid, "a new keeper, which is not the minder's parent")
    kill(minder)

    until(lambda: not any(process.alive(who) for who in tree), "the old tree is gone")
    until(lambda: place.service("r-1").listening and place.service("r-1").pid != before.services["r-1"].pid, "it runs again")
    assert place.get() == "r-1"


def test_front_and_keeper_killed_together_leave_the_service_and_it_is_adopted(place):
    place.serve("r-1", secrets={"SECRET": "r-secret"})
    before = place.keeper.status()
    os.kill(before.pid, signal.SIGSTOP)
    kill(before.front_pid)
    kill(before.pid)
    after = place.keeper.status()  # starts a keeper
    until(lambda: place.keeper.status().front_ready)

    assert after.services["r-1"].pid == before.services["r-1"].pid
    assert place.get() == "r-secret"
    kill(after.services["r-1"].pid)
    until(lambda: place.service("r-1").condition == "needs_values")
    place.serve("r-1", secrets={"SECRET": "r-secret"}, live=False)
    until(lambda: place.get() == "r-secret")


def nobody_left(place):
    """SIGKILL to all that lives, again and again: a shell that has just been started may be starting its program."""
    for pid in place.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not place.pids()


def test_after_a_reboot_all_comes_back_but_what_needs_values(place):
    place.serve("r-1")
    place.keeper.start_service("r-2", "sleep 600", str(place.root), variables={}, secrets={"KEY": SECRET})
    status = place.keeper.status()
    os.kill(status.pid, signal.SIGSTOP)
    until(lambda: nobody_left(place))
    until(lambda: place.service("r-1").listening and place.keeper.status().front_ready)

    assert place.get() == "r-1"
    assert place.service("r-2").condition == "needs_values"
    with pytest.raises(SparkiError, match="no value for KEY"):
        place.keeper.give_values("r-2", {"OTHER": SECRET})
    with Keeper(place.folder) as anyone:  # needs no fence: it decides nothing
        anyone.give_values("r-2", {"KEY": SECRET, "OTHER": "more"})
    until(lambda: place.service("r-2").condition == "running")
    assert place.keeper.environment("r-2")[1] == ["KEY"]
    place.keeper.give_values("r-2", {"KEY": "another"})
    assert place.keeper.environment("r-2")[0]["KEY"] == SECRET


def test_a_terminated_keeper_ends_all_and_the_next_one_brings_it_back(place):
    place.serve("r-1")
    pid = place.keeper.status().pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: not place.pids(), "all ended")

    until(lambda: place.service("r-1").listening)
    until(lambda: place.keeper.status().front_ready)
    assert place.get() == "r-1"


def test_down_leaves_no_process_and_no_address(place):
    place.serve("r-1")
    place.keeper.down(grace_s=5)
    until(lambda: not place.pids())
    with socket.create_server(tuple_of(place.listen)):
        assert not place.keeper.runs()
    assert place.keeper.status().services == {}


def test_no_secret_is_in_any_file_or_command_line(place):
    place.keeper.start_service("r-1", "sleep 600", str(place.root), variables={}, secrets={"KEY": SECRET})
    place.keeper.ensure_front(place.listen)
    for folder, _, names in os.walk(place.root):
        for name in names:
            path = os.path.join(folder, name)
            if not path.endswith(".sock"):
                assert SECRET.encode() not in Path(path).read_bytes(), path
    for pid in place.pids():
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert stat_mode(place.folder) == 0o700


def test_two_starts_at_once_are_one_keeper(tmp_path, place):
    command = [sys.executable, "-m", "sparki_daemon", "keeper", "--folder", place.folder]
    starts = [subprocess.Popen(command) for _ in range(4)]

    assert [start.wait(LIMIT_S) for start in starts] == [0] * 4
    holder = held.holder(place.folder + "/keeper.lock")
    assert holder
    assert holder.pid == place.keeper.status().pid


def test_a_state_of_another_version_is_refused_with_a_word(tmp_path):
    folder = tmp_path / "environment"
    folder.mkdir(mode=0o700)
    (folder / "keeper.json").write_text(json.dumps({"format": 99}))
    with Keeper(str(folder)) as keeper, pytest.raises(SparkiError) as problem:
        keeper.status()
    assert code(problem) == "keeper_unstartable"
    assert "another version" in problem.value.problems[0].message


def test_a_folder_whose_path_is_too_long_for_a_socket_works(tmp_path):
    place = Stand(tmp_path / ("long" * 30))
    place.root.mkdir()
    try:
        place.serve("r-1")
        assert place.get() == "r-1"
    finally:
        place.keeper.down(grace_s=2)
        place.keeper.close()
