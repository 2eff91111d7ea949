"""A deployment's hooks, through the real command: each runs once, whoever dies, and a hook before can refuse."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import SETTINGS, Shop

PATIENCE_S = 30.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path)
    yield found
    found.end()


def hooked(shop: Shop, *, before: str = "true", after: str = "true") -> Path:
    shop.write("sparki.yml", f"{SETTINGS}    hooks:\n      before: |\n        {before}\n      after: |\n        {after}\n")
    shop.commit("hooks")
    return shop.root.parent / "told"


def lines(path: Path, count: int) -> list[str]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if path.exists() and len(found := path.read_text().splitlines()) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(path.read_text() if path.exists() else f"there is no {path}")


def settled(shop: Shop) -> bool:
    """Whether nothing of hooks is left in the state folder."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not list((shop.home / "hooks").iterdir()):
            return True
        time.sleep(0.02)
    return False


def kill_loco(shop: Shop) -> None:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"loco" in words and str(shop.home).encode() in words:
            os.kill(int(pid), signal.SIGKILL)
            return
    raise AssertionError("no loco runs")


def test_hooks_are_told_what_happens_and_run_in_the_folder_that_was_asked_from(shop: Shop) -> None:
    told = shop.root.parent / "told"
    say = f'echo "%s $SPARKI_ENVIRONMENT $SPARKI_RELEASE_NUMBER $SPARKI_COMMIT $SPARKI_STATUS $PWD" >> {told}'
    hooked(shop, before=say % "before", after=say % "after")
    commit = shop.git("rev-parse", "HEAD")
    shop.sparki("deploy", "staging")

    assert lines(told, 2) == [f"before staging 1 {commit}  {shop.root}", f"after staging 1 {commit} live {shop.root}"]
    assert settled(shop)


def test_a_hook_before_that_fails_refuses_the_deployment_and_the_hook_after_hears_of_it(shop: Shop) -> None:
    told = hooked(shop, before="echo not today; exit 3", after=f'echo "$SPARKI_STATUS: $SPARKI_REASON" >> {shop.root.parent}/told')
    said = shop.sparki("deploy", "staging", code=1)
    deployment = shop.json("deployments")["deployments"][0]["id"]

    assert "the hook before ended with 3" in said
    assert "not today" in shop.sparki("logs", deployment)
    assert lines(told, 1) == ["failed: the hook before ended with 3"]
    assert shop.json("env", "show", "staging")["live"] is None


def test_a_hook_after_that_fails_changes_nothing_but_is_told_in_the_log(shop: Shop) -> None:
    hooked(shop, after="exit 4")
    shop.sparki("deploy", "staging")
    assert settled(shop)
    shown = shop.json("deployments")["deployments"][0]

    assert shown["status"] == "live"
    assert "the hook after ended with 4" in shop.sparki("logs", shown["id"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_loco_that_is_killed_in_a_hook_runs_it_once(shop: Shop, when: str) -> None:
    begun, told = shop.root.parent / "begun", shop.root.parent / "told"
    hooked(shop, **{when: f"echo begun >> {begun}; until test -e {shop.root.parent}/go; do sleep 0.02; done; echo ended >> {told}"})
    deployment = shop.json("deploy", "staging", "--detach")["deployment"]
    lines(begun, 1)
    kill_loco(shop)
    (shop.root.parent / "go").touch()

    shown = shop.wait_for(deployment, "live", "failed")
    assert shown["status"] == "live", [step for step in shown["steps"] if step["reason"]]
    assert lines(told, 1) == ["ended"]
    assert settled(shop)
    assert begun.read_text() == "begun\n"
