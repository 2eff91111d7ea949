"""An environment's settings held against its adapter: each problem at the key or value that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sparki_daemon.loco.adapters import load
from sparki_daemon.loco.adapters.process import ADAPTER
from sparki_daemon.loco.asking import adapter_problems
from sparki_daemon.loco.protocol import Adapter, Capabilities, Place, Strategy
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.settings import read_settings


class Brought:
    """What another package might bring: of its declarations and its own check there is need here, and of no more."""

    name = "brought"

    def __init__(self, keys: frozenset[str] | None) -> None:
        self.capabilities = Capabilities(strategies=frozenset({Strategy.RECREATE}), artifacts=frozenset({"image"}), keys=keys)

    def problems(self, place: Place) -> Sequence[Problem]:
        return [Problem(code="bad_region", message="no such region", at=place.where("regions.1"))] if "regions" in place.settings else []


def told(keys: str, adapter: object = ADAPTER) -> list[tuple[str, str]]:
    name = "process" if adapter is ADAPTER else "brought"
    text = f"environments:\n  staging:\n    adapter: {name}\n    {keys}\n"
    (environment,) = read_settings(text.encode()).deploying.environments.values()
    place = Place(project="", environment="staging", folder="", settings=environment.settings)
    return [(one.code, str(one.at)) for one in adapter_problems(environment, place, lambda _: adapter)]  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("strategy: rolling", ("strategy_unsupported", "sparki.yml:4:15")),
        ("command: x", ("missing_key", "sparki.yml:2:3")),
    ],
)
def test_what_process_can_not_do_is_told_where_it_is_asked(keys: str, problem: tuple[str, str]) -> None:
    assert problem in told(keys)


def test_a_key_that_process_has_not_is_an_error_of_the_file_itself_for_run_too() -> None:
    with pytest.raises(SparkiError) as caught:
        told("helth: {http: /}")

    (problem,) = caught.value.problems
    assert (problem.code, str(problem.at), problem.hint) == ("unknown_key", "sparki.yml:4:5", "did you mean 'health'?")


def test_whole_settings_of_process_have_no_problem() -> None:
    assert told("command: x\n    listen: 127.0.0.1:80\n    artifact: test/site") == []


def test_an_adapter_that_declares_its_keys_has_others_refused_and_one_that_declares_none_takes_all() -> None:
    asked = "app: shop\n    regoins: [a]\n    artifact: test/x"

    assert told(asked, Brought(frozenset({"app", "regions"}))) == [
        ("unknown_key", "sparki.yml:5:5"),
        ("artifact_unsupported", "sparki.yml:6:15"),
    ]
    assert told(asked, Brought(None)) == [("artifact_unsupported", "sparki.yml:6:15")]


def test_a_misspelt_key_has_the_nearest_of_sparkis_and_the_adapters_own_as_a_hint() -> None:
    (environment,) = read_settings(b"environments: {s: {adapter: b, regoins: [a], helth: {}}}\n").deploying.environments.values()
    adapter: Adapter = Brought(frozenset({"regions"}))  # type: ignore[assignment]
    place = Place(project="", environment="s", folder="", settings=environment.settings)
    found = adapter_problems(environment, place, lambda _: adapter)

    assert [one.hint for one in found if one.code == "unknown_key"] == ["did you mean 'regions'?", "did you mean 'health'?"]


def test_what_an_adapter_finds_itself_stands_at_the_value_that_it_names() -> None:
    assert ("bad_region", "sparki.yml:4:20") in told("regions: [fra, xx]", Brought(None))


def test_an_adapter_that_nobody_has_is_told_at_its_name() -> None:
    (environment,) = read_settings(b"environments: {s: {adapter: proces}}\n").deploying.environments.values()
    (found,) = adapter_problems(environment, Place(project="", environment="s", folder="", settings={}), load)

    assert (found.code, str(found.at), found.hint) == ("unknown_adapter", "sparki.yml:1:29", "did you mean 'process'?")
