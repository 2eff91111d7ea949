"""What the API refuses, and how it says so."""

from __future__ import annotations

import pytest

from sparki_daemon.engine.api import checks
from sparki_daemon.engine.api.shapes import START


def said(schema: dict, value: object) -> list[str]:
    return [problem.message for problem in checks.problems_of(schema, value)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "the body must be object"),
        ({}, "'directory' is required"),
        ({"directory": "here"}, "'directory' must be an absolute path"),
        ({"directory": "/a\0b"}, "'directory' must be an absolute path"),
        ({"directory": 1}, "'directory' must be string"),
        ({"directory": "/a", "pipelines": "ci"}, "'pipelines' must be array"),
        ({"directory": "/a", "jobs": ["x", 1]}, "'jobs[1]' must be string"),
        ({"directory": "/a", "jobs": [""]}, "'jobs[0]' must not be empty"),
        ({"directory": "/a", "jobs": ["x"] * 1001}, "'jobs' must have at most 1000 items"),
        ({"directory": "/a", "max_parallel": 0}, "'max_parallel' must be at least 1"),
        ({"directory": "/a", "max_parallel": 10**6}, "'max_parallel' must be at most 10000"),
        ({"directory": "/a", "max_parallel": True}, "'max_parallel' must be integer or null"),
        ({"directory": "/a", "max_parallel": 1.5}, "'max_parallel' must be integer or null"),
        ({"directory": "/a", "workspace": "full"}, "'workspace' must be one of empty, source"),
        ({"directory": "/a", "env": {"A": 1}}, "'env.A' must be string"),
        ({"directory": "/a", "ref": "x" * 5000}, "'ref' must have at most 4096 characters"),
        ({"directory": "/a", "no_cache": "yes"}, "'no_cache' must be boolean"),
        ({"directory": "/a", "pipeline": ["ci"]}, "there is no key 'pipeline'"),
    ],
)
def test_every_fault_of_a_request_is_named(value: object, message: str) -> None:
    assert said(START, value) == [message]


def test_a_request_is_told_all_its_faults_at_once() -> None:
    assert len(said(START, {"directory": 1, "jobs": 2, "colour": 3})) == 3


def test_an_unknown_key_gets_the_nearest_one_as_a_hint() -> None:
    (problem,) = checks.problems_of(START, {"directory": "/a", "max_paralel": 2})
    assert (problem.code, problem.hint) == ("unknown_key", "did you mean 'max_parallel'?")


def test_a_good_request_passes_and_gets_its_defaults() -> None:
    value = {"directory": "/a", "max_parallel": None, "env": {"PATH": "/bin"}, "ref": "main"}
    assert said(START, value) == []
    assert checks.with_defaults(START, value) == {
        "directory": "/a",
        "pipelines": [],
        "jobs": [],
        "max_parallel": None,
        "env": {"PATH": "/bin"},
        "ref": "main",
        "no_cache": False,
        "event": "",
        "event_payload": None,
        "inputs": {},
        "variables": {},
        "lowest_env": {},
        "secrets": {},
        "secret_names": [],
        "pushed": None,
        "matrix": [],
        "outputs": False,
    }


@pytest.mark.parametrize(
    ("kind", "texts", "value"),
    [
        ("integer", ["30"], 30),
        ("integer", ["-1"], -1),
        ("boolean", ["true"], True),
        ("boolean", ["false"], False),
        ("string", [""], ""),
        ("array", ["a", "b"], ["a", "b"]),
    ],
)
def test_a_parameters_text_becomes_its_value(kind: str, texts: list[str], value: object) -> None:
    assert checks.from_text({"type": kind}, texts) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [("integer", [text]) for text in ("", "1.0", "1_0", "+1", " 1", "١", "1e3", "9" * 19, "null")]
    + [("boolean", [text]) for text in ("", "1", "True", "yes")]
    + [("string", ["a", "b"]), ("integer", ["1", "1"])],
)
def test_a_parameter_that_is_not_plainly_of_its_type_is_refused(kind: str, texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"must be|may be"):
        checks.from_text({"type": kind}, texts)
