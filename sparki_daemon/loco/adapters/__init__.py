"""Which adapter an environment's `adapter:` names; each is loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from sparki_daemon.loco.protocol import Adapter, Capabilities
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.spelling import did_you_mean

ADAPTERS: Mapping[str, str] = {"process": "sparki_daemon.loco.adapters.process"}  # name → the module that has `ADAPTER`
GROUP = "sparki.adapters"  # of entry points
METHODS = ("problems", "do", "look", "undo", "observe", "logs", "execute", "maintenance", "down", "forget")


def load(name: str) -> Adapter:
    """The adapter called `name`: ours, or one that another package brings. Raises SparkiError: `unknown_adapter`, `broken_adapter`."""
    if name in ADAPTERS:
        found: Adapter = import_module(ADAPTERS[name]).ADAPTER
        return found
    for point in entry_points(group=GROUP, name=name):
        return _brought(point)
    hint = did_you_mean(name, names()) or f"there are: {', '.join(names())}"
    raise SparkiError(Problem(code="unknown_adapter", message=f"there is no adapter '{name}'", hint=hint))


def _brought(point: EntryPoint) -> Adapter:
    """What another package's entry point names, once it is seen to fill the Protocol."""
    try:
        found = point.load()
    except Exception as error:  # whatever that package's import does
        raise _broken(point, f"{type(error).__name__}: {error}") from error
    if lacks := [name for name in METHODS if not callable(getattr(found, name, None))]:
        raise _broken(point, f"{point.value} has no {', '.join(lacks)}")
    if not isinstance(getattr(found, "capabilities", None), Capabilities):
        raise _broken(point, f"{point.value} does not say its capabilities")
    adapter: Adapter = found
    return adapter


def _broken(point: EntryPoint, why: str) -> SparkiError:
    whose = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    message = f"the adapter '{point.name}'{whose} can't be loaded: {why}"
    return SparkiError(Problem(code="broken_adapter", message=message, hint="update or mend that package"))


def names() -> list[str]:
    """Every adapter that can be loaded."""
    return sorted({*ADAPTERS, *(point.name for point in entry_points(group=GROUP))})
