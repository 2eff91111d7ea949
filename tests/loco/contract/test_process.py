"""The process adapter with a real keeper, front and services: deployments that go well, go wrong, and are resumed after a death."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import sys
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from place import SERVICE, free_address, kill

from sparki_daemon.loco.adapters import load
from sparki_daemon.loco.adapters.process.adapter import ProcessAdapter
from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.loco.protocol import Place, Release, Seen, StepFailed, Work
from sparki_daemon.model.deployment import Act, Direction, Saga, SagaEvent, advance, next_act
from sparki_daemon.system import process

RUN = f"exec {sys.executable} service.py"
SEEN = {
    Seen.DONE: SagaEvent.SEEN_DONE,
    Seen.ABSENT: SagaEvent.SEEN_ABSENT,
    Seen.FAILED: SagaEvent.FAILED,
    Seen.UNCLEAR: SagaEvent.SEEN_UNCLEAR,
}


class Killed(Exception):  # noqa: N818  # reads as what happened
    """loco died there."""


class House:
    """One environment, and deployments to it one after the other. `live` is what the journal would say."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.listen = root, str(root / "environment"), free_address()
        self.adapter: ProcessAdapter = load("process")  # type: ignore[assignment]
        self.made = 0
        self.live: Release | None = None
        self.said: list[str] = []
        self.archive = root / "release.tar"
        (root / "service.py").write_text(SERVICE.replace("{name!r}", "'SPARKI_RELEASE'"))
        with tarfile.open(self.archive, "w") as archive:
            archive.add(root / "service.py", "service.py")

    def work(self, **settings: Any) -> Work:
        self.made += 1
        told = {"command": RUN, "listen": self.listen, "health": {"http": "/"}, "watch_s": 0.2, "grace_s": 2.0, **settings}
        digest = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        release = Release(
            id=f"v-{self.made}",
            number=self.made,
            commit="",
            tree="",
            artifact={"kind": "source", "digest": digest, "path": str(self.archive)},
            settings=told,
            secrets=(),
        )

        async def secrets() -> dict[str, str]:
            return {}

        return Work(
            deployment=f"d-{self.made}",
            epoch=self.made * 10,
            place=Place(project="p", environment="e", folder=self.folder, settings=told),
            release=release,
            previous=self.live,
            secrets=secrets,
            tell=self.said.append,
            log=str(self.root / "log" / "deployment.log"),
        )

    async def bring(self, work: Work, *, killed: str = "") -> Saga:
        """Take a deployment to its end; `killed` is where a loco dies once: `before:STEP`, `after:STEP`, `before:undo:STEP` …"""
        saga, fault = Saga(), [killed]
        while (act := next_act(saga)) not in (Act.END, Act.WAIT):
            try:
                saga, work = await self._step(saga, act, work, fault)
            except Killed:
                saga = advance(advance(saga, SagaEvent.BEGUN), SagaEvent.INTERRUPTED)
                work = replace(work, epoch=work.epoch + 1)
        if saga.state == "live":
            self.live = work.release
        return saga

    async def _step(self, saga: Saga, act: Act, work: Work, fault: list[str]) -> tuple[Saga, Work]:
        step = saga.step.name
        if act is Act.LOOK:
            sight = await self.adapter.look(step, work)
            return advance(saga, SEEN[sight.seen]), replace(work, results={**work.results, step: sight.data})
        begun = advance(saga, SagaEvent.BEGUN)
        back = saga.direction is Direction.BACK
        where = f"undo:{step}" if back else step
        if back:
            await dying(where, fault, lambda: self.adapter.undo(step, work))
            return advance(begun, SagaEvent.DONE), work
        try:
            data = await dying(where, fault, lambda: self.adapter.do(step, work))
        except StepFailed as failed:
            self.said.append(str(failed))
            return advance(begun, SagaEvent.FAILED), work
        return advance(begun, SagaEvent.DONE), replace(work, results={**work.results, step: data})

    def get(self) -> str:
        host, _, port = self.listen.partition(":")
        link = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            link.request("GET", "/")
            return link.getresponse().read().decode()
        finally:
            link.close()

    def services(self) -> set[str]:
        with Keeper(self.folder) as keeper:
            return set(keeper.status().services) if keeper.runs() else set()

    def close(self) -> None:
        keeper = Keeper(self.folder)
        if keeper.runs():
            status = keeper.status()
            with Keeper(self.folder, deployment=status.deployment, epoch=status.epoch) as owner:
                owner.down(grace_s=1.0)
        keeper.close()


async def dying(where: str, fault: list[str], do: Callable[[], Awaitable[Any]]) -> Any:
    if fault[0] == f"before:{where}":
        fault[0] = ""
        raise Killed
    data = await do()
    if fault[0] == f"after:{where}":
        fault[0] = ""
        raise Killed
    return data


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


async def test_a_new_release_takes_the_place_of_the_old_one_and_the_record_counts_what_was_dropped(house: House) -> None:
    assert (await house.bring(house.work())).state == "live"
    assert await asyncio.to_thread(house.get) == "v-1"
    assert (await house.bring(house.work())).state == "live"
    assert await asyncio.to_thread(house.get) == "v-2"
    assert house.services() == {"v-2"}
    assert house.said[-1] == "0 of 1 requests dropped"


BROKEN = {
    "ends at once": ({"command": "echo it is no use; exit 3"}, "ended with 3; its last lines:\nit is no use"),
    "is never healthy": ({"health": {"http": "/", "status": 204, "within_s": 5.0}}, "answered 200, not 204"),
    "has a release command that fails": ({"release_command": "exit 4"}, "the release command ended with 4"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_release_that(house: House, how: str) -> None:
    await house.bring(house.work())
    settings, said = BROKEN[how]
    assert (await house.bring(house.work(**settings))).state == "failed"
    assert said in house.said[-1]
    assert await asyncio.to_thread(house.get) == "v-1"
    assert house.services() == {"v-1"}


FLAPPING = """
import http.server, itertools, os
turn = itertools.cycle({turn})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(next(turn) if self.path == "/" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("turn", "successes", "watch_s", "end"),
    [
        ([200, 500], 2, 5.0, "failed"),
        ([200, 500], 1, 5.0, "reverted"),
        ([200, 500], 1, 0.01, "reverted"),  # its window ends on a bad probe
        ([200] * 9 + [500], 2, 5.0, "reverted"),
    ],
)
async def test_a_service_that_is_well_and_unwell_in_turn_does_not_stay(
    house: House, turn: list[int], successes: int, watch_s: float, end: str
) -> None:
    await house.bring(house.work())
    (house.root / "flapping.py").write_text(FLAPPING.format(turn=turn))
    within_s = 0.5 if end == "failed" else 20.0  # a busy machine may start it late
    health = {"http": "/", "interval_s": 0.02, "successes": successes, "within_s": within_s}
    command = f"exec {sys.executable} {house.root}/flapping.py"

    assert (await house.bring(house.work(command=command, health=health, watch_s=watch_s))).state == end
    assert ("of the last" if end == "reverted" else "was not healthy within 0.5 s") in house.said[-1]
    assert await asyncio.to_thread(house.get) == "v-1"
    assert house.services() == {"v-1"}


async def test_a_stray_bad_probe_of_the_watch_takes_nothing_back(house: House) -> None:
    (house.root / "flapping.py").write_text(FLAPPING.format(turn=[200] * 4 + [500] + [200] * 1000))
    health = {"http": "/", "interval_s": 0.02, "within_s": 5.0}
    command = f"exec {sys.executable} {house.root}/flapping.py"

    assert (await house.bring(house.work(command=command, health=health, watch_s=0.3))).state == "live"
    assert house.services() == {"v-1"}


async def test_a_release_that_was_pruned_is_refused_and_a_first_deployment_leaves_nothing(house: House) -> None:
    work = house.work()
    house.archive.unlink()
    assert (await house.bring(work)).state == "failed"
    assert "it was pruned" in house.said[-1]
    assert not Keeper(house.folder).runs()


async def test_an_address_that_somebody_else_has_is_refused(house: House, tmp_path: Path) -> None:
    await house.bring(house.work())
    other = House(tmp_path / "other") if (tmp_path / "other").mkdir() is None else house
    other.listen = house.listen
    try:
        assert (await other.bring(other.work())).state == "failed"
        assert house.listen in other.said[-1]
        assert await asyncio.to_thread(house.get) == "v-1"
    finally:
        other.close()


async def test_recreate_brings_the_old_release_back_when_the_new_one_fails(house: House) -> None:
    await house.bring(house.work(strategy="recreate"))
    assert (await house.bring(house.work(strategy="recreate", command="exit 1"))).state == "failed"
    assert await asyncio.to_thread(house.get) == "v-1"


STEPS = ("lock", "ship", "release_command", "start", "health", "switch", "watch", "retire")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_deployment_whose_loco_is_killed_ends_live_and_ran_its_command_once(house: House, when: str, step: str) -> None:
    await house.bring(house.work())
    count = house.root / "count"
    work = house.work(release_command=f"echo ran >> {count}")
    assert (await house.bring(work, killed=f"{when}:{step}")).state == "live"
    assert await asyncio.to_thread(house.get) == "v-2"
    assert house.services() == {"v-2"}
    assert count.read_text() == "ran\n"


@pytest.mark.slow
@pytest.mark.parametrize("step", ["lock", "start"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_undoing_whose_loco_is_killed_leaves_the_old_release(house: House, when: str, step: str) -> None:
    await house.bring(house.work())
    assert (await house.bring(house.work(command="exit 1"), killed=f"{when}:undo:{step}")).state == "failed"
    assert await asyncio.to_thread(house.get) == "v-1"
    assert house.services() == {"v-1"}


@pytest.mark.parametrize("what", ["down", "maintenance", "exec", "show", "logs"])
async def test_what_is_asked_of_an_environment_whose_keeper_and_front_were_killed_is_done(house: House, what: str) -> None:
    await house.bring(house.work())
    with Keeper(house.folder) as keeper:
        status = keeper.status()
    for pid in (status.pid, status.front_pid or 0):  # nobody is left who would start a keeper
        kill(pid)
    place = house.work().place
    if what == "down":
        service = process.identity(status.services["v-1"].pid or 0)
        await house.adapter.down(place)
        assert service is None or not process.alive(service)
        assert house.services() == set()
    elif what == "maintenance":
        await house.adapter.maintenance(place, on=True)
        assert "maintenance" in house.get()
    elif what == "show":
        assert house.live is not None
        assert (await house.adapter.observe(place)).release == "v-1"
        assert list(await house.adapter.drift(place, house.live)) == []
        assert house.get() == "v-1"
    elif what == "logs":
        async for _ in house.adapter.logs(place, release="v-1", follow=False):
            pass
        assert house.get() == "v-1"
    else:
        assert await house.adapter.execute(place, ["sh", "-c", "echo $SPARKI_RELEASE"], house.said.append) == 0
        assert "v-1" in house.said
