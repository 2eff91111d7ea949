"""The actions that run here without a network: a table from their name to what does their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.actions.checkout import main as checkout
from sparki_daemon.runner.actions.setup_python import main as setup_python

__all__ = ["ACTIONS", "Call", "action_name"]

ACTIONS: Mapping[str, Callable[[Call], int]] = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
}


def action_name(uses: str) -> str:
    """The name of a `uses:` without its version, in lower case: `actions/checkout@v4` is `actions/checkout`."""
    return uses.partition("@")[0].strip().lower()
