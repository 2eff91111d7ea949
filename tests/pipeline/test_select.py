"""Which pipelines a run starts."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.globs import compiled, matches, passes
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.select import Occurrence, named, names_of, started, starts

JOBS = "\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n"


def document(on: str, file: str = ".github/workflows/ci.yml", name: str = "") -> Document:
    return read(f"on: {on}{f'{chr(10)}name: {name}' if name else ''}{JOBS}".encode(), file)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("main", ["main"], ["mai", "main2", "a/main", "Main"]),
        ("feature/*", ["feature/a", "feature/a-b", "feature/"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/a", "feature/a/b"], ["feature", "a/feature/b"]),
        ("**", ["a", "a/b/c", ""], []),
        ("*", ["a", ""], ["a/b"]),
        ("**-old", ["a-old", "a/b-old"], ["a-old/b"]),
        ("v2*", ["v2", "v2.0", "v2-beta"], ["v1", "av2"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.0"]),
        ("releases?", ["release", "releases"], ["releasess"]),
        ("ab+", ["ab", "abbb"], ["a", "abab"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["a/page.js", "page.jsxx"]),
        ("docs/**/*.md", ["docs/a.md", "docs/a/b/c.md"], ["a/docs/b.md"]),
        ("**/docs/**", ["docs/a", "a/docs/b/c"], ["docs", "adocs/b"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("a(b|c)", ["a(b|c)"], ["ab"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[z-a]", ["[z-a]"], ["z"]),
        ("[ab", ["[ab"], ["a"]),
        ("+a", ["+a"], ["a"]),
        ("\\", ["\\"], []),
    ],
)
def test_a_pattern_matches_whole_names(pattern: str, yes: list[str], no: list[str]) -> None:
    found = compiled(pattern)

    assert [name for name in yes if not found.fullmatch(name)] == []
    assert [name for name in no if found.fullmatch(name)] == []


def test_the_last_pattern_that_fits_decides() -> None:
    assert matches("releases/10", ["releases/**", "!releases/**-alpha"])
    assert not matches("releases/10-alpha", ["releases/**", "!releases/**-alpha"])
    assert matches("releases/10-alpha", ["!releases/**-alpha", "releases/**"])
    assert not matches("main", ["!main"])
    assert passes("main", None, ["dev"])
    assert not passes("dev", None, ["dev"])
    assert not passes("main", ["dev"], None)


@pytest.mark.parametrize(
    ("on", "verdict"),
    [
        ("push", True),
        ("[pull_request, push]", True),
        ("pull_request", False),
        ("{push: }", True),
        ("{push: {branches: [main]}}", True),
        ("{push: {branches: dev}}", False),
        ("{push: {branches-ignore: [main]}}", False),
        ("{push: {branches-ignore: ['m*', '!main']}}", True),
        ("{push: {tags: ['v*']}}", False),
        ("{push: {tags-ignore: ['v*']}}", False),
        ("{push: {tags: ['v*'], branches: ['**']}}", True),
        ("{push: {paths: [src/**]}}", True),
    ],
)
def test_a_push_of_the_branch_starts_what_its_filters_let_through(on: str, verdict: bool) -> None:
    assert starts(document(on), Occurrence(event="push", branch="main")) is verdict


@pytest.mark.parametrize(
    ("on", "verdict"),
    [
        ("pull_request", True),
        ("push", False),
        ("{pull_request: {branches: [main]}}", True),
        ("{pull_request: {branches: [dev]}}", False),
        ("{pull_request: {types: [closed]}}", False),
        ("{pull_request: {types: [closed, synchronize]}}", True),
        ("{pull_request: {types: opened}}", True),
    ],
)
def test_a_pull_request_starts_what_takes_its_base_and_its_type(on: str, verdict: bool) -> None:
    assert bool(first([document(on)], branch="main")[0]) is (verdict or on == "push")


def first(documents: list[Document], *, branch: str | None, paths: tuple[str, ...] | None = None) -> tuple[list[Document], str, list[str]]:
    found = started(documents, branch=branch, default_branch="main", paths=lambda _: paths)
    return list(found.chosen), found.event, [one.file for one in found.unchanged]


def test_pushes_come_first_then_pull_requests_then_nothing() -> None:
    push, request, other = document("push", "a.yml"), document("{pull_request: {branches: [main]}}", "b.yml"), document("schedule", "c.yml")
    main_only = document("{push: {branches: [main]}}", "d.yml")

    assert first([push, request, other, main_only], branch="main") == ([push, main_only], "push", [])
    assert first([main_only, request], branch="topic") == ([request], "pull_request", [])
    assert first([main_only], branch=None) == ([main_only], "push", [])
    assert first([other, main_only], branch="topic") == ([], "", [])


def test_changed_files_decide_where_they_are_known() -> None:
    code, docs = document("{push: {paths: [src/**]}}", "code.yml"), document("{push: {paths-ignore: [src/**]}}", "docs.yml")
    request = document("{pull_request: {paths: [src/**]}}", "request.yml")

    assert first([code, docs], branch="main", paths=("src/a",)) == ([code], "push", ["docs.yml"])
    assert first([code, docs], branch="main", paths=("a",)) == ([docs], "push", ["code.yml"])
    assert first([code, docs], branch="main") == ([code, docs], "push", [])
    assert first([docs, request], branch="topic", paths=("src/a",)) == ([request], "pull_request", ["docs.yml"])
    assert first([code, request], branch="topic", paths=("a",)) == ([], "", ["code.yml", "request.yml"])


def test_files_are_asked_for_only_where_they_decide() -> None:
    def paths(event: str) -> tuple[str, ...] | None:
        raise AssertionError(event)

    plain = document("[push, pull_request]")
    elsewhere = document("{push: {branches: [other], paths: [src/**]}}")
    assert started([plain, elsewhere], branch="main", default_branch="main", paths=paths).chosen == (plain,)


def test_a_pipeline_answers_to_its_file_its_stem_and_its_name() -> None:
    one = document("push", ".github/workflows/ci.yml", name="Tests")
    two = document("push", ".github/workflows/ci.release.yaml", name="ci")
    both = [one, two]

    for word in (".github/workflows/ci.yml", "ci.yml", "ci", "Tests"):
        assert named(both, [word]) == [one], word
    assert named(both, ["ci.release", "ci", "Tests"]) == [two, one]
    assert names_of("a/b.yml", "B") == ("a/b.yml", "b.yml", "b", "B")


def test_a_word_that_names_nothing_or_too_much_is_told() -> None:
    two = [document("push", f"{folder}/x.yml", name="build") for folder in ("a", "b")]

    with pytest.raises(SparkiError) as caught:
        named([*two, document("push", "deploy.yml")], ["build", "depoly", "zzz"])

    assert caught.value.exit_code == 2
    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [
        ("ambiguous_pipeline", "name the file: a/x.yml or b/x.yml"),
        ("no_such_pipeline", "did you mean 'deploy'?"),
        ("no_such_pipeline", "there are: x, x, deploy"),
    ]
    with pytest.raises(SparkiError, match="no pipeline is called 'a'"):
        named([], ["a"])
