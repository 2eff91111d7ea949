"""Holds an environment's settings against what its adapter can do, with the place of each key that asks for more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sparki_daemon.loco.protocol import Adapter, Place, Strategy
from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.environment_keys import ENVIRONMENT
from sparki_daemon.pipeline.environments import Environment
from sparki_daemon.pipeline.spelling import did_you_mean

Load = Callable[[str], Adapter]


def adapter_problems(environment: Environment, place: Place, load: Load) -> list[Problem]:
    """Every problem of the settings with their adapter: `unknown_adapter`, `unknown_key`, what it can't do, what it says itself.

    `load` gives an adapter by its name, or raises SparkiError. What has no place of its own gets the environment's.
    """
    try:
        adapter = load(str(environment.settings.get("adapter", "")))
    except SparkiError as error:
        return [replace(problem, at=environment.where("adapter")) for problem in error.problems]
    found = [*_unknown_keys(environment, adapter), *_beyond(environment, adapter)]
    found += adapter.problems(replace(place, where=environment.where))
    return [problem if problem.at else replace(problem, at=environment.at) for problem in found]


def not_here(problem: Problem, known: Callable[[], list[str]], adapter: str) -> bool:
    """Whether the problem is of this machine, and not of the file: the adapter is not installed, and its name is no misspelt one."""
    return problem.code == "broken_adapter" or (problem.code == "unknown_adapter" and not did_you_mean(adapter, known()))


def _unknown_keys(environment: Environment, adapter: Adapter) -> Iterator[Problem]:
    own = adapter.capabilities.keys
    for name, at in environment.own.items() if own is not None else ():
        if name not in (own or ()):
            hint = did_you_mean(name, {*ENVIRONMENT.keys, *(own or ())})
            message = f"an environment of the adapter '{adapter.name}' has no key '{name}'"
            yield Problem(code="unknown_key", message=message, at=at, hint=hint)


def _beyond(environment: Environment, adapter: Adapter) -> Iterator[Problem]:
    """What the settings ask of a platform that can't do it."""
    can, settings = adapter.capabilities, environment.settings
    strategy = settings.get("strategy")
    if strategy and Strategy(strategy) not in can.strategies:
        message = f"the adapter '{adapter.name}' has no strategy '{strategy}'"
        hint = f"it has: {', '.join(sorted(can.strategies)) or 'none'}"
        yield Problem(code="strategy_unsupported", message=message, at=environment.where("strategy"), hint=hint)
    kind = "source" if settings.get("artifact", "source") == "source" else "artifact"
    if kind not in can.artifacts:
        message = f"the adapter '{adapter.name}' takes no {'artifact of a run' if kind == 'artifact' else kind}"
        hint = f"it takes: {', '.join(sorted(can.artifacts))}"
        yield Problem(code="artifact_unsupported", message=message, at=environment.where("artifact"), hint=hint)
    if settings.get("release_command") and not can.release_command:
        message = f"the adapter '{adapter.name}' runs no release_command"
        yield Problem(code="release_command_unsupported", message=message, at=environment.where("release_command"))
