"""The tables of moves: what may happen to runs and jobs, and how a run's end follows from its jobs'."""

from __future__ import annotations

from itertools import product

import pytest

from sparki_daemon.model import job, run
from sparki_daemon.model.job import IllegalMove, JobEvent, JobState
from sparki_daemon.model.run import RunEvent, RunState, verdict

TABLES = [pytest.param(job.MOVES, JobState, JobEvent, id="job"), pytest.param(run.MOVES, RunState, RunEvent, id="run")]


@pytest.mark.parametrize(("moves", "states", "events"), TABLES)
def test_every_event_has_one_target(moves, states, events) -> None:
    """The store guards a move by its event alone: two targets of one event would need two guards."""
    for event in events:
        assert len({target for (_, what), target in moves.items() if what is event}) == 1


@pytest.mark.parametrize(("moves", "states", "events"), TABLES)
def test_a_terminal_state_is_left_by_a_retry_only(moves, states, events) -> None:
    for state in states:
        leaving = {event for (begin, event) in moves if begin is state}
        assert (leaving == {events.RETRIED}) == state.terminal


@pytest.mark.parametrize(("moves", "states", "events"), TABLES)
def test_every_state_can_be_reached_and_every_open_one_can_be_cancelled(moves, states, events) -> None:
    assert set(moves.values()) == set(states)
    assert all((state, events.CANCELLED) in moves for state in states if not state.terminal)


@pytest.mark.parametrize(("state", "event"), list(product(JobState, JobEvent)))
def test_a_job_advances_as_the_table_says_or_not_at_all(state: JobState, event: JobEvent) -> None:
    if (state, event) in job.MOVES:
        assert job.advance("j-1", state, event) is job.MOVES[state, event]
    else:
        with pytest.raises(IllegalMove, match=f"job j-1 is {state}: '{event}'"):
            job.advance("j-1", state, event)


@pytest.mark.parametrize(("state", "event"), list(product(RunState, RunEvent)))
def test_a_run_advances_as_the_table_says_or_not_at_all(state: RunState, event: RunEvent) -> None:
    if (state, event) in run.MOVES:
        assert run.advance("r-1", state, event) is run.MOVES[state, event]
    else:
        with pytest.raises(IllegalMove, match=f"run r-1 is {state}: '{event}'"):
            run.advance("r-1", state, event)


def test_only_a_job_that_runs_can_be_lost() -> None:
    assert [state for state in JobState if (state, JobEvent.RUNNER_DIED) in job.MOVES] == [JobState.RUNNING]


def test_an_assigned_job_is_queued_to_the_public_and_all_others_are_what_they_are() -> None:
    assert [state.public for state in JobState] == ["queued", "queued", "running", "success", "failure", "cancelled", "skipped", "lost"]


@pytest.mark.parametrize(
    ("states", "end"),
    [
        ([], RunEvent.PASSED),
        (["success", "skipped"], RunEvent.PASSED),
        (["skipped"], RunEvent.PASSED),
        (["success", "cancelled"], RunEvent.CANCELLED),
        (["cancelled", "failure"], RunEvent.FAILED),
        (["failure", "lost", "cancelled"], RunEvent.LOST),
    ],
)
def test_a_run_is_the_worst_of_its_jobs(states: list[str], end: RunEvent) -> None:
    assert verdict((JobState(state), False) for state in states) is end


def test_a_tolerated_failure_counts_as_success_and_nothing_else_is_tolerated() -> None:
    assert verdict([(JobState.FAILURE, True)]) is RunEvent.PASSED
    assert verdict([(JobState.FAILURE, True), (JobState.FAILURE, False)]) is RunEvent.FAILED
    assert verdict([(JobState.LOST, True)]) is RunEvent.LOST
    assert verdict([(JobState.CANCELLED, True)]) is RunEvent.CANCELLED
