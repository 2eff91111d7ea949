"""What an environment's settings ask of this adapter, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparki_daemon.loco.protocol import Strategy
from sparki_daemon.model.problem import Problem

LIMITS = {"memory_bytes": "memory_bytes", "open_files": "files", "processes": "processes"}  # ours → the keeper's


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the service says that it is well. No path: a listening socket is enough."""

    path: str = ""
    status: int = 200
    interval_s: float = 0.25
    timeout_s: float = 2.0
    successes: int = 2  # in a row: one good answer may be chance
    within_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The settings, typed."""

    command: str
    listen: str
    health: Health
    strategy: Strategy
    release_command: str
    watch_s: float
    grace_s: float
    variables: Mapping[str, str]
    limits: Mapping[str, int]


def wishes_of(settings: Mapping[str, Any]) -> Wishes:
    """Read settings whose shape was checked."""
    told = settings.get("health") or {}
    named = {"path": "http", "status": "status", "interval_s": "interval_s", "timeout_s": "timeout_s", "successes": "successes"}
    health = {ours: told[theirs] for ours, theirs in {**named, "within_s": "within_s"}.items() if theirs in told}
    return Wishes(
        command=settings.get("command", ""),
        listen=settings.get("listen", ""),
        health=Health(**health),
        strategy=Strategy(settings.get("strategy", Strategy.BLUEGREEN)),
        release_command=settings.get("release_command", ""),
        watch_s=float(settings.get("watch_s", 30.0)),
        grace_s=float(settings.get("grace_s", 30.0)),
        variables=settings.get("variables") or {},
        limits={LIMITS[name]: value for name, value in (settings.get("limits") or {}).items() if name in LIMITS},
    )


def problems_of(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What is missing or can't be had here."""
    found = []
    for name, hint in (("command", "the service's command; it listens on $PORT"), ("listen", "such as 127.0.0.1:8080")):
        if not settings.get(name):
            found.append(Problem(code="missing_key", message=f"the process adapter needs '{name}'", hint=hint))
    return found
