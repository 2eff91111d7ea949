"""A run's states, which moves are legal, and what its jobs make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sparki_daemon.model.job import IllegalMove, JobState


class RunState(StrEnum):
    """Where a run is; these are the public words."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


class RunEvent(StrEnum):
    """What may happen to a run."""

    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    RETRIED = "retried"


TERMINAL = frozenset({RunState.SUCCESS, RunState.FAILURE, RunState.CANCELLED, RunState.LOST})

MOVES: Mapping[tuple[RunState, RunEvent], RunState] = {
    (RunState.QUEUED, RunEvent.STARTED): RunState.RUNNING,
    **{
        (state, event): end
        for state in (RunState.QUEUED, RunState.RUNNING)  # a run may end before any job began: all skipped, or cancelled
        for event, end in (
            (RunEvent.PASSED, RunState.SUCCESS),
            (RunEvent.FAILED, RunState.FAILURE),
            (RunEvent.CANCELLED, RunState.CANCELLED),
            (RunEvent.LOST, RunState.LOST),
        )
    },
    **{(state, RunEvent.RETRIED): RunState.QUEUED for state in TERMINAL},
}


def advance(run: str, state: RunState, event: RunEvent) -> RunState:
    """The state of `run` after `event`. Raises IllegalMove where the table has no such move."""
    try:
        return MOVES[state, event]
    except KeyError:
        raise IllegalMove(f"run {run}", state, event) from None


def verdict(jobs: Iterable[tuple[JobState, bool]]) -> RunEvent:
    """How a run ends whose jobs all have: (state, tolerated) a job; the worst counts.

    `tolerated` is a failed job with continue-on-error. Order: lost, failure, cancelled, success.
    Source: the public interface, "A run is the worst of its jobs".
    """
    seen = {JobState.SUCCESS if tolerated and state is JobState.FAILURE else state for state, tolerated in jobs}
    if JobState.LOST in seen:
        return RunEvent.LOST
    if JobState.FAILURE in seen:
        return RunEvent.FAILED
    if JobState.CANCELLED in seen:
        return RunEvent.CANCELLED
    return RunEvent.PASSED
