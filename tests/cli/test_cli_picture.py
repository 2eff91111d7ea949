from __future__ import annotations

from collections.abc import Callable

import pytest
from cli_stories import RED
from stand_in import event

from sparki_cli.picture import picture
from sparki_cli.render import Output, visible
from sparki_cli.summary import summary
from sparki_cli.view import RunView, milliseconds

Golden = Callable[[str, str], None]
NOW_MS = milliseconds("2026-11-23T12:00:01.000Z")
PLAIN = Output()


def big(jobs: int, *, red: int = 0, running: int = 0, done: int = 0) -> RunView:
    """A run of many jobs: the first are red, the next run, the next are done, the rest wait."""
    view = RunView("r-1", "ci")
    view.apply(event(1, "run.created"))
    view.apply(event(2, "run.started"))
    for number in range(jobs):
        data = {"job": f"job-{number}", "uid": f"j-{number}", "name": f"job ({number})"}
        view.apply(event(3, "job.queued", status="queued", **data))
        if number < red + running + done:
            view.apply(event(3, "job.started", status="running", **data))
            view.apply(event(4, "step.started", job=data["job"], step=0, name="Run make test"))
        if number < red or red + running <= number < red + running + done:
            status = "failure" if number < red else "success"
            view.apply(event(5, "step.finished", ms=400, job=data["job"], step=0, name="Run make test", conclusion=status, duration_ms=400))
            view.apply(event(6, "job.finished", ms=500, status=status, **data))
    return view


def text_of(views: list[RunView], *, width: int = 80, height: int = 22, frame: int = 0, output: Output = PLAIN) -> str:
    return "\n".join(picture(output, views, NOW_MS, width=width, height=height, frame=frame)) + "\n"


def test_a_small_run_shows_jobs_and_their_steps(golden: Golden) -> None:
    view = RunView("r-1", "ci")
    for item in RED[:9]:
        if "seq" in item:
            view.apply(item)
        else:
            view.job(item["log"]["job"], {}).last_line = item["log"]["text"].strip()
    golden("picture_small.txt", text_of([view]))


def test_a_big_run_shows_what_matters_and_counts_the_rest(golden: Golden) -> None:
    golden("picture_big.txt", text_of([big(200, red=2, running=4, done=50)]))


def test_several_runs_share_the_screen(golden: Golden) -> None:
    golden("picture_several.txt", text_of([big(30, running=2), big(3, red=1, running=1), big(1)], height=14))


def test_letters_where_glyphs_can_not_be_shown() -> None:
    assert text_of([big(9, red=1, running=2, done=2)], output=Output(ascii_only=True)).isascii()


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 13, 24, 60])
@pytest.mark.parametrize("width", [10, 40, 80, 200])
@pytest.mark.parametrize("shape", [(0, 0, 0, 0), (1, 0, 1, 0), (8, 1, 4, 2), (40, 30, 5, 0), (300, 0, 300, 0)])
def test_a_picture_never_is_larger_than_the_screen(height: int, width: int, shape: tuple[int, int, int, int]) -> None:
    view = big(shape[0], red=shape[1], running=shape[2], done=shape[3])
    lines = picture(Output(color=True), [view, view], NOW_MS, width=width, height=height, frame=3)
    assert len(lines) <= height
    assert all(visible(line) <= width for line in lines)


def test_what_runs_turns() -> None:
    assert text_of([big(1, running=1)], frame=0) != text_of([big(1, running=1)], frame=1)


def test_many_green_jobs_are_counted_in_the_summary(golden: Golden) -> None:
    view = big(60, red=2, done=58)
    view.apply(event(9, "run.finished", ms=900, status="failure"))
    excerpts = [
        {"job": "job-1", "step": 0, "name": "Run make test", "exit_code": 1, "reason": "", "lines": [f"line {n}" for n in range(30)]}
    ]
    golden("summary_big.txt", summary(PLAIN, view, excerpts))


def test_what_failed_stands_behind_what_was_cancelled_for_it() -> None:
    view = RunView("r-1", "ci")
    for name, status in (("a", "failure"), ("b", "cancelled"), ("c", "success"), ("d", "lost"), ("e", "cancelled")):
        view.apply(event(1, "job.finished", job=name, uid=name, name=name, status=status))
    view.apply(event(2, "run.finished", status="failure"))
    told = summary(PLAIN, view, [{"job": "a", "step": 0, "name": "Run x", "exit_code": 1, "reason": "", "lines": ["boom"]}])
    places = [told.index(words) for words in ("✓ c", "■ b", "■ e", "✗ a", "Run x: exit code 1", "boom", "? d", "logs r-1 a")]
    assert places == sorted(places)


def test_the_summary_of_a_lost_and_a_tolerated_job(golden: Golden) -> None:
    view = RunView("r-1", "ci")
    view.apply(event(1, "run.created"))
    lost = {"job": "it's", "uid": "j-0", "name": "it's"}
    view.apply(event(2, "job.started", **lost))
    view.apply(event(3, "job.finished", ms=70, status="lost", reason="its runner died", **lost))
    view.apply(event(4, "job.finished", ms=70, status="failure", tolerated=True, job="try", uid="j-1", name="try"))
    view.apply(event(5, "run.finished", ms=90, status="lost", reason=""))
    excerpt = {"job": "it's", "step": 0, "name": "Run x", "exit_code": None, "reason": "the runner was killed", "lines": []}
    golden("summary_lost.txt", summary(PLAIN, view, [excerpt]))
