"""Say which repository a `uses` names, and whether a folder stands for it. Pure.

Source: actions/runner, Runner.Worker/ActionManager.cs (where an action of another repository is put).
"""

from __future__ import annotations

from collections.abc import Container

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.pipeline.actions import action_name


@dataclass(frozen=True, slots=True)
class Remote:
    """What `owner/repository/path@ref` names, spelt as it is written."""

    repository: str  # owner/repository
    path: str  # of the action in it; empty: its root
    ref: str

    @property
    def key(self) -> str:
        """By which the folder that stands for the repository is found: names are equal ignoring case."""
        return self.repository.lower()


def remote(uses: str) -> Remote | None:
    """The repository, path and ref of an action of another repository; None for any other `uses`, and for a path that leads out of it."""
    if not action_name(uses):
        return None
    name, _, ref = uses.strip().partition("@")
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if ".." in (*parts, *ref.split("/")):
        return None
    return Remote("/".join(parts[:2]), "/".join(parts[2:]), ref)


def is_mapped(uses: str, repositories: Container[str]) -> bool:
    """Whether a folder stands for the repository that `uses` names. `repositories` are keys, as `Remote.key` has them."""
    found = remote(uses)
    return found is not None and found.key in repositories
