from __future__ import annotations

import pytest

from sparki_cli.render import Output
from sparki_cli.title import KEEP, NO_PROGRESS, RESTORE, Title, progress, words
from sparki_cli.view import JobView, RunView

XTERM = {"TERM": "xterm"}


def a_run(status: str = "running", **jobs: str) -> RunView:
    view = RunView("r-1", "ci")
    view.status = status
    for name, state in jobs.items():
        view.jobs[name] = JobView(name)
        view.jobs[name].status = state
    return view


def test_the_words_name_the_first_red_job() -> None:
    assert words(Output(), [a_run(build="success", test="running")]) == "◐ ci"
    assert words(Output(), [a_run("failure", build="success", test="failure")]) == "✗ ci · test"
    assert words(Output(ascii_only=True), [a_run("failure", test="failure")]) == "x ci - test"


def test_a_name_can_not_end_the_title() -> None:
    view = a_run("failure", **{"a\x07\x1b[2J": "failure"})
    assert "\x07" not in words(Output(), [view])
    assert "\x1b" not in words(Output(), [view])


def test_progress_counts_ended_jobs_and_is_red_with_one() -> None:
    assert progress([a_run(a="success", b="running")]) == "\x1b]9;4;1;50\x07"
    assert progress([a_run(a="failure", b="success")]) == "\x1b]9;4;2;100\x07"
    assert progress([a_run()]) == "\x1b]9;4;1;0\x07"


def test_the_title_is_kept_first_and_restored_at_the_end() -> None:
    title, view = Title(Output(), XTERM), a_run(a="running")
    first = title.running([view])
    assert first == f"{KEEP}\x1b]0;◐ ci\x07\x1b]9;4;1;0\x07"
    assert title.running([view]) == ""
    assert title.ended([view], 500) == NO_PROGRESS + RESTORE
    assert title.ended([view], 500) == ""


def test_only_a_long_run_calls() -> None:
    view = a_run("failure", test="failure")
    assert Title(Output(), XTERM).ended([view], 10_001) == "\x1b]9;✗ ci · test\x07\x07"
    assert Title(Output(), XTERM).ended([view], 9_999) == ""


@pytest.mark.parametrize(
    ("environ", "absent"),
    [({"SPARKI_TITLE": "0"}, "\x1b]0;"), ({"SPARKI_PROGRESS": "0"}, "\x1b]9;4"), ({"SPARKI_NOTIFY": "0"}, "\x07\x07")],
)
def test_each_can_be_turned_off(environ: dict[str, str], absent: str) -> None:
    def all_of(given: dict[str, str]) -> str:
        title, view = Title(Output(), given), a_run(a="running")
        return title.running([view]) + title.ended([view], 20_000)

    assert absent in all_of(XTERM)
    assert absent not in all_of(XTERM | environ)


def test_a_terminal_without_titles_gets_nothing() -> None:
    title = Title(Output(), {"TERM": "linux"})
    assert title.running([a_run(a="running")]) + title.ended([a_run("failure")], 20_000) == ""
