"""A keeper with real fronts and services: what is asked of it, and what it does while nobody dies."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from loco_services import until
from place import SECRET, Load, ask, code, kill, tree_of, tuple_of

from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.system import process

# -- services -----------------------------------------------------------------------------------------------------------------


def test_a_service_gets_its_port_its_release_and_its_variables_and_little_else(place, monkeypatch):
    monkeypatch.setenv("SPARKI_JOB", "mark")
    monkeypatch.setenv("OTHER", "private")
    script = f"env; test $KEY = {SECRET} && echo KEPT=yes; echo END; sleep 600"
    place.keeper.start_service("r-1", script, str(place.root), variables={"LOG_LEVEL": "info"}, secrets={"KEY": SECRET})
    until(lambda: "END" in place.log("r-1"))
    seen = dict(line.partition("=")[::2] for line in place.log("r-1").splitlines())

    assert seen["PORT"] == str(place.service("r-1").port)
    assert (seen["SPARKI_RELEASE"], seen["LOG_LEVEL"], seen["KEPT"]) == ("r-1", "info", "yes")
    assert seen["KEY"] == "***"
    assert "OTHER" not in seen
    assert "SPARKI_JOB" not in seen
    keeper = place.keeper.status().pid
    assert b"SPARKI_JOB" not in Path(f"/proc/{keeper}/environ").read_bytes()


def test_the_same_start_twice_is_one_process(place):
    place.run("r-1", "sleep 600")
    until(lambda: place.service("r-1").pid)
    first = place.service("r-1").pid
    place.run("r-1", "sleep 600")

    assert place.service("r-1").pid == first
    with pytest.raises(SparkiError) as problem:
        place.run("r-1", "sleep 601")
    assert code(problem) == "release_differs"


def test_a_service_that_dies_comes_back_and_one_that_never_lives_is_told(place):
    place.run("r-1", "sleep 600")
    until(lambda: place.service("r-1").pid)
    kill(place.service("r-1").pid)
    until(lambda: place.service("r-1").pid and place.service("r-1").restarts == 1)
    assert place.service("r-1").exit_status == -signal.SIGKILL

    place.run("r-2", "echo no; exit 3")
    until(lambda: place.service("r-2").condition == "crash_looping")
    looping = place.service("r-2")
    assert looping.exit_status == 3
    assert looping.restarts >= 5
    assert Path(looping.log).read_text().startswith("no\n")
    assert place.service("r-1").condition == "running"


def test_a_stop_ends_the_whole_tree_whatever_it_does_to_escape(place):
    script = "trap '' TERM; (setsid sleep 600 &) ; (env -i /usr/bin/setsid /bin/sh -c 'sleep 601 & sleep 602' &) ; sleep 603"
    place.run("r-1", script)
    place.run("r-2", "sleep 604")
    minder = place.keeper._ask({"do": "status"})["services"][0]["minder"]
    until(lambda: len(process.descendants(minder)) >= 6, "the tree has grown")
    tree = tree_of(minder)

    place.keeper.stop_service("r-1", grace_s=0.3)

    assert not any(process.alive(who) for who in tree)
    assert set(place.keeper.status().services) == {"r-2"}
    assert place.service("r-2").condition == "running"
    place.keeper.stop_service("r-1", grace_s=0.3)


def test_a_polite_service_has_its_grace(place):
    place.run("r-1", "trap 'sleep 0.3; echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    until(lambda: "up" in place.log("r-1"))
    place.keeper.stop_service("r-1", grace_s=20)

    assert place.log("r-1").endswith("bye\n")


def test_what_a_killed_minder_leaves_is_ended_and_the_service_started_again(place):
    place.run("r-1", "(env -i setsid sleep 600 &) ; sleep 601")
    minder = place.keeper._ask({"do": "status"})["services"][0]["minder"]
    until(lambda: len(process.descendants(minder)) >= 3)
    tree = tree_of(minder)
    kill(minder)

    until(lambda: not any(process.alive(who) for who in tree), "the old tree is gone")
    until(lambda: place.service("r-1").restarts == 1 and place.service("r-1").pid)


def test_limits_reach_the_service_and_unknown_ones_are_refused(place):
    place.run("r-1", "ulimit -n; sleep 600", limits={"files": 77})
    until(lambda: place.log("r-1") == "77\n")
    with pytest.raises(SparkiError) as problem:
        place.run("r-2", "true", limits={"horses": 1})
    assert code(problem) == "bad_limit"


@pytest.mark.parametrize(("release", "cwd", "expected"), [("../up", "/", "bad_release"), ("r-1", "/no/such/folder", "no_folder")])
def test_what_cannot_be_started_is_refused(place, release, cwd, expected):
    with pytest.raises(SparkiError) as problem:
        place.keeper.start_service(release, "true", cwd, variables={}, secrets={})
    assert code(problem) == expected


# -- fencing ------------------------------------------------------------------------------------------------------------------


def test_an_older_epoch_is_refused_whatever_it_asks(place):
    place.run("r-1", "sleep 600")
    with Keeper(place.folder, deployment="d-2", epoch=2) as newer:
        newer.start_service("r-1", "sleep 600", str(place.root), variables={}, secrets={})
        assert newer.status().services["r-1"].deployment == "d-2"
    for act in (
        lambda: place.keeper.stop_service("r-1", grace_s=1),
        lambda: place.keeper.set_upstream("r-1"),
        lambda: place.keeper.ensure_front(place.listen),
        lambda: place.keeper.down(grace_s=1),
        lambda: place.run("r-2", "true"),
    ):
        with pytest.raises(SparkiError) as problem:
            act()
        assert code(problem) == "fenced"
    with Keeper(place.folder, deployment="d-3", epoch=2) as same_epoch, pytest.raises(SparkiError):
        same_epoch.set_upstream(None)
    assert set(place.keeper.status().services) == {"r-1"}


def test_the_fence_holds_after_the_keepers_death(place):
    with Keeper(place.folder, deployment="d-2", epoch=7) as newer:
        newer.set_upstream(None)
        kill(newer.status().pid)
    with pytest.raises(SparkiError) as problem:
        place.run("r-1", "true")
    assert code(problem) == "fenced"


# -- the front ----------------------------------------------------------------------------------------------------------------


def test_a_taken_address_names_who_has_it(place):
    with socket.create_server(tuple_of(place.listen)):
        with pytest.raises(SparkiError) as problem:
            place.keeper.ensure_front(place.listen)
        assert code(problem) == "address_taken"
        assert f"(pid {os.getpid()})" in problem.value.problems[0].message
    place.keeper.ensure_front(place.listen)


def test_an_address_that_another_environment_has_is_told_with_its_name_and_state_folder(place, tmp_path):
    place.keeper.ensure_front(place.listen)
    home = tmp_path / "other"
    with Keeper(str(home / "environments" / "p-1" / "staging"), deployment="d-1", epoch=1) as other:
        with pytest.raises(SparkiError) as problem:
            other.ensure_front(place.listen)
        other.down(grace_s=0.0)

    (told,) = problem.value.problems
    name, folder = os.path.basename(place.folder), os.path.abspath(os.path.join(place.folder, "..", "..", ".."))
    assert told.message == f"{place.listen} is taken by what was deployed to '{name}' with the state folder {folder}"
    assert "`sparki env down`" in told.hint


def test_only_a_service_that_is_there_can_be_live(place):
    with pytest.raises(SparkiError) as problem:
        place.keeper.set_upstream("r-9")
    assert code(problem) == "no_such_service"


def test_a_stranger_at_a_services_port_is_not_taken_for_it(place):
    place.run("r-1", "sleep 600")
    with socket.create_server(("127.0.0.1", place.service("r-1").port)):
        assert not place.service("r-1").listening


def test_maintenance_and_its_end(place):
    place.serve("r-1")
    place.keeper.set_maintenance("soon", retry_after_s=5)
    assert place.get() == "503 soon\n"
    place.keeper.set_maintenance(None)
    assert place.get() == "r-1"


def test_cuts_under_load_drop_nothing(place):
    place.serve("r-0")
    idle = place.connect()
    assert ask(idle) == "r-0"
    with Load(place) as load:
        for number in range(1, 4):
            old, new = f"r-{number - 1}", f"r-{number}"
            place.serve(new)
            until(lambda old=old: place.keeper.status().counted(old).in_flight == 0, "the old one is empty")
            place.keeper.stop_service(old, grace_s=5)
            assert ask(idle) == new
    assert load.failures == []
    counted = [place.keeper.status().counted(f"r-{number}") for number in range(4)]
    assert sum(one.dropped for one in counted) == 0
    assert sum(one.requests for one in counted) == load.answers + 4
    idle.close()


def test_a_killed_front_refuses_nobody_and_what_it_counted_is_known(place):
    place.serve("r-1")
    with Load(place) as load:
        for _ in range(2):
            before = place.keeper.status().front_pid
            answers = load.answers
            kill(before)
            until(lambda answers=answers: load.answers > answers + 20, "load goes on")
            until(lambda before=before: place.keeper.status().front_pid not in (None, before))
    assert "ConnectionRefusedError" not in load.failures
    status = place.keeper.status()
    counted = status.counted("r-1")
    assert counted.in_flight == 0
    assert status.front_restarts == 2
    assert len(load.failures) <= 20  # at most those in flight at each kill
    assert counted.requests >= load.answers
    assert counted.cuts <= len(load.failures)


def test_a_new_front_takes_over_and_the_old_one_drains(place):
    place.serve("r-1")
    old = place.keeper.status().front_pid
    with Load(place) as load:
        place.keeper.renew_front()
        until(lambda: place.keeper.status().draining == 0, "the old front is gone")
    status = place.keeper.status()
    assert status.front_pid != old
    assert status.front_restarts == 0
    assert not set(load.failures) - {"RemoteDisconnected", "ConnectionResetError"}, load.failures
    assert status.counted("r-1").dropped == 0
