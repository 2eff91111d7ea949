"""Which adapter an environment's `adapter:` names; each is loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points

from sparki_daemon.loco.protocol import Adapter
from sparki_daemon.model.problem import Problem, SparkiError

ADAPTERS: Mapping[str, str] = {"process": "sparki_daemon.loco.adapters.process"}  # name → the module that has `ADAPTER`
GROUP = "sparki.adapters"  # of entry points


def load(name: str) -> Adapter:
    """The adapter called `name`: ours, or one that another package brings. Raises SparkiError `unknown_adapter`."""
    if name in ADAPTERS:
        found: Adapter = import_module(ADAPTERS[name]).ADAPTER
        return found
    for point in entry_points(group=GROUP, name=name):
        brought: Adapter = point.load()
        return brought
    known = ", ".join(names())
    raise SparkiError(Problem(code="unknown_adapter", message=f"there is no adapter '{name}'", hint=f"there are: {known}"))


def names() -> list[str]:
    """Every adapter that can be loaded."""
    return sorted({*ADAPTERS, *(point.name for point in entry_points(group=GROUP))})
