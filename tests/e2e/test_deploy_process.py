"""A real service on this machine, through the real command and daemon: what people see of it, and what nobody may."""

from __future__ import annotations

import http.client
import os
import signal
import time

from service_site import PATIENCE_S, SECRET, Site, wait_for_step

from sparki_daemon.loco.keeper.client import Keeper


def until_in_log(site: Site, deployment: str, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while text not in (log := site.sparki("logs", deployment)):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    return log


def test_hooks_and_the_release_command_run_and_nothing_on_disk_has_the_secret_that_they_print(site: Site) -> None:
    site.sparki("deploy", "staging")
    deployment = site.json("deployments")["deployments"][0]["id"]
    log = until_in_log(site, deployment, "after live")

    assert site.get() == (200, "one")
    assert "before 1" in log
    assert "migrating with ***" in log
    assert "the token is ***" in site.sparki("env", "logs", "staging")
    leaks = [path for path in site.home.rglob("*") if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()]
    assert leaks == []


def test_a_command_beside_the_service_has_its_folder_and_environment_and_its_output_no_secret(site: Site) -> None:
    site.sparki("deploy", "staging")
    script = f'cat app.txt; echo "$LEVEL $PORT"; test "$TOKEN" = {SECRET} && echo "has $TOKEN"; head -c 100000 /dev/zero | tr "\\0" a'
    first, second, third, long = site.sparki("env", "exec", "staging", "--", "sh", "-c", script).splitlines()

    assert (first, second.partition(" ")[0], third, len(long)) == ("one", "info", "has ***", 100_000)
    assert int(second.partition(" ")[2]) != site.port
    (deployed,) = site.home.glob("environments/*/staging/releases/*/app.txt")
    deployed.write_text("changed by hand")
    shown = site.json("env", "show", "staging")
    assert shown["drift"] == [{"what": "files.app.txt", "released": "as shipped", "live": "changed"}]
    words = site.sparki("env", "show", "staging")
    assert "drift files.app.txt: released as shipped, live changed" in words
    assert f"process {shown['facts']['pid']} on port {shown['facts']['port']}\n" in words
    assert "null" not in words
    assert "'absent' can't be started there" in site.sparki("env", "exec", "staging", "--", "absent", code=127)
    assert "'./app.txt' can't be started there" in site.sparki("env", "exec", "staging", "--", "./app.txt", code=126)
    site.sparki("env", "exec", "staging", "--", "sh", "-c", "exit 7", code=7)


def test_whoever_looks_at_an_environment_whose_keeper_and_front_were_killed_brings_it_back(site: Site) -> None:
    site.sparki("deploy", "staging")
    (folder,) = (str(path) for path in site.home.glob("environments/*/staging"))
    for look in (("env", "ls"), ("env", "show", "staging"), ("env", "logs", "staging")):
        with Keeper(folder) as keeper:
            status = keeper.status()
        for pid in (status.pid, status.front_pid):
            assert pid
            os.kill(pid, signal.SIGSTOP)  # neither starts the other again
        for pid in (status.pid, status.front_pid):
            os.kill(pid, signal.SIGKILL)
        said = site.sparki(*look)
        assert site.get() == (200, "one"), said
        assert "drift" not in said


def test_what_is_down_has_no_command_beside_it(site: Site) -> None:
    site.sparki("deploy", "staging")
    site.sparki("env", "down", "staging", "--yes")

    assert site.json("env", "show", "staging")["live"] is None
    said = site.sparki("env", "exec", "staging", "--", "true", code=5)
    assert "nothing is live" in said


def test_a_release_that_answers_badly_takes_itself_back_and_the_old_one_never_stopped(site: Site) -> None:
    site.settle(watch="20s")
    first = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, first, "watch")
    assert "stays, and is watched no longer" in site.sparki("cancel", first, "--keep")
    assert site.wait_for(first, "live", "failed")["status"] == "live"
    site.write("bad", "")
    site.write("app.txt", "two")
    site.commit("bad")

    deployment = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, deployment, "watch")
    answers = [site.get() for _ in range(30)]
    assert (500, "two") in answers
    shown = site.wait_for(deployment, "reverted", "live", "failed")
    assert shown["status"] == "reverted"
    assert "answered with 5xx" in next(step["reason"] for step in shown["steps"] if step["name"] == "watch")
    assert site.get() == (200, "one")


def test_a_rollback_brings_the_files_of_then_and_maintenance_answers_everyone(site: Site) -> None:
    site.sparki("deploy", "staging")
    site.write("app.txt", "two")
    site.commit("two")
    site.sparki("deploy", "staging")
    assert site.get() == (200, "two")
    site.sparki("rollback", "staging")
    assert site.get() == (200, "one")

    site.sparki("env", "maintenance", "staging", "on")
    link = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    link.request("GET", "/")
    assert link.getresponse().getheader("Retry-After") == "60"
    link.close()
    assert site.get()[0] == 503
    site.sparki("env", "maintenance", "staging", "off")
    assert site.get() == (200, "one")
