"""Engine and loco die before and after their commits in a deployment: it goes live all the same, once, and one release serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shop import Shop
from test_every_commit import HOOK

Make = Callable[[str], Shop]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes shops; what they started is ended with the test."""
    made: list[Shop] = []

    def one(name: str) -> Shop:
        made.append(Shop(tmp_path / name))
        return made[-1]

    yield one
    for shop in made:
        shop.end()


def dies(make: Make, station: str, when: str, number: int) -> bool:
    """A first and a second deployment, with `station` dying at commit `number` of its first life in the second; False: it had none such."""
    shop = make(f"{station}-{when}-{number}")
    shop.sparki("deploy", "staging")
    first = shop.platform()["traffic"]
    shop.sparki("daemon", "stop")
    shop.side.mkdir()
    (shop.side / "sitecustomize.py").write_text(HOOK.replace('"engine" in', f'"{station}" in'))
    mark = shop.root.parent / "died"
    shop.more = {"SPARKI_TEST_COMMIT": f"{when}:{number}:{mark}"}
    shop.write("app.txt", "two\n")
    shop.commit("second")

    last = shop.json("deploy", "staging")

    assert last["data"]["status"] == "live"
    platform = shop.platform()
    assert platform["traffic"] == last["data"]["release"] != first
    assert list(platform["running"]) == [platform["traffic"]]
    assert [release for _, release in platform["starts"]] == [first, platform["traffic"]]  # nothing was started twice
    assert [one["status"] for one in shop.json("deployments")["deployments"]] == ["live", "live"]
    shop.end()
    return mark.exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("station", "number"), [("engine", 1), ("loco", 11)])
def test_who_dies_at_a_commit_of_a_deployment_loses_and_repeats_nothing(make: Make, station: str, when: str, number: int) -> None:
    assert dies(make, station, when, number)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("station", ["engine", "loco"])
def test_who_dies_at_any_commit_of_a_deployment_loses_and_repeats_nothing(make: Make, station: str, when: str) -> None:
    number = 1
    while dies(make, station, when, number):
        number += 1
    assert number > {"engine": 1, "loco": 20}[station]  # a deployment has that many at least, or the hook sees none
