"""`sparki.yml`."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.settings import Settings, read_settings


def refused(text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(SparkiError) as caught:
        read_settings(text.encode())
    assert caught.value.exit_code == 2
    return [(problem.code, str(problem.at), problem.hint) for problem in caught.value.problems]


@pytest.mark.parametrize("data", [None, b"", b"# nothing\n"])
def test_without_settings_all_have_their_defaults(data: bytes | None) -> None:
    assert read_settings(data) == Settings(project="", silence=frozenset(), home="job")


def test_settings_are_what_the_file_says() -> None:
    text = b"project: shop-api\nsilence: [SPK014, SPK005]\nhome: user\n"

    assert read_settings(text) == Settings(project="shop-api", silence=frozenset({"SPK005", "SPK014"}), home="user")


def test_an_unknown_key_is_an_error_with_a_suggestion() -> None:
    assert refused("project: a\nsilense: [SPK001]\n") == [("unknown_key", "sparki.yml:2:1", "did you mean 'silence'?")]


def test_a_code_that_does_not_exist_can_not_be_silenced() -> None:
    assert refused("silence: [SPK005, SPK999]\n")[0][:2] == ("wrong_value", "sparki.yml:1:19")


def test_all_mistakes_are_told_with_their_places() -> None:
    found = refused("project: ''\nhome: nowhere\nsilence: SPK001\nHome: job\n")

    assert [(code, place) for code, place, _ in found] == [("duplicate_key", "sparki.yml:4:1")]
    found = refused("project: ''\nhome: nowhere\nsilence: SPK001\n")
    assert [(code, place) for code, place, _ in found] == [
        ("empty_value", "sparki.yml:1:10"),
        ("wrong_value", "sparki.yml:2:7"),
        ("wrong_type", "sparki.yml:3:10"),
    ]


def test_a_list_is_no_file_of_settings() -> None:
    assert refused("- a\n") == [("wrong_type", "sparki.yml:1:1", "")]
    assert refused("{a: \n")[0][0] == "yaml_syntax"


def test_expressions_have_no_place_in_settings() -> None:
    assert refused("project: ${{ github.repository }}\n")[0][0] == "expression_not_allowed"


def test_test_reports_are_named_by_pattern_for_all_jobs_of_a_pipeline() -> None:
    assert read_settings(b"pipelines: {ci: {junit: ['out/*.xml']}, cd: {}}").junit == {"ci": ("out/*.xml",), "cd": ()}
    assert [(code, place) for code, place, _ in refused("pipelines: {ci: {junit: [ok, ../x.xml]}}")] == [("bad_pattern", "sparki.yml:1:30")]
    assert refused("pipelines: {ci: {junit: x.xml}}")[0][0] == "wrong_type"
