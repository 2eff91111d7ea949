"""An environment's settings as a release keeps them (JSON), read for what loco itself needs, and where its files lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.gates import Freeze, Gates, WeekTime

ONLY_WITH = {"release_command": "release_command", "watch": "watch_s"}  # steps by the setting that asks for them


def gates_of(settings: Mapping[str, Any], *, kind: str = "deploy") -> Gates:
    """What the environment asks before a deployment of that kind begins: `approvals`, `after`, `freeze`.

    A rollback does not wait for another environment: what it brings was live here already.
    """
    approvals = settings.get("approvals") or {}
    return Gates(
        approvals=approvals.get("count", 0),
        not_author=approvals.get("not_author", False),
        after="" if kind == "rollback" else settings.get("after") or "",
        freezes=tuple(Freeze(WeekTime(*one["from"]), WeekTime(*one["to"]), one["zone"]) for one in settings.get("freeze") or ()),
    )


def folder_of(home: str, project: str, environment: str) -> str:
    """Where what an environment needs on this machine lies, in the state folder `home`."""
    return os.path.join(home, "environments", project, environment)


def is_asked(step: str, settings: Mapping[str, Any]) -> bool:
    """Whether an environment's settings ask for a step: without a release command, that step is done at once."""
    return step not in ONLY_WITH or bool(settings.get(ONLY_WITH[step]))
