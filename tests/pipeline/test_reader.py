"""Reading a workflow file as a whole, and the table of keys that it is held against."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.keys import LANGUAGE
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import MAX_PROBLEMS, read
from sparki_daemon.pipeline.schema import Key, Kind, ListOf, MapOf, OneOf, Record
from sparki_daemon.pipeline.static import ALL_CONTEXTS, ALL_FUNCTIONS

STEP = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - "


def document(text: str) -> Document:
    return read(text.encode(), "ci.yml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(SparkiError) as caught:
        document(text)
    return list(caught.value.problems)


def step_problem(text: str) -> tuple[str, str]:
    """The one problem of a step that is written from line 6, column 9 on: its code and place."""
    (found,) = problems(STEP + text + "\n")
    return found.code, str(found.at)


def test_problems_come_in_file_order_and_those_of_an_alias_once() -> None:
    found = problems(
        "on: push\nenv: {A: '${{ bad.a }}'}\njobs:\n  a: {runs-on: x, env: &e {B: '${{ bad.b }}'}, steps: [{run: a}]}\n"
        "  b: {runs-on: x, env: *e, needs: c, steps: [{run: a}]}\n"
    )

    assert [str(problem.at) for problem in found] == ["ci.yml:2:15", "ci.yml:4:36", "ci.yml:5:35"]


def test_a_wrong_matrix_is_told_beside_what_is_wrong_elsewhere() -> None:
    found = problems(
        "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {os: [a], v: []}}\n    steps: [{rnu: a}]\n"
        "  b: {runs-on: x, strategy: {matrix: {os: [a], exclude: [{so: a}]}, max: 1}, steps: [{run: a}]}\n"
    )

    assert [(problem.code, str(problem.at)) for problem in found if problem.code != "missing_key"] == [
        ("empty_matrix", "ci.yml:5:37"),
        ("unknown_key", "ci.yml:6:14"),
        ("unknown_key", "ci.yml:7:69"),  # a strategy that is misshapen is not computed
    ]


@pytest.mark.parametrize("misshapen", ["matrix: x", "matrix: {include: 1}", "matrix: {a: {b: c}}", "fail-fast: 7", "[a]", "{max: &m 1}"])
def test_a_misshapen_strategy_is_no_trouble_wherever_its_alias_stands(misshapen: str) -> None:
    strategy = misshapen if misshapen[0] in "[{" else f"{{{misshapen}}}"
    found = problems(
        f"on: push\njobs:\n  a: {{runs-on: x, strategy: &s {strategy}, steps: [{{run: a}}]}}\n"
        "  b: {runs-on: x, strategy: *s, steps: [{run: a}]}\n"
    )

    assert {problem.at.line for problem in found if problem.at} == {3}


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("success() && always", "'always' is a function: write always()"),
        ("github.ref_name == production", "a text takes single quotes: 'production'"),
        ("githb.ref_name == 'main'", "did you mean 'github'?"),
    ],
)
def test_a_name_that_is_no_context_is_told_what_it_may_have_been(condition: str, hint: str) -> None:
    (found,) = problems(f'on: push\njobs: {{a: {{runs-on: x, if: "{condition}", steps: [{{run: a}}]}}}}\n')

    assert found.hint == hint


def test_a_merge_key_is_told_as_one_where_any_key_may_stand() -> None:
    (found,) = problems("on: push\nenv:\n  <<: {A: b}\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n")

    assert (str(found.at), "merge keys" in found.hint) == ("ci.yml:3:3", True)


def test_a_hundred_problems_are_told_and_then_how_many_more() -> None:
    found = problems(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: a}]\n"
        + "".join(f"    k{number}: 1\n" for number in range(MAX_PROBLEMS + 7))
    )

    assert len(found) == MAX_PROBLEMS + 1
    assert (found[-1].code, found[-1].message) == ("more_problems", "and 7 more")


def test_what_sparki_cannot_run_is_no_error_of_the_reader() -> None:
    one = document(STEP + "uses: some/action@v1\n        with: {a: '${{ secrets.T }}'}\n")

    assert [problem.code for problem in one.unsupported] == ["unsupported_action"]
    assert [str(problem.at) for problem in one.unsupported] == ["ci.yml:6:15"]


def test_errors_hide_what_is_merely_unsupported() -> None:
    found = problems(STEP + "uses: some/action@v1\n      - runn: a\n")

    assert {problem.code for problem in found} == {"unknown_key", "missing_key"}


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        ("run: ${{ x }}", "unknown_context", "6:18"),
        ("run: a ${{ github.a }} ${{ x }}", "unknown_context", "6:36"),
        ("run: |\n          a\n          b ${{ x }}", "unknown_context", "8:17"),
        ("run: >\n          a\n          b ${{ x }}", "unknown_context", "8:17"),
        ("run: 'it''s ${{ x }}'", "unknown_context", "6:25"),
        ('run: "\\t\\u0041 ${{ x }}"', "unknown_context", "6:28"),
        ("run: a\n        if: x", "unknown_context", "7:13"),
        ("run: a\n        if: github.a && 'x' == x", "unknown_context", "7:32"),
        ("run: a\n        if: |\n          github.a &&\n          x", "unknown_context", "9:11"),
        ("run: a\n        env: {A: {B: c}}", "wrong_type", "7:18"),
        ("run: a\n        with: {A: b}", "conflicting_key", "7:9"),
        ("run: a\n        timeout-minutes: .inf\n        id: -a", "bad_step_id", "8:13"),
        ("run: [a]", "wrong_type", "6:14"),
        ("run: a\n        if: [a]", "wrong_type", "7:13"),
        ("run: a\n        if: a b", "bad_expression", "7:15"),
        ("run: a\n        shell: ${{ matrix.a }}", "expression_not_allowed", "7:16"),
        ("uses: actions/checkout@v4\n        with: [a]", "wrong_type", "7:15"),
        ("a string", "wrong_value", "6:9"),
    ],
)
def test_a_problem_stands_where_its_character_stands(step: str, code: str, place: str) -> None:
    assert step_problem(step) == (code, f"ci.yml:{place}")


def test_a_script_in_the_place_of_a_step_is_told() -> None:
    found = problems("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - make\n")

    assert [(problem.code, problem.message) for problem in found] == [("wrong_value", "a step must be a mapping, not 'make'")]


def test_a_document_has_what_the_file_says() -> None:
    one = document(
        "name: ''\non: {push: {branches: main}, schedule: [{cron: 1 2 * * *}]}\nenv: {A: 1.50, B: }\n"
        "defaults: {run: {shell: sh, working-directory: w}}\njobs:\n"
        "  a: {runs-on: {labels: [x, y]}, defaults: {run: {shell: bash}}, outputs: {o: '1'}, steps: [{run: a, id: I}]}\n"
        "  b: {runs-on: z, needs: A, steps: [{run: a}]}\n"
    )
    a, b = one.jobs

    assert (one.name, one.file) == ("ci.yml", "ci.yml")
    assert [(trigger.event, dict(trigger.filters)) for trigger in one.triggers] == [("push", {"branches": ("main",)}), ("schedule", {})]
    assert [(name, template.text) for name, template in one.env] == [("A", "1.5"), ("B", "")]
    assert [template.text for template in a.runs_on] == ["x", "y"]
    assert a.shell is not None
    assert a.working_directory is not None
    assert b.shell is not None
    assert (a.shell.text, a.working_directory.text, b.shell.text) == ("bash", "w", "sh")
    assert (a.steps[0].id, a.steps[0].line, a.steps[0].column) == ("I", 6, 93)
    assert [need.text for need in b.needs] == ["A"]
    assert plan(one, github={}).jobs[1].needs == ("a",)


def test_steps_of_a_job_may_use_only_steps_before_them_but_outputs_any() -> None:
    one = document(
        "on: push\njobs:\n  a:\n    runs-on: x\n    outputs: {x: '${{ steps.two.outputs.x }}'}\n    steps:\n"
        "      - {id: one, run: 'echo ${{ steps.one.outputs.x }}'}\n      - {id: two, run: 'echo ${{ STEPS.ONE.outputs.x }}'}\n"
    )

    assert [(problem.code, str(problem.at)) for problem in one.warnings] == [("unknown_step", "ci.yml:7:34")]


def all_kinds(kind: Kind) -> Iterator[Kind]:
    yield kind
    for key in keys_in(kind):
        yield from all_kinds(key.kind)
    inner = kind.options if isinstance(kind, OneOf) else (kind.item,) if isinstance(kind, ListOf) else ()
    for each in (kind.value,) if isinstance(kind, MapOf) else inner:
        yield from all_kinds(each)


def keys_in(kind: Kind) -> Iterator[Key]:
    yield from kind.keys.values() if isinstance(kind, Record) else kind.rest.values() if isinstance(kind, MapOf) else ()


def test_every_key_of_the_table_has_a_sentence_and_every_place_known_names() -> None:
    kinds = list(all_kinds(LANGUAGE))

    assert len(kinds) > 300
    assert all(key.doc.endswith((".", ".", "?")) for kind in kinds for key in keys_in(kind))
    for place in (kind.place for kind in kinds if kind.place is not None):
        assert set(place.contexts) <= set(ALL_CONTEXTS)
        assert {"github", "inputs", "vars"} <= set(place.contexts)
        assert set(place.functions) <= set(ALL_FUNCTIONS)


LINES = r"""
on: push
jobs:
  a:
  b: {}
    runs-on: x
    needs: [a, b]
    needs: b
    if: always()
    steps:
      - run: a
        id: b
      - uses: actions/checkout@v4
    strategy: {matrix: {a: [1, 2], include: [{a: 3}]}}
    strategy: {matrix: {a: 1, exclude: b}}
    strategy: {fail-fast: "${{ 1 }}", matrix: "${{ null }}"}
    strategy: ${{ fromJSON('{') }}
    env: {A: '${{ github.a }}'}
    env: [
    outputs: &x {A: b}
    env: *x
    name: ${{ matrix.a }}
    name: ${{ needs.a.b }}
env: ${{ a }}
    timeout-minutes: 1
    runs-on: [a, {b: c}]
    1: 2
    steps: a
    services: {a: b}
"""
PIECES = st.sampled_from([line for line in LINES.splitlines() if line])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=14))
def test_any_heap_of_lines_is_planned_or_told_of_with_places(lines: list[str]) -> None:
    try:
        made = plan(document("\n".join(["on: push", "jobs:", "  z: {runs-on: x, steps: [{run: a}]}", *lines])), github={"a": "b"})
    except SparkiError as error:
        told = error.problems
        made = None
    else:
        told = ()

    assert (made is None) is bool(told)
    assert all(problem.at is not None and 1 <= problem.at.line <= len(lines) + 4 for problem in told)


def test_reading_and_planning_load_neither_processes_nor_sockets_nor_asyncio() -> None:
    script = (
        "import sys\n\nfrom sparki_daemon.pipeline import plan, reader, render, select\n"
        "print([name for name in ('subprocess', 'socket', 'asyncio', 'sqlite3', 'difflib') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
