from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cli_stories import GREEN, RED, shown
from hypothesis import given
from hypothesis import strategies as st
from stand_in import event

from sparki_cli.view import RunView, milliseconds, worst


def view_of(story: list[dict[str, Any]]) -> RunView:
    view = RunView("r-1", "ci")
    for item in story:
        if "seq" in item:
            view.apply(item)
    return view


def test_a_story_leaves_states_times_and_steps() -> None:
    view = view_of(RED)
    assert (view.status, view.ended, view.duration_ms(0)) == ("failure", True, 1530)
    assert {key: (job.status, job.duration_ms(0)) for key, job in view.jobs.items()} == {
        "build": ("failure", 1510),
        "lint": ("success", 510),
        "after": ("skipped", 0),
    }
    step = view.jobs["build"].steps[0]
    assert (step.status, step.exit_code, step.duration_ms) == ("failure", 3, 1500)
    assert view.jobs["build"].running_step() is None


def test_times_are_those_that_are_kept_and_not_those_of_the_events() -> None:
    view = RunView("r-1", "ci")
    kept = {"started": event(1, "x", ms=5)["time"], "finished": event(1, "x", ms=905)["time"]}
    job = {"job": "a", "uid": "j-a", "name": "a"}
    view.apply(event(1, "run.created", pipeline="ci"))
    view.apply(event(2, "run.started", ms=10, started=kept["started"]))
    view.apply(event(3, "job.started", ms=10, status="running", started=kept["started"], **job))
    view.apply(event(4, "job.finished", ms=1000, status="success", **kept, **job))
    view.apply(event(5, "run.finished", ms=1000, status="success", **kept))

    assert (view.duration_ms(0), view.jobs["a"].duration_ms(0)) == (900, 900)


def test_what_runs_has_a_time_that_grows() -> None:
    view = view_of(GREEN[:4])
    job = view.jobs["build"]
    start = milliseconds("2026-11-23T12:00:00.020Z")
    assert (job.duration_ms(start), job.duration_ms(start + 70)) == (0, 70)
    running = job.running_step()
    assert running is not None
    assert running.name == "Run make"


def test_a_job_that_runs_again_has_the_times_of_its_new_attempt() -> None:
    view = RunView("r-1", "ci")
    times = {"started": "2026-11-23T11:00:00.000Z", "finished": "2026-11-23T11:00:09.000Z"}
    view.learn({"jobs": [{"id": "build", "name": "build", "status": "failure", "reason": "timed_out", "steps": [], **times}]})
    job = view.jobs["build"]
    assert (job.status, job.reason, job.duration_ms(0)) == ("failure", "timed_out", 9000)
    view.apply(GREEN[2])
    assert (job.status, job.reason) == ("running", "")
    assert job.duration_ms(job.started_ms + 70) == 70


def test_jobs_stand_in_the_plans_order_and_keep_what_is_known() -> None:
    view = view_of(RED[:4])
    plan = shown("r-1", RED)
    plan["jobs"].insert(0, {"id": "first", "uid": "j-first", "name": "First", "status": "queued", "steps": []})
    view.learn(plan)
    assert list(view.jobs) == ["first", "build", "lint", "after"]
    assert (view.jobs["first"].name, view.jobs["build"].status) == ("First", "running")


def test_a_job_that_is_queued_again_begins_anew() -> None:
    view = view_of(
        [*RED, event(14, "run.retried", attempt=2), event(15, "job.queued", job="build", uid="j-build", name="build", status="queued")]
    )
    assert view.status == "queued"
    assert (view.jobs["build"].status, view.jobs["build"].steps, view.jobs["build"].started_ms) == ("queued", {}, 0)


def test_events_of_a_later_version_change_nothing() -> None:
    view = view_of(GREEN)
    for kind in ("run.dreamt", "job.painted", "deployment.live"):
        view.apply(event(99, kind, job="build"))
    assert view.status == "success"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["success"], "success"),
        (["success", "cancelled"], "cancelled"),
        (["failure", "cancelled"], "failure"),
        (["lost", "failure"], "lost"),
        ([], "success"),
    ],
)
def test_the_worst_run_counts(statuses: list[str], expected: str) -> None:
    assert worst(statuses) == expected


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001  # hypothesis wants them bare
def test_times_are_read_as_datetime_reads_them(when: datetime) -> None:
    stamp = when.replace(tzinfo=UTC, microsecond=when.microsecond // 1000 * 1000)
    assert milliseconds(stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")) == round(stamp.timestamp() * 1000)


@pytest.mark.parametrize(("text", "expected"), [("1970-01-01T00:00:01Z", 1000), ("1970-01-01T00:00:00.5Z", 500), ("", 0), ("soon", 0)])
def test_short_and_broken_times(text: str, expected: int) -> None:
    assert milliseconds(text) == expected
