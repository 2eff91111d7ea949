"""The actions that run here without a network: what does their work, and what they do once the job's steps are done.

Which inputs they have, and what becomes of each, is `pipeline.actions`' table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sparki_daemon.pipeline.actions import action_name
from sparki_daemon.runner.actions.call import Call

__all__ = ["ACTIONS", "Call", "Native", "action_name", "preload"]

_HERE = "sparki_daemon.runner.actions"


class Native(NamedTuple):
    """A module under this package whose `main`, and at the job's end `post`, take a Call and give an exit code."""

    module: str
    main: str = "main"
    post: str = ""  # empty: nothing to do then
    post_if: str = "always()"
    kept: tuple[str, ...] = ()  # the inputs whose text stays on disk after the job, as a name

    def work(self, *, post: bool) -> Callable[[Call], int]:
        """The function for one of the two, its module loaded: in the fork that runs it, so that nobody else pays."""
        return getattr(importlib.import_module(f"{_HERE}.{self.module}"), self.post if post else self.main)  # type: ignore[no-any-return]


ACTIONS: Mapping[str, Native] = {
    "actions/cache": Native("cache", post="save_at_end", post_if="success()", kept=("key",)),
    "actions/cache/restore": Native("cache", "restore"),
    "actions/cache/save": Native("cache", "save", kept=("key",)),
    "actions/checkout": Native("checkout"),
    "actions/download-artifact": Native("download_artifact"),
    "actions/setup-node": Native("setup_node", post="save_at_end", post_if="success()"),
    "actions/setup-python": Native("setup_python", post="save_at_end", post_if="success()"),
    "actions/upload-artifact": Native("upload_artifact", kept=("name",)),
}


def preload() -> None:
    """Load the actions that most jobs use. For whoever forks runners that stay: else each job that uses one loads it anew."""
    for name in ("checkout", "setup_python"):
        importlib.import_module(f"{_HERE}.{name}")
