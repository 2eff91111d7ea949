"""Which events start which pipelines, with every filter of `on`."""

from __future__ import annotations

from typing import Any

import pytest

from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.select import Occurrence, event_for, has_path_filter, starts
from sparki_daemon.prepare.choice import occurrence_of

JOBS = "\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"


def document(on: str) -> Document:
    return read(f"on: {on}{JOBS}".encode(), "ci.yml")


def push(on: str, **settings: Any) -> bool:
    return starts(document(f"{{push: {on}}}"), Occurrence(event="push", **settings))


def request(on: str, **settings: Any) -> bool:
    return starts(document(f"{{pull_request: {on}}}"), Occurrence(event="pull_request", **{"types": ("opened",), **settings}))


def test_an_event_starts_what_names_it_alone() -> None:
    assert push("", branch="main")
    assert not starts(document("pull_request"), Occurrence(event="push", branch="main"))
    assert starts(document("[issues, push]"), Occurrence(event="issues", types=("opened",)))


def test_filters_on_tags_alone_leave_out_branches_and_the_other_way_round() -> None:
    assert not push("{tags: [v*]}", branch="main")
    assert push("{tags: [v*]}", tag="v1")
    assert not push("{branches: [main]}", tag="v1")
    assert not push("{branches-ignore: [main]}", tag="v1")
    assert push("", tag="v1")
    assert push("{branches: [main], tags: [v*]}", tag="v1")
    assert not push("{tags-ignore: [v*]}", tag="v1")
    assert push("{tags-ignore: [v*]}", tag="w1")


def test_of_several_patterns_the_last_that_fits_decides() -> None:
    assert push("{branches: ['releases/**', '!releases/**-alpha']}", branch="releases/10")
    assert not push("{branches: ['releases/**', '!releases/**-alpha']}", branch="releases/beta/3-alpha")
    assert push("{branches: ['!a', 'a']}", branch="a")


def test_one_file_that_is_meant_is_enough() -> None:
    assert push("{paths: ['src/**']}", branch="main", paths=("docs/a.md", "src/a.py"))
    assert not push("{paths: ['src/**']}", branch="main", paths=("docs/a.md",))
    assert not push("{paths: ['src/**', '!src/gen/**']}", branch="main", paths=("src/gen/a.py",))
    assert not push("{paths: ['**']}", branch="main", paths=())


def test_files_that_are_all_ignored_start_nothing() -> None:
    assert not push("{paths-ignore: ['docs/**', '*.md']}", branch="main", paths=("docs/a", "README.md"))
    assert push("{paths-ignore: ['docs/**']}", branch="main", paths=("docs/a", "src/a"))


def test_files_that_nobody_knows_filter_nothing() -> None:
    assert push("{paths: ['src/**']}", branch="main")


def test_files_do_not_count_for_tags() -> None:
    assert push("{tags: [v*], paths: ['src/**']}", tag="v1", paths=("docs/a",))


def test_only_the_first_three_hundred_files_are_looked_at() -> None:
    many = tuple(f"docs/{number}" for number in range(300))

    assert not push("{paths: ['src/**']}", branch="main", paths=(*many, "src/a"))
    assert push("{paths: ['src/**']}", branch="main", paths=(*many[1:], "src/a"))


def test_a_pull_request_counts_by_its_base_and_activity() -> None:
    assert request("{branches: [main]}", branch="main")
    assert not request("{branches: [main]}", branch="develop")
    assert request("", types=("synchronize",))
    assert not request("", types=("labeled",))
    assert request("{types: [labeled]}", types=("labeled",))
    assert not request("{types: [labeled]}")
    assert request("{types: []}")


def test_other_events_count_with_any_activity_unless_some_are_named() -> None:
    released = Occurrence(event="release", types=("created",))

    assert starts(document("release"), released)
    assert starts(document("{release: {types: [created]}}"), released)
    assert not starts(document("{release: {types: published}}"), released)


def test_a_pattern_of_paths_is_known_before_anyone_asks_git() -> None:
    assert has_path_filter(document("{push: {paths: [a]}}"), "push")
    assert has_path_filter(document("{push: {paths-ignore: [a]}}"), "push")
    assert not has_path_filter(document("{push: {branches: [a]}, pull_request: {paths: [a]}}"), "push")


@pytest.mark.parametrize(
    ("on", "event"),
    [
        ("[workflow_dispatch, push]", "push"),
        ("[workflow_dispatch, pull_request]", "pull_request"),
        ("{schedule: [{cron: 0 1 * * *}], workflow_dispatch: }", "workflow_dispatch"),
        ("{schedule: [{cron: 0 1 * * *}]}", "schedule"),
        ("[issues, release]", "release"),
        ("issues", "push"),
    ],
)
def test_a_named_pipeline_runs_on_an_event_of_its_own(on: str, event: str) -> None:
    assert event_for(document(on)) == event


def test_what_filters_ask_is_read_from_the_payload() -> None:
    assert occurrence_of("push", {"ref": "refs/heads/a/b"}, ("x",)) == Occurrence(event="push", branch="a/b", paths=("x",))
    assert occurrence_of("push", {"ref": "refs/tags/v1"}) == Occurrence(event="push", tag="v1")
    asked = {"action": "closed", "pull_request": {"base": {"ref": "main"}}, "ref": "refs/heads/x"}
    assert occurrence_of("pull_request", asked) == Occurrence(event="pull_request", branch="main", types=("closed",))
    assert occurrence_of("workflow_dispatch", {"ref": "refs/heads/x"}) == Occurrence(event="workflow_dispatch")
    run = {"action": "completed", "workflow_run": {"head_branch": "main"}}
    assert occurrence_of("workflow_run", run) == Occurrence(event="workflow_run", branch="main", types=("completed",))
