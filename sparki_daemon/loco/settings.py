"""An environment's settings as a release keeps them (JSON), read for what loco itself needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.gates import Freeze, Gates, WeekTime


def gates_of(settings: Mapping[str, Any]) -> Gates:
    """What the environment asks before a deployment begins: `approvals`, `after`, `freeze`."""
    approvals = settings.get("approvals") or {}
    return Gates(
        approvals=approvals.get("count", 0),
        not_author=approvals.get("not_author", False),
        after=settings.get("after") or "",
        freezes=tuple(Freeze(WeekTime(*one["from"]), WeekTime(*one["to"]), one["zone"]) for one in settings.get("freeze") or ()),
    )
