"""What is shipped for a release that does not stay leaves the environment's folder, however the deployment ends."""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_process import House

from sparki_daemon.loco.protocol import Work


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def shipped(work: Work) -> list[str]:
    return sorted(os.listdir(os.path.join(work.place.folder, "releases")))


@pytest.mark.parametrize("killed", ["", "before:undo:ship", "after:undo:ship", "after:ship"])
async def test_a_release_that_fails_leaves_no_files_and_the_live_one_keeps_its_own(house: House, killed: str) -> None:
    await house.bring(house.work())
    work = house.work(release_command="exit 3")

    assert (await house.bring(work, killed=killed)).state == "failed"
    assert shipped(work) == ["v-1", "v-1.by"]


async def test_files_that_were_there_before_or_that_people_were_served_from_stay(house: House) -> None:
    first = house.work()
    await house.bring(first)
    await house.bring(house.work())
    added = Path(first.place.folder, "releases", "v-1", "data.db")
    added.write_text("what the service has added")
    back = house.work(release_command="exit 3")
    back = replace(back, release=replace(first.release, settings=back.release.settings))
    assert (await house.bring(back)).state == "failed"
    assert added.exists()

    work = house.work()
    for step in ("lock", "ship", "start", "health", "switch"):
        work = replace(work, results={**work.results, step: await house.adapter.do(step, work)})
    assert await asyncio.to_thread(house.get) == work.release.id
    for step in ("switch", "start", "ship"):
        await house.adapter.undo(step, work)
    assert await asyncio.to_thread(house.get) == "v-2"
    assert work.release.id in shipped(work)


async def test_who_is_stopped_in_the_middle_of_shipping_ships_nothing_later(house: House) -> None:
    with tarfile.open(house.archive, "a") as archive:
        for number in range(200):
            file = house.root / "large"
            file.write_bytes(bytes(300_000))
            archive.add(file, f"large-{number}")
    work = house.work()
    shipping = asyncio.ensure_future(house.adapter.do("ship", work))
    await asyncio.sleep(0.01)
    shipping.cancel()
    await asyncio.wait((shipping,))
    await house.adapter.undo("ship", work)
    await asyncio.get_running_loop().shutdown_default_executor()  # whatever still ran has ended

    assert shipped(work) == []
