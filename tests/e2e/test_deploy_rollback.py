"""A rollback that is asked for while the newest deployment is in its watch: one cut, and nobody who asks the service notices."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections import Counter
from typing import Self

import pytest
from kill_yard import Kill, KillYard, until
from service_site import PATIENCE_S, Site, wait_for_step
from shop import SPARKI

from sparki_daemon.loco.driver import OF_NEW
from sparki_daemon.model.deployment import STEPS

WATCH_S = 600  # no test is so patient


class Crowd:
    """Asks a port all the time, on kept and on new connections, for quick and for slow answers. As a context."""

    def __init__(self, port: int) -> None:
        self.port, self.over = port, threading.Event()
        self.answers, self.wrong = Counter[str](), Counter[str]()
        ways = [("/", True), ("/", False), ("/slow", True), ("/slow", False)]
        self.threads = [threading.Thread(target=self._ask, args=way) for way in ways]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, path: str, kept: bool) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        while not self.over.wait(0.01):
            try:
                link.request("GET", path)
                answer = link.getresponse()
                body = answer.read().decode().strip()
                (self.answers if answer.status == 200 else self.wrong)[f"{path} {body}"] += 1
            except (OSError, http.client.HTTPException) as error:
                self.wrong[f"{path} {error!r}"] += 1
                link.close()
            if not kept:
                link.close()
        link.close()


@pytest.mark.slow
def test_a_rollback_in_the_watch_takes_the_release_back_at_once_and_drops_no_request(site: Site) -> None:
    site.settle(watch=f"{WATCH_S}s")
    first = site.json("deploy", "staging", "--detach")["deployment"]
    wait_for_step(site, first, "watch")
    site.sparki("cancel", first, "--keep")
    assert site.wait_for(first, "live", "failed")["status"] == "live"
    site.write("app.txt", "two")
    site.commit("two")
    deploying = subprocess.Popen(
        [*SPARKI, "deploy", "staging", "--json"], cwd=site.root, env=site.environ, stdout=subprocess.PIPE, text=True
    )
    until(lambda: len(site.json("deployments")["deployments"]) == 2, "the second deployment")
    second = site.json("deployments")["deployments"][0]["id"]
    wait_for_step(site, second, "watch")

    with Crowd(site.port) as crowd:
        until(lambda: {"/ two", "/slow two"} <= set(crowd.answers), "answers of the new release")
        told = site.json("rollback", "staging")
        until(lambda: {"/ one", "/slow one"} <= set(crowd.answers), "answers of the old one")

    assert not crowd.wrong
    assert told["data"]["status"] == "live"
    last = json.loads(deploying.communicate(timeout=PATIENCE_S)[0].splitlines()[-1])
    rollback = told["data"]["deployment"]
    assert (deploying.returncode, last["kind"], last["data"]["status"]) == (1, "deployment.finished", "reverted")
    assert last["data"]["reason"] == f"rolled back by {rollback}"
    assert [(one["id"], one["status"]) for one in site.json("deployments")["deployments"][:2]] == [(rollback, "live"), (second, "reverted")]
    steps = {step["name"]: step["status"] for step in site.json("show", rollback)["steps"]}
    assert {name for name, status in steps.items() if status == "skipped"} == {"release_command", "watch"}
    assert [one["number"] for one in site.json("releases", "staging")["releases"] if one["live"]] == [1]
    assert site.json("env", "show", "staging")["live"]["number"] == 1
    words = site.sparki("show", second)
    assert "watch the new release under traffic: cancelled" in words
    assert f"rolled back by {rollback}" in words


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_loco_dies_at_any_moment_of_a_rollback_in_the_watch_and_it_goes_on(yard: KillYard) -> None:
    """First on the way back of what was in its watch, then at the steps of the rollback."""
    live, migrated = yard.live(), yard.ran()
    yard.settle("", watch=f"{WATCH_S}s")
    kills = [Kill(("loco",), "watch", moment) for moment in ("result", "next")]
    kills += [Kill(("loco",), rule.name, moment, back=True) for rule in STEPS if rule.undone for moment in ("effect", "result")]
    kills += [Kill(("loco",), rule.name, "effect") for rule in STEPS if rule.name not in OF_NEW]
    for number, kill in enumerate(kills, 1):
        yard.spare(kill)
        second = yard.json("deploy", "staging", "--detach")["deployment"]
        until(lambda second=second: yard.json("show", second)["step"] == "watch", "the watch")
        yard.arm(kill)
        told = yard.json("rollback", "staging")["data"]
        yard.met(kill)
        assert (told["status"], told["release"]) == ("live", live), kill
        assert yard.json("show", second)["status"] == "reverted", kill
        assert yard.ran() == migrated + number, kill  # that of the release which was taken back, and none for the rollback
        yard.check(live)
    assert yard.asking.answers > 0
    assert not yard.asking.wrong
