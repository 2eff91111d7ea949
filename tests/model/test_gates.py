"""What holds a deployment up, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparki_daemon.model.gates import Freeze, Gates, WeekTime, holdups

WEEKEND = Freeze(WeekTime(4, 16, 0), WeekTime(0, 8, 0), "Europe/Berlin")
NIGHT = Freeze(WeekTime(2, 22, 0), WeekTime(3, 6, 30), "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-27T14:59:59+00:00", None),  # Friday 15:59 in Berlin
        ("2026-11-27T15:00:00+00:00", "2026-11-30T08:00:00+01:00"),
        ("2026-11-29T23:59:00+01:00", "2026-11-30T08:00:00+01:00"),
        ("2026-11-30T06:59:59+00:00", "2026-11-30T08:00:00+01:00"),
        ("2026-11-30T07:00:00+00:00", None),
        ("2026-03-27T16:00:00+01:00", "2026-03-30T08:00:00+02:00"),  # summer time begins in between
    ],
)
def test_a_freeze_over_the_weekend_goes_by_the_clock_on_the_wall(now: str, until: str | None) -> None:
    end = WEEKEND.end_of(at(now))

    assert (end.isoformat() if end else None) == until


@given(st.integers(0, 2 * 366 * 24 * 60))
def test_whoever_waits_to_the_end_of_a_freeze_is_out_of_it(minutes: int) -> None:
    for freeze in (WEEKEND, NIGHT):
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        if end := freeze.end_of(now):
            assert now < end <= now + timedelta(days=7)
            assert freeze.end_of(end) is None
            assert freeze.end_of(end - timedelta(minutes=1)) is not None


def held(gates: Gates, **more: object) -> list[str]:
    known = {"author": "ann", "approvals": (), "override": "", "tree": "t1", "live_trees": {}, "now": at("2026-11-28T12:00:00+00:00")}
    return [str(one["for"]) for one in holdups(gates, **{**known, **more})]  # type: ignore[arg-type]


def test_nothing_asked_nothing_waited_for() -> None:
    assert held(Gates()) == []


def test_approvals_count_people_and_not_the_one_who_asked_where_that_is_ruled_out() -> None:
    assert held(Gates(approvals=1)) == ["approval"]
    assert held(Gates(approvals=1), approvals=("ann",)) == []
    assert held(Gates(approvals=1, not_author=True), approvals=("ann",)) == ["approval"]
    assert held(Gates(approvals=2, not_author=True), approvals=("ann", "bob", "eve")) == []


def test_only_the_very_tree_that_is_live_before_may_follow() -> None:
    gates = Gates(after="staging")

    assert held(gates) == ["environment"]
    assert held(gates, live_trees={"staging": "t0"}) == ["environment"]
    assert held(gates, live_trees={"staging": "t1"}) == []


def test_a_freeze_holds_up_unless_somebody_says_why_not() -> None:
    gates = Gates(freezes=(WEEKEND, NIGHT))

    assert held(gates) == ["freeze"]
    assert held(gates, override="the shop is down") == []
    assert held(gates, now=at("2026-12-01T12:00:00+00:00")) == []


def test_everything_that_holds_up_is_told_at_once() -> None:
    gates = Gates(approvals=1, after="staging", freezes=(WEEKEND,))

    assert held(gates, target_of="d-7") == ["approval", "environment", "freeze", "target"]
