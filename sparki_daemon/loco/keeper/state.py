"""What a keeper must know after its death or a reboot: a file that appears whole, without a secret's value in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sparki_daemon.system import files

STATE_NAME, LOCK_NAME = "keeper.json", "keeper.lock"
FORMAT = 1


@dataclass
class Wanted:
    """A service that shall run. The values of `secrets` are not here: see `values.py`."""

    release: str
    deployment: str
    command: str
    cwd: str
    variables: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    port: int = 0
    restarts: int = 0
    stopping: bool = False
    grace_s: float = 0.0

    def same_service(self, other: Wanted) -> bool:
        """Tell whether the other would be started just so."""
        ours, theirs = (self.command, self.cwd, self.variables, self.limits), (other.command, other.cwd, other.variables, other.limits)
        return ours == theirs and sorted(self.secrets) == sorted(other.secrets)


@dataclass
class State:
    """All of it."""

    epoch: int = 0
    deployment: str = ""
    listen: str = ""
    live: str | None = None
    maintenance: dict[str, Any] | None = None
    services: dict[str, Wanted] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)  # counted by fronts that are gone; "" for no release
    rows: dict[str, int] = field(default_factory=dict)  # which row of the sheets is whose; 0 is nobody's
    fronts: list[int] = field(default_factory=list)  # those that may live, the serving one last
    fronts_born: int = 0
    front_restarts: int = 0


def load(path: str = STATE_NAME) -> State:
    """The state as it was written; a new one where there is no file.

    Raises ValueError for a file that this program can't read: a newer one's, or not a keeper's.
    """
    try:
        with open(path, "rb") as file:
            told = json.loads(file.read())
    except FileNotFoundError:
        return State()
    if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is of another version of Sparki")
    services = {release: Wanted(**wanted) for release, wanted in told.pop("services").items()}
    return State(**told, services=services)


def save(state: State, path: str = STATE_NAME) -> None:
    """Put the state on the disk. Raises OSError; then the old file is as it was."""
    files.write_atomic(path, json.dumps({"format": FORMAT, **asdict(state)}).encode())
