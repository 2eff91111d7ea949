"""A push is never lost and never done twice: who pushes leaves, the engine dies at a commit, no daemon is there, the program is gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bound import CI, BoundShop, head, until
from test_every_commit import HOOK

pytestmark = pytest.mark.slow  # together they take minutes

Make = Callable[[str], BoundShop]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes bound shops; what they started is ended with the test."""
    made: list[BoundShop] = []

    def one(name: str) -> BoundShop:
        made.append(BoundShop(tmp_path / name))
        return made[-1]

    yield one
    for shop in made:
        shop.end()


def went_live_once(shop: BoundShop) -> bool:
    """Whether the pushed commit is live, by one run and one deployment."""
    until(lambda: bool(shop.deployments()))
    (deployment,) = shop.deployments()
    shown = shop.wait_for(deployment["id"], "live", "failed", "reverted", "cancelled", "unknown")
    (run,) = shop.runs()
    assert (shown["status"], shown["commit"], shown["run"]) == ("live", head(shop), run["id"])
    assert not list((shop.bare / "sparki" / "pending").iterdir())
    return True


def _ctrl_c(push: subprocess.Popen[str]) -> None:
    os.killpg(push.pid, signal.SIGINT)


def _hang_up(push: subprocess.Popen[str]) -> None:
    os.killpg(push.pid, signal.SIGHUP)


def _kill(push: subprocess.Popen[str]) -> None:
    os.killpg(push.pid, signal.SIGKILL)


def _close(push: subprocess.Popen[str]) -> None:
    assert push.stdout is not None
    push.stdout.close()


@pytest.mark.parametrize("leave", [_ctrl_c, _hang_up, _kill, _close], ids=lambda leave: leave.__name__)
def test_closing_the_push_stops_nothing(make: Make, leave: Callable[[subprocess.Popen[str]], None]) -> None:
    shop = make("left")
    gate = shop.home / "gate"
    shop.write(".github/workflows/ci.yml", CI + f"      - run: until [ -e {gate} ]; do sleep 0.05; done\n")
    shop.commit("a job that waits")
    push = shop.pushing("sparki", "main", start_new_session=True)  # a session is a terminal's process group too
    assert push.stdout is not None
    while "goes to staging when green" not in push.stdout.readline():
        assert push.poll() is None

    leave(push)
    (run,) = shop.runs()
    assert run["status"] in ("queued", "running")
    gate.touch()

    assert went_live_once(shop)
    push.communicate(timeout=30) if leave is not _close else push.wait(timeout=30)


def test_a_hook_that_is_killed_before_it_has_told_anybody_has_the_push_seen_to_at_the_next_start(make: Make) -> None:
    shop = make("gone")
    hook = shop.bare / "hooks" / "post-receive"
    text = hook.read_text()
    program = text.rpartition("exec ")[2].split(" ")[0]
    hook.write_text(text.replace(f"[ -x {program} ]", "[ -x /no/longer/sparki ]").replace(f"exec {program}", "exec /no/longer/sparki"))

    said = shop.push("sparki", "main")

    assert "is gone: the push is kept, and is seen to when the daemon starts next (`sparki bind` mends the hook)" in said
    assert shop.runs() == []
    shop.sparki("daemon", "stop")
    shop.sparki("daemon", "start")
    assert went_live_once(shop)
    shop.sparki("bind")
    assert hook.read_text() == text


def test_a_push_starts_the_daemon(make: Make) -> None:
    shop = make("stopped")
    shop.sparki("daemon", "stop")

    shop.push("sparki", "main")

    assert went_live_once(shop)


def test_a_push_after_everything_was_killed_starts_the_daemon(make: Make) -> None:
    shop = make("killed")
    processes = shop.json("daemon", "status")["processes"]
    for name in ("supervisor", "engine"):
        os.kill(processes[name]["pid"], signal.SIGKILL)

    shop.push("sparki", "main")

    assert went_live_once(shop)


def dies(make: Make, when: str, number: int) -> bool:
    """A push to an engine that dies at commit `number` of its first life; False: it had none such."""
    shop = make(f"{when}-{number}")
    shop.sparki("daemon", "stop")
    shop.side.mkdir()
    (shop.side / "sitecustomize.py").write_text(HOOK)
    mark = shop.root.parent / "died"
    shop.more = {"SPARKI_TEST_COMMIT": f"{when}:{number}:{mark}"}

    said = shop.push("sparki", "main")

    assert went_live_once(shop)
    assert "is live in staging" in said
    shop.end()
    return mark.exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_engine_that_dies_while_it_takes_a_push_up_loses_and_repeats_nothing(make: Make, when: str, number: int) -> None:
    assert dies(make, when, number)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_engine_that_dies_at_any_commit_of_a_push_loses_and_repeats_nothing(make: Make, when: str) -> None:
    number = 1
    while dies(make, when, number):
        number += 1
    assert number > 5  # runs, deployment, push; the run's end; else the hook sees none


def test_the_next_engine_sees_to_a_push_whose_hook_is_gone_when_the_engine_dies_with_it(make: Make) -> None:
    shop = make("both")
    shop.sparki("daemon", "stop")
    push = shop.pushing("sparki", "main", start_new_session=True)
    pending = shop.bare / "sparki" / "pending"
    until(lambda: any(not path.name.startswith(".") for path in pending.iterdir()) or push.poll() is not None)
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)

    shop.sparki("daemon", "start")

    assert went_live_once(shop)
