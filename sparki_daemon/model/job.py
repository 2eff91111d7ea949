"""A job's states, what may happen to it, and which moves are legal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. `assigned` is `queued` to the public: a runner was named, and has not begun."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    LOST = "lost"

    @property
    def public(self) -> str:
        """The status word of the public interface."""
        return "queued" if self is JobState.ASSIGNED else self.value

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


class JobEvent(StrEnum):
    """What may happen to a job."""

    ASSIGNED = "assigned"
    RETURNED = "returned"  # its runner went before it began: back to the queue
    STARTED = "started"
    PASSED = "passed"
    CACHED = "cached"  # an earlier result stands for it
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    RUNNER_DIED = "runner_died"
    RETRIED = "retried"


TERMINAL = frozenset({JobState.SUCCESS, JobState.FAILURE, JobState.CANCELLED, JobState.SKIPPED, JobState.LOST})

MOVES: Mapping[tuple[JobState, JobEvent], JobState] = {
    (JobState.QUEUED, JobEvent.ASSIGNED): JobState.ASSIGNED,
    (JobState.QUEUED, JobEvent.CACHED): JobState.SUCCESS,
    (JobState.QUEUED, JobEvent.SKIPPED): JobState.SKIPPED,
    (JobState.QUEUED, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.QUEUED, JobEvent.FAILED): JobState.FAILURE,  # its `if` could not be evaluated
    (JobState.ASSIGNED, JobEvent.STARTED): JobState.RUNNING,
    (JobState.ASSIGNED, JobEvent.RETURNED): JobState.QUEUED,
    (JobState.ASSIGNED, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.RUNNING, JobEvent.PASSED): JobState.SUCCESS,
    (JobState.RUNNING, JobEvent.FAILED): JobState.FAILURE,
    (JobState.RUNNING, JobEvent.CANCELLED): JobState.CANCELLED,
    (JobState.RUNNING, JobEvent.RUNNER_DIED): JobState.LOST,
    **{(state, JobEvent.RETRIED): JobState.QUEUED for state in TERMINAL},
}


class IllegalMove(Exception):  # noqa: N818  # reads as what happened
    """An event met a state that it can't happen in."""

    def __init__(self, what: str, state: str, event: str) -> None:
        super().__init__(f"{what} is {state}: '{event}' can't happen to it")
        self.state = state
        self.event = event


def advance(job: str, state: JobState, event: JobEvent) -> JobState:
    """The state of `job` after `event`. Raises IllegalMove where the table has no such move."""
    try:
        return MOVES[state, event]
    except KeyError:
        raise IllegalMove(f"job {job}", state, event) from None
