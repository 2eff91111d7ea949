"""Whole files, damaged at random: whatever is left is read, planned, expanded and told of, or refused with a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.model.plan import Plan, plan_from_json
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.calls import call_problems
from sparki_daemon.pipeline.cron import mistake_in
from sparki_daemon.pipeline.differences import Machine, differences, in_short
from sparki_daemon.pipeline.expand import expand, with_legs
from sparki_daemon.pipeline.needs import Graph
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import look, read
from sparki_daemon.pipeline.render import plan_json, plan_text
from sparki_daemon.pipeline.script import ports, programs, temp_paths
from sparki_daemon.pipeline.settings import read_settings

GOLDEN = Path(__file__).parent.parent / "golden" / "pipeline"
CASES = [case for folder in ("good", "differences", "refused") for case in sorted((GOLDEN / folder).glob("*.yml"))]
FILES = [case.read_text(encoding="utf-8") for case in CASES]
LINES = sorted({line for text in FILES for line in text.split("\n")})
TOKENS = [*"'\"[]{}:|>!#~\n\u2028", "${{", "}}", "- ", "  ", "needs.", "matrix.", "fromJSON(", ")", "&a ", "*a"]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A file of the golden ones with lines taken out, put in, or broken."""
    lines = draw(st.sampled_from(FILES)).split("\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.integers(0, 3))
        if what == 0 and len(lines) > 1:
            del lines[at]
        elif what == 1:
            lines.insert(at, draw(st.sampled_from(LINES)))
        elif what == 2:
            column = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:column] + draw(st.sampled_from(TOKENS)) + lines[at][column:]
        else:
            lines[at] = " " * draw(st.integers(0, 8)) + lines[at].lstrip()
    return "\n".join(lines)


def hold_places(error: SparkiError, lines: int = 10**9) -> None:
    """Every problem has a place, within so many lines or right after them."""
    assert error.problems
    for problem in error.problems:
        assert problem.at is not None
        assert 1 <= problem.at.line <= lines + 1
        assert problem.at.column >= 1


def all_stages(text: str, file: str = "ci.yml") -> Plan | None:
    """The plan with every job expanded; None where the file is refused, which must name a place in it."""
    lines = text.encode().decode("utf-8-sig").count("\n") + 1
    try:
        document, wrong = look(text.encode(), file)
        assert all(problem.at is not None and problem.at.line <= lines for problem in document.warnings)
        if wrong:
            raise SparkiError(*wrong)
        made = plan(document, github={"ref": "refs/heads/main", "ref_name": "main"}, source_in_place=file != "ci.yml")
    except SparkiError as error:
        hold_places(error, lines)
        return None
    assert not list(call_problems(document, lambda _: None))
    told = differences(made, document, Machine(exists=lambda _: False))
    assert all(problem.at is not None and problem.at.line <= lines for problem in (*told, *document.warnings))
    assert len(in_short(told)) == len({problem.code for problem in told})
    plan_json(made, {})
    plan_text(made)
    return made


@given(
    damaged(),
    st.sampled_from(["ci.yml", ".sparki/pipelines/ci.yml"]),
    st.sampled_from(["[]", "[1, 2]", '{"v": ["a"]}', "", "null", '{"include": [{"v": {"w": 1}}]}', "{"]),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_planned_whole_or_refused_with_a_place(text: str, file: str, output: str) -> None:
    made = all_stages(text, file)
    if made is None:
        return
    assert plan_from_json(made.to_json()) == made
    outputs: dict[str, Any] = dict.fromkeys(("items", "list", "total", "host", "version", "v", "matrix"), output)
    needs = {job.base: {"result": "success", "outputs": outputs} for job in made.jobs}
    contexts = {"github": {}, "inputs": {}, "vars": {}, "needs": needs}
    for job in made.jobs:
        try:
            legs = expand(job, file="ci.yml", contexts=contexts, taken=[one.id for one in made.jobs])
        except SparkiError as error:
            hold_places(error)
            continue
        assert legs
        assert not any(leg.deferred for leg in legs)
        made = with_legs(made, job.id, legs)
    ids = [job.id.lower() for job in made.jobs]
    assert len(set(ids)) == len(ids)
    assert set(Graph(made).legs) == {job.base for job in made.jobs}


@given(st.text(alphabet=st.sampled_from("sudo apt /tmp:8000 $()`&|;<>'\"=#\n{}!\\-if then"), max_size=200))
@settings(max_examples=300, deadline=None)
def test_the_words_of_any_script_stand_where_they_are_said_to(script: str) -> None:
    for found in (programs(script), ports(script), temp_paths(script)):
        for word, offset in found:
            assert word
            assert script[offset : offset + len(word)] == word


@given(st.text(alphabet=st.sampled_from("0123456789*/,- $JANMO\t"), max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_time_table_is_right_or_wrong(text: str) -> None:
    assert mistake_in(text) == "" or len(mistake_in(text)) > 10


@given(st.text(max_size=60) | damaged())
@settings(max_examples=200, deadline=None)
def test_any_settings_are_read_or_refused_with_a_place(text: str) -> None:
    try:
        read_settings(text.encode("utf-8", "replace"))
    except SparkiError as error:
        hold_places(error)


def test_the_files_that_are_damaged_are_whole_before() -> None:
    assert len(FILES) > 40
    with pytest.raises(SparkiError):
        read(b"- a", "ci.yml")
    assert all_stages(FILES[0]) is not None
