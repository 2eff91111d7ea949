"""`--jq`: JSON through a jq expression, on results, streams and errors, through the real process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cli_stories import GREEN, Program, serve_run, shown
from hypothesis import given
from hypothesis import strategies as st
from stand_in import StandIn, answers

from sparki_cli.jq_filter import JqFilter
from sparki_cli.options import COMMANDS
from sparki_daemon.model.problem import ExitCode, SparkiError


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        (".id", "r-1\n"),
        (".jobs[].name", "build\n"),
        ("{id, jobs: (.jobs | length)}", '{"id":"r-1","jobs":1}\n'),
        (".nothing", "null\n"),
        ("empty", ""),
        ('.jobs[] | select(.name == "other")', ""),
    ],
)
def test_a_result_goes_through_the_expression(sparki: Program, stand_in: StandIn, expression: str, printed: str) -> None:
    stand_in.on("GET", "/v1/runs/latest", answers(shown("r-1", GREEN)))
    done = sparki("show", "latest", "--jq", expression)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_a_stream_goes_through_the_expression_line_by_line(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    done = sparki("run", "--jq", 'select(.kind == "run.finished") | .data.status')
    assert (done.returncode, done.stdout) == (0, "success\n")


@pytest.mark.parametrize("words", [["show", "latest"], ["run"], ["eval", "1"], ["daemon", "status"]])
def test_a_wrong_expression_is_a_usage_error_before_anything_is_begun(sparki: Program, stand_in: StandIn, words: list[str]) -> None:
    done = sparki(*words, "--jq", ".a |")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: --jq: syntax error, unexpected end of file")
    assert stand_in.requests == []


def test_an_expression_that_does_not_fit_the_document_says_which_document(sparki: Program) -> None:
    done = sparki("eval", "1 == 1", "--jq", ".value | keys")
    assert done.returncode == 2
    assert "boolean (true) has no keys" in done.stderr
    assert '"kind": "Boolean"' in done.stderr


def test_an_error_is_not_filtered(sparki: Program) -> None:
    text = sparki("eval", "nope(", "--jq", ".value")
    document = sparki("eval", "nope(", "--jq", ".value", "--json")
    assert text.returncode == document.returncode == 2
    assert text.stdout == ""
    assert json.loads(document.stdout)["error"]["message"] in text.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_takes_it(command: object) -> None:
    assert "--jq" in [flag for option in command.options for flag in option.flags]  # type: ignore[attr-defined]


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_the_identity_gives_what_it_was_given(document: object) -> None:
    printed = JqFilter("tojson").lines(json.dumps(document).encode())
    assert json.loads(printed) == document


def test_a_document_without_a_result_prints_nothing() -> None:
    assert JqFilter(".[]").lines(b"[]") == b""
    with pytest.raises(SparkiError) as caught:
        JqFilter(".[]").lines(b"3")
    assert caught.value.exit_code is ExitCode.USAGE


def test_jq_is_loaded_only_where_it_is_asked_for() -> None:
    code = "import sys; from sparki_cli.main import execute; execute(['eval', '1', '--json']); print('jq' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
