"""What a follower of a deployment knows from its events, and says."""

from __future__ import annotations

from typing import Any

import pytest

from sparki_cli.deploy_plan import artifact_words
from sparki_cli.deploy_view import DeployView, now_line, step_line, summary, waits_line
from sparki_cli.deployments import release_words
from sparki_cli.render import Output
from sparki_cli.view import milliseconds
from sparki_daemon.model.deployment import STEPS

BEGIN = "2026-01-02T03:04:05.000Z"


def at(second: float) -> str:
    return f"2026-01-02T03:04:{5 + second:06.3f}Z"


def view(**more: Any) -> DeployView:
    steps = [
        {"name": rule.name, "does": rule.does, "status": "pending", "reason": "", "started": None, "finished": None, "took_ms": None}
        for rule in STEPS
    ]
    about = {"id": "d-1", "environment": "staging", "release": "v-1", "number": 7, "commit": "c" * 40, "status": "queued"}
    return DeployView({**about, "created": BEGIN, "finished": None, "waits": [], "steps": steps, **more})


def event(kind: str, second: float = 0, **data: Any) -> dict[str, Any]:
    return {"seq": 1, "time": at(second), "stream": "d-1", "kind": f"deployment.{kind}", "data": data}


def step(name: str, what: str, second: float, direction: str = "forward", **data: Any) -> dict[str, Any]:
    return event("step", second, step=name, event=what, direction=direction, **{"status": "running", "reason": "", **data})


OUTPUT = Output()


def test_a_step_that_ended_is_told_with_its_time() -> None:
    one = view()
    one.apply(step("start", "begun", 1))
    (ended,) = one.apply(step("start", "done", 3.5))

    assert step_line(OUTPUT, ended) == "  ✓ start the new release  2.5s"


def test_a_failed_step_is_told_with_its_reason_and_what_is_taken_back_after_it() -> None:
    one = view()
    one.apply(step("health", "begun", 1))
    (failed,) = one.apply(step("health", "failed", 3, reason="GET /healthz answered 500"))
    one.apply(step("start", "begun", 4, direction="back"))
    during = now_line(OUTPUT, one, milliseconds(at(5)))
    (undone,) = one.apply(step("start", "done", 6, direction="back"))

    assert "failed\n      GET /healthz answered 500" in step_line(OUTPUT, failed)
    assert "taking back: start the new release" in during
    assert step_line(OUTPUT, undone) == "  ■ start the new release: undone"


def test_a_reason_of_several_lines_is_told_in_a_line_at_its_step_and_whole_in_the_summary() -> None:
    one = view()
    one.apply(step("health", "begun", 1))
    reason = "it ended; its last lines:\nno module\x1b[31m named shop"
    (failed,) = one.apply(step("health", "failed", 3, reason=reason))
    one.apply(event("finished", 4, status="failed", reason=reason))

    assert step_line(OUTPUT, failed).splitlines()[1:] == ["      it ended"]
    assert summary(OUTPUT, one).splitlines()[1:] == ["  it ended; its last lines:", "    no module\\x1b[31m named shop"]

    one.reason = "first\n" + "\n".join(str(number) for number in range(25))
    lines = summary(OUTPUT, one).splitlines()
    assert (len(lines), lines[-2:]) == (23, ["    19", "    … and 5 more lines"])


def test_one_line_that_is_left_out_is_one_line() -> None:
    one = view()
    one.status, one.reason = "failed", "\n".join(["it fell", *map(str, range(21))])

    assert summary(OUTPUT, one).splitlines()[-1] == "    … and 1 more line"


def test_a_plan_says_in_words_whose_artifact_it_will_be() -> None:
    assert artifact_words({"kind": "source", "run": None}) == "the commit's files"
    assert artifact_words({"kind": "artifact", "run": "r-1"}) == "of run r-1"
    assert "started first" in artifact_words({"kind": "artifact", "run": None})


def test_the_time_left_counts_what_is_under_way_and_what_is_to_come() -> None:
    one = view(usual_ms={"start": 3000, "health": 2000})
    one.apply(step("start", "begun", 0))

    assert one.left_ms(milliseconds(at(1))) == 4000
    assert now_line(OUTPUT, one, milliseconds(at(1))).endswith("start the new release  1.0s, about 4.0s left")


def test_nothing_is_promised_without_a_history_or_on_the_way_back() -> None:
    assert view().left_ms(0) is None
    back = view(usual_ms={"start": 3000})
    back.apply(step("start", "begun", 0, direction="back"))
    assert back.left_ms(milliseconds(at(1))) is None


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ({"for": "approval", "needed": 2, "given": ["ann"], "not_author": False}, "1 approval (sparki approve)"),
        (
            {"for": "approval", "needed": 2, "given": [], "not_author": True},
            "2 approvals of somebody else than its author (sparki approve)",
        ),
        ({"for": "environment", "environment": "staging"}, "the same source to be live and healthy in staging"),
        (
            {"for": "freeze", "until": "2026-01-05T08:00:00+01:00"},
            "the end of a freeze at 2026-01-05T08:00:00+01:00 (--override passes over it)",
        ),
        ({"for": "target", "deployment": "d-0"}, "deployment d-0 to let the target go"),
        ({"for": "run", "runs": ["r-1", "r-2"]}, "run r-1, r-2"),
    ],
)
def test_what_is_waited_for_is_said_in_words(wait: dict[str, Any], words: str) -> None:
    assert waits_line([wait]) == f"waits for {words}"


def test_what_it_waits_for_stands_until_it_is_claimed() -> None:
    one = view()
    one.apply(event("waiting", waits=[{"for": "environment", "environment": "staging"}], status="waiting"))
    assert "waits for the same source" in now_line(OUTPUT, one, 0)

    one.apply(event("claimed", status="running"))
    assert now_line(OUTPUT, one, 0) == "  ○ running"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("live", "✓ release 7 (cccccccccc) is live in staging in 2.0s"),
        ("failed", "✗ release 7 (cccccccccc) did not go live in staging; what served before serves on"),
        ("reverted", "✗ release 7 (cccccccccc) was taken back in staging; what served before serves again"),
        ("cancelled", "■ the deployment to staging was cancelled"),
    ],
)
def test_each_end_is_told_apart(status: str, words: str) -> None:
    one = view()
    one.apply(event("finished", 2, status=status, reason="because"))

    lines = summary(OUTPUT, one).splitlines()
    assert lines[0] == words
    assert lines[1:] == ([] if status == "live" else ["  because"])


def test_an_unknown_end_says_how_it_is_left() -> None:
    one = view()
    one.apply(step("switch", "begun", 1))
    one.apply(step("switch", "seen_unclear", 2, status="unknown"))

    assert not one.ended
    assert "sparki resolve d-1 --live, --failed or --retry" in summary(OUTPUT, one)


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("was_live", "live", "was live"),
        ("was_live", "failed", "was live"),
        ("was_live", "running", "was live (running)"),
        ("never_live", "reverted", "never live (reverted)"),
        ("never_live", None, "never live"),
        ("pruned", "live", "pruned"),
    ],
)
def test_what_became_of_a_release_is_told_in_words(state: str, status: str | None, words: str) -> None:
    assert release_words({"state": state, "status": status}) == words


def test_a_clock_that_was_set_back_makes_no_negative_times() -> None:
    one = view(usual_ms={"watch": 6000})
    one.apply(step("watch", "begun", 50))
    assert (
        now_line(OUTPUT, one, milliseconds(at(2)))
        == f"  {OUTPUT.glyph('running')} watch the new release under traffic  0ms, about 6.0s left"
    )
    (ended,) = one.apply(step("watch", "done", 3))
    assert step_line(OUTPUT, ended) == "  ✓ watch the new release under traffic"

    one.apply({**event("finished", status="live"), "time": "2026-01-01T00:00:00.000Z"})
    assert summary(OUTPUT, one).splitlines()[0].endswith("is live in staging")
