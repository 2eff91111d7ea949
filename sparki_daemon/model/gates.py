"""What a deployment waits for before it begins: approvals, a freeze, another environment, its target. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sparki_daemon.model.dataclass import dataclass

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class WeekTime:
    """A moment of every week: `day` from 0 (Monday), then hour and minute of the zone's own clock."""

    day: int
    hour: int
    minute: int

    def __str__(self) -> str:
        return f"{DAYS[self.day]} {self.hour:02}:{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A part of every week in which nothing is deployed, from `begins` to `ends` in `zone`; it may go over the week's end."""

    begins: WeekTime
    ends: WeekTime
    zone: str

    def end_of(self, now: datetime) -> datetime | None:
        """When the freeze that `now` (aware) lies in ends; None: it lies in none.

        The zone's wall clock counts, so a change of summer time in a freeze moves its end with the clock on the wall.
        """
        from zoneinfo import ZoneInfo  # noqa: PLC0415  # few settings have a freeze

        local = now.astimezone(ZoneInfo(self.zone))
        begin = _latest(self.begins, local)
        end = _next(self.ends, begin)
        return end if begin <= local < end else None


def _at(moment: WeekTime, day: datetime) -> datetime:
    return day.replace(hour=moment.hour, minute=moment.minute, second=0, microsecond=0, fold=0)


def _latest(moment: WeekTime, now: datetime) -> datetime:
    """The last such moment that is not after `now`."""
    found = _at(moment, now - timedelta(days=(now.weekday() - moment.day) % 7))
    return found if found <= now else found - timedelta(days=7)


def _next(moment: WeekTime, after: datetime) -> datetime:
    """The first such moment after `after`."""
    found = _at(moment, after + timedelta(days=(moment.day - after.weekday()) % 7))
    return found if found > after else found + timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What an environment asks of a deployment before it begins."""

    approvals: int = 0
    not_author: bool = False
    after: str = ""  # an environment in which the same tree must be live and healthy
    freezes: tuple[Freeze, ...] = ()


def holdups(
    gates: Gates,
    *,
    author: str,
    approvals: Collection[str],
    override: str,
    tree: str,
    live_trees: Mapping[str, str],
    now: datetime,
    target_of: str = "",
) -> Sequence[Mapping[str, Any]]:
    """Everything that holds a deployment up, each with `for` and what a person would want to know; none: it may begin.

    `live_trees`: environment → the tree that is live and healthy there. `override`: why a freeze is passed over. `target_of`: the
    deployment that has the target, if another has it.
    """
    found: list[Mapping[str, Any]] = []
    counted = [person for person in approvals if not (gates.not_author and person == author)]
    if len(counted) < gates.approvals:
        found.append({"for": "approval", "needed": gates.approvals, "given": sorted(counted), "not_author": gates.not_author})
    if gates.after and live_trees.get(gates.after) != tree:
        found.append({"for": "environment", "environment": gates.after})
    if not override:
        ends = [end for freeze in gates.freezes if (end := freeze.end_of(now)) is not None]
        if ends:
            found.append({"for": "freeze", "until": max(ends).isoformat()})
    if target_of:
        found.append({"for": "target", "deployment": target_of})
    return found
