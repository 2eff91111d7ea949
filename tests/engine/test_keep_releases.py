"""Which releases may go: never the live one, never what a deployment needs, and failed attempts push nothing out."""

from __future__ import annotations

from typing import Any

from sparki_daemon.engine.subsystems.keep_releases import superfluous
from sparki_daemon.store.releases import ReleaseRow


def release(number: int, *, keep: int | None = 2, pruned: bool = False) -> ReleaseRow:
    settings: dict[str, Any] = {"keep_releases": keep} if keep else {}
    return ReleaseRow(f"v-{number}", number, "p-1", "staging", number, "c", "t", "", "", {}, settings, "", (), "ann", "", pruned)


def gone(count: int, live: int, went_live: list[int], in_use: tuple[int, ...] = (), keep: int | None = 2) -> list[int]:
    known = [release(number, keep=keep) for number in range(count, 0, -1)]
    found = superfluous(
        known, live=release(live, keep=keep), went_live=[f"v-{one}" for one in went_live], in_use={f"v-{one}" for one in in_use}
    )
    return [row.number for row in found]


def test_as_many_are_kept_as_the_settings_say() -> None:
    assert gone(4, live=4, went_live=[4, 3, 2, 1]) == [2, 1]


def test_five_are_kept_where_they_say_nothing() -> None:
    assert gone(7, live=7, went_live=[7, 6, 5, 4, 3, 2, 1], keep=None) == [2, 1]


def test_failed_attempts_push_nothing_out() -> None:
    assert gone(6, live=6, went_live=[6, 1]) == [5, 4, 3, 2]


def test_after_a_rollback_the_newer_ones_stay() -> None:
    assert gone(3, live=1, went_live=[1, 3, 2]) == []


def test_what_a_deployment_under_way_needs_stays() -> None:
    assert gone(4, live=4, went_live=[4, 3, 2, 1], in_use=(1,)) == [2]


def test_what_is_pruned_is_not_pruned_again() -> None:
    assert superfluous([release(1, pruned=True)], live=release(3), went_live=["v-3", "v-2"], in_use=()) == []
