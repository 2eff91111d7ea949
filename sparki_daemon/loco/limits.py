"""How long each step may take at most: an adapter that never comes back must not keep its target for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIMITS_S: Mapping[str, float] = {  # beside what the environment itself asks for
    "lock": 60,
    "prepare": 60,
    "ship": 1800,
    "release_command": 3600,  # as long as Heroku's
    "start": 600,
    "health": 60,
    "switch": 60,
    "watch": 60,
    "retire": 300,
    "done": 60,
}
HOOK_S = 3600.0  # a hook before runs with `prepare`
GRACES = {"start": 2, "retire": 2}  # how often a step, or its undoing, may wait for a release's grace: to answer, and to end
WATCH_PROBES = 10  # that a watch may go on for beyond its window: it does not end on a bad one
LOOK_S = 60.0  # more than doing the step: a look may first wait for its end
DEFAULT_WITHIN_S = DEFAULT_WATCH_S = DEFAULT_GRACE_S = 30.0


def limit_s(step: str, settings: Mapping[str, Any], own: Mapping[str, float]) -> float:
    """Seconds that doing or undoing `step` may take. `own`: the adapter's limits, by step, which go before ours."""
    if step in own:
        return own[step]
    asked = DEFAULT_GRACE_S if (grace := settings.get("grace_s")) is None else float(grace)
    asked *= GRACES.get(step, 0)
    if step == "health":
        asked += float((settings.get("health") or {}).get("within_s", DEFAULT_WITHIN_S))
    elif step == "watch":
        asked += float(settings.get("watch_s", DEFAULT_WATCH_S))
        asked += WATCH_PROBES * float((settings.get("health") or {}).get("interval_s", 0.0))
    elif step == "prepare" and (settings.get("hooks") or {}).get("before"):
        asked += HOOK_S
    return LIMITS_S[step] + asked
