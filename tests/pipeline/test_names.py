"""Names in expressions that nothing bears."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.reader import read


def warned(job: str, head: str = "on: push") -> list[tuple[str, str]]:
    """(code, hint) of what is said of a job `t`, in flow style without its braces, beside a job `a` with an output `version`."""
    text = f"{head}\njobs:\n  a: {{runs-on: x, outputs: {{version: '1'}}, steps: [{{run: a}}]}}\n  t: {{runs-on: x, {job}}}\n"
    return [(problem.code, problem.hint) for problem in read(text.encode(), "ci.yml").warnings]


def of(expression: str, more: str = "", head: str = "on: push") -> list[tuple[str, str]]:
    quoted = expression.replace("'", "''")
    return warned(f"{more}steps: [{{id: one, run: b}}, {{run: '${{{{ {quoted} }}}}'}}]", head)


@pytest.mark.parametrize(
    "expression",
    [
        "github.event.whatever.there.is",
        "github.REPOSITORYURL",
        "github['event_name']",
        "github[env.KEY]",
        "toJSON(github)",
        "github.*",
        "runner.os",
        "job.services.db.ports['5432']",
        "strategy.job-index",
        "env.ANY",
        "vars.ANY",
        "secrets.ANY",
        "steps.one.outputs.any",
        "steps.ONE.conclusion",
        "steps.*.outcome",
        "steps[matrix.v].outputs.x",
    ],
)
def test_what_may_be_there_is_not_warned_of(expression: str) -> None:
    assert of(expression, "strategy: {matrix: {v: [1]}}, ") == []


@pytest.mark.parametrize(
    ("expression", "code", "hint"),
    [
        ("github.evnt", "unknown_property", "did you mean 'event'?"),
        ("github['refname']", "unknown_property", "did you mean 'ref_name'?"),
        ("runner.tmp", "unknown_property", "did you mean 'temp'?"),
        ("job.state", "unknown_property", "did you mean 'status'?"),
        ("strategy.job_index", "unknown_property", "did you mean 'job-index'?"),
        ("steps.two.outputs.x", "unknown_step", ""),
        ("steps.oen.outputs.x", "unknown_step", "did you mean 'one'?"),
        ("steps.one.output", "unknown_property", "did you mean 'outputs'?"),
        ("steps.one.status", "unknown_property", ""),
        ("needs.b.result", "unknown_needed_job", ""),
        ("matrix.v", "unknown_matrix_key", ""),
        ("inputs.level", "unknown_input", ""),
        ("contains(github.labels, 'x')", "unknown_property", ""),
    ],
)
def test_what_is_always_empty_is_warned_of_with_what_may_have_been_meant(expression: str, code: str, hint: str) -> None:
    assert of(expression) == [(code, hint)]


@pytest.mark.parametrize(
    ("expression", "codes"),
    [
        ("needs.a.outputs.version", []),
        ("needs.A.outputs.VERSION", []),
        ("needs.a.outputs.verison", ["unknown_output"]),
        ("needs.a.outputs", []),
        ("needs.a.result", []),
        ("needs.a.outcome", ["unknown_property"]),
        ("needs.*.outputs.none", []),
    ],
)
def test_outputs_are_those_of_the_job_that_is_needed(expression: str, codes: list[str]) -> None:
    assert [code for code, _ in of(expression, "needs: a, ")] == codes


@pytest.mark.parametrize(
    ("strategy", "codes"),
    [
        ("{matrix: {v: [1]}}", []),
        ("{matrix: {V: [1]}}", []),
        ("{matrix: {w: [1]}}", ["unknown_matrix_key"]),
        ("{matrix: {w: [1], include: [{v: 2}]}}", []),
        ("{matrix: {w: [1], include: '${{ fromJSON(vars.X) }}'}}", []),
        ("{matrix: {w: '${{ fromJSON(vars.X) }}'}}", ["unknown_matrix_key"]),
        ("{matrix: '${{ fromJSON(vars.X) }}'}", []),
        ("{matrix: {'${{ vars.K }}': [1]}}", []),
        ("{matrix: {w: [1], exclude: [{w: 2}], include: [{w: 3}]}}", ["unknown_matrix_key"]),
        ("'${{ fromJSON(vars.X) }}'", []),
        ("{fail-fast: true}", ["unknown_matrix_key"]),
    ],
)
def test_keys_of_a_matrix_are_known_where_no_expression_gives_them(strategy: str, codes: list[str]) -> None:
    assert [code for code, _ in of("matrix.v", f"strategy: {strategy}, ")] == codes


def test_inputs_are_those_that_are_declared_for_a_start_by_hand_or_a_call() -> None:
    by_hand = "on: {workflow_dispatch: {inputs: {level: }}, workflow_call: {inputs: {other: {type: string}}}}"

    assert of("inputs.Level", head=by_hand) == []
    assert of("inputs.other", head=by_hand) == []
    assert of("inputs.levle", head=by_hand) == [("unknown_input", "did you mean 'level'?")]


def test_names_are_looked_at_outside_of_jobs_too() -> None:
    assert warned("steps: [{run: a}]", "on: push\nrun-name: '${{ github.brnch }}'\nenv: {A: '${{ inputs.a }}'}") == [
        ("unknown_property", ""),
        ("unknown_input", ""),
    ]


def test_a_step_sees_the_steps_before_it_and_outputs_see_all() -> None:
    assert warned("outputs: {o: '${{ steps.last.outputs.x }}'}, steps: [{run: '${{ steps.last.outputs.x }}'}, {id: last, run: a}]") == [
        ("unknown_step", "")
    ]


def test_computed_keys_are_looked_at_too() -> None:
    assert warned("env: {'${{ github.brnch }}': a}, steps: [{run: a}]") == [("unknown_property", "")]


def test_of_very_many_names_a_hundred_are_told_and_each_is_still_looked_for() -> None:
    head = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n"
    steps = "".join(
        f"      - {{id: s{number}, run: '${{{{ steps.x{number}.outputs.y }}}} ${{{{ secrets.S }}}}'}}\n" for number in range(6000)
    )

    document = read((head + steps).encode(), "ci.yml")

    assert len(document.warnings) == 100
    assert len(document.reads) == 6000
    assert {problem.code for problem in document.warnings} == {"unknown_step"}
    assert document.reads[-1].at.line == 6005
