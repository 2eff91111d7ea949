"""Planning: what is computed before any job runs, and what is left for later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparki_daemon.model.plan import JobPlan, Plan, StepPlan, Template
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.render import plan_json, plan_text, step_name

GITHUB = {"ref": "refs/heads/main", "event_name": "push"}


def planned(job: str, *, inputs: dict[str, Any] | None = None, variables: dict[str, Any] | None = None) -> Plan:
    """The plan of one job `t`, given in flow style without its braces."""
    steps = "" if "steps:" in job else ", steps: [{run: a}]"
    text = f"on: push\njobs:\n  a: {{runs-on: x, steps: [{{run: a}}]}}\n  t: {{runs-on: x, {job}{steps}}}\n"
    return plan(read(text.encode(), "ci.yml"), github=GITHUB, inputs=inputs, variables=variables)


def legs(job: str, **contexts: Any) -> tuple[JobPlan, ...]:
    return planned(job, **contexts).jobs[1:]


def refused(job: str, **contexts: Any) -> list[tuple[str, str]]:
    with pytest.raises(SparkiError) as caught:
        planned(job, **contexts)
    return [(problem.code, str(problem.at)) for problem in caught.value.problems]


def test_a_job_without_matrix_is_the_first_of_one() -> None:
    (job,) = legs("steps: [{run: a}]")

    assert (job.id, job.base, job.name, dict(job.matrix)) == ("t", "t", "t", {})
    assert job.strategy == {"fail-fast": True, "job-index": 0, "job-total": 1, "max-parallel": 1}


def test_each_leg_knows_its_place_among_all() -> None:
    found = legs("strategy: {fail-fast: false, max-parallel: 2.9, matrix: {n: [1, 2, 3]}}")

    assert [leg.strategy["job-index"] for leg in found] == [0, 1, 2]
    assert found[1].strategy == {"fail-fast": False, "job-index": 1, "job-total": 3, "max-parallel": 2}
    assert [leg.id for leg in found] == ["t-1", "t-2", "t-3"]
    assert {leg.base for leg in found} == {"t"}


def test_without_max_parallel_all_legs_may_run_at_once() -> None:
    assert legs("strategy: {matrix: {n: [1, 2, 3]}}")[0].strategy["max-parallel"] == 3
    assert legs("strategy: {max-parallel: 0, matrix: {n: [1, 2, 3]}}")[0].strategy["max-parallel"] == 3


def test_a_matrix_is_computed_from_what_is_known_before_any_job() -> None:
    found = legs(
        "strategy: {matrix: {os: \"${{ fromJSON(vars.LIST) }}\", v: ['${{ inputs.v }}', '${{ github.event_name }}']}}",
        inputs={"v": True},
        variables={"LIST": '["a", {"b": 1.0}]'},
    )

    assert [dict(leg.matrix) for leg in found] == [
        {"os": "a", "v": True},
        {"os": "a", "v": "push"},
        {"os": {"b": 1}, "v": True},
        {"os": {"b": 1}, "v": "push"},
    ]


@pytest.mark.parametrize(
    ("strategy", "code", "place"),
    [
        ("'${{ github.ref }}'", "wrong_value", "4:29"),
        ("{matrix: '${{ github.ref }}'}", "wrong_value", "4:38"),
        ("{matrix: {a: '${{ github.ref }}'}}", "wrong_value", "4:42"),
        ("{matrix: {a: '${{ vars.none }}'}}", "wrong_value", "4:42"),
        ("{matrix: {a: [1], include: '${{ 1 }}'}}", "wrong_value", "4:56"),
        ("{matrix: {a: [1], include: ['${{ 1 }}']}}", "wrong_type", "4:57"),
        ("{matrix: {a: [1], exclude: [{b: '${{ 1 }}'}]}}", "unknown_matrix_key", "4:58"),
        ("{matrix: {a: \"${{ fromJSON('[]') }}\"}}", "empty_matrix", "4:42"),
        ("{matrix: {a: \"${{ fromJSON('[') }}\"}}", "expression_failed", "4:42"),
        ("{fail-fast: '${{ github.ref }}'}", "wrong_value", "4:41"),
        ("{max-parallel: '${{ github.ref }}'}", "wrong_value", "4:44"),
        ("{max-parallel: '${{ -1 }}'}", "wrong_value", "4:44"),
        ("{max-parallel: '${{ NaN }}'}", "wrong_value", "4:44"),
    ],
)
def test_a_strategy_that_comes_out_wrong_is_told_with_its_place(strategy: str, code: str, place: str) -> None:
    assert refused(f"strategy: {strategy}") == [(code, f"ci.yml:{place}")]


def test_names_and_labels_are_computed_a_leg() -> None:
    found = legs("name: 'on ${{ matrix.os }}', strategy: {matrix: {os: [a, b]}}, steps: [{run: a}]")

    assert [leg.name for leg in found] == ["on a", "on b"]
    assert [leg.id for leg in found] == ["t-a", "t-b"]


def test_labels_may_be_one_expression_that_gives_a_list() -> None:
    text = (
        'on: push\njobs: {t: {runs-on: "${{ fromJSON(matrix.os) }}", '
        'strategy: {matrix: {os: [\'["a", "b"]\', \'"c"\']}}, steps: [{run: a}]}}\n'
    )
    found = plan(read(text.encode(), "ci.yml"), github={}).jobs

    assert [leg.runs_on for leg in found] == [("a", "b"), ("c",)]


def test_a_name_without_expression_gets_the_combination_and_an_empty_one_the_id() -> None:
    assert [leg.name for leg in legs("name: Test, strategy: {matrix: {n: [1]}}")] == ["Test (1)"]
    assert [leg.name for leg in legs("name: '', strategy: {matrix: {n: [1]}}")] == ["t (1)"]
    assert [leg.name for leg in legs("name: '${{ vars.none }}', strategy: {matrix: {n: [1]}}")] == ["t (1)"]


def test_a_name_that_cannot_be_computed_is_told_with_its_place() -> None:
    assert refused("name: \"${{ fromJSON('{') }}\"") == [("expression_failed", "ci.yml:4:25")]


def test_what_waits_for_other_jobs_is_left_as_it_is_written() -> None:
    (job,) = legs("needs: a, name: 'v${{ needs.a.outputs.v }}', steps: [{run: a}]")

    assert (job.name, job.deferred) == ("v${{ needs.a.outputs.v }}", ("needs.a.outputs.v",))


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("false", 1),
        ("github.ref == 'x'", 1),
        ("always() && github.ref == 'x'", 1),
        ("failure() && success()", 2),
        ("failure()", 2),
        ("!success()", 2),
        ("github.ref != 'x'", 2),
        ("needs.a.result == 'x'", 2),
        ("fromJSON('{')", 2),
    ],
)
def test_a_matrix_is_left_alone_where_the_if_is_false_whatever_happens(condition: str, count: int) -> None:
    found = legs(f'if: "{condition}", needs: a, strategy: {{matrix: {{n: [1, 2]}}}}')

    assert len(found) == count
    assert (found[0].id == "t") is (count == 1)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("", 1),
        ("success()", 1),
        ("!failure()", 2),
        ("failure()", 2),  # another need may fail
        ("always()", 2),
        ("success('a')", 2),
        ("needs.off.result == 'success'", 1),
        ("always() && needs.off.result == 'skipped'", 2),
        ("always() && needs.off.outputs.x == 'y'", 1),
        ("always() && needs.a.outputs.x == 'y'", 2),
        ("always() && toJSON(needs) == ''", 2),
    ],
)
def test_a_matrix_is_left_alone_after_a_job_that_is_skipped_for_certain(condition: str, count: int) -> None:
    text = f"""
on: push
jobs:
  a: {{runs-on: x, steps: [{{run: a}}]}}
  off: {{runs-on: x, if: github.ref == 'x', steps: [{{run: a}}]}}
  between: {{runs-on: x, needs: off, if: always(), steps: [{{run: a}}]}}
  t:
    {f'if: "{condition}"' if condition else ""}
    needs: [a, off, between]
    name: t on ${{{{ matrix.n }}}}
    runs-on: x
    strategy: {{matrix: {{n: [1, 2]}}}}
    steps: [{{run: a}}]
"""
    found = plan(read(text.encode(), "ci.yml"), github=GITHUB).jobs[3:]

    assert [leg.name for leg in found] == (["t on ${{ matrix.n }}"] if count == 1 else ["t on 1", "t on 2"])


def test_a_chain_after_a_skipped_job_is_looked_at_without_depth() -> None:
    jobs = "".join(f"  j{number}: {{runs-on: x, needs: j{number - 1}, steps: [{{run: a}}]}}\n" for number in range(1, 1500))
    last = "  t: {runs-on: x, needs: j1499, strategy: {matrix: {n: [1, 2]}}, steps: [{run: a}]}\n"
    text = f"on: push\njobs:\n  j0: {{runs-on: x, if: false, steps: [{{run: a}}]}}\n{jobs}{last}"

    assert [job.id for job in plan(read(text.encode(), "ci.yml"), github=GITHUB).jobs[1500:]] == ["t"]


def test_ids_of_legs_are_unique_whatever_the_values() -> None:
    found = legs("strategy: {matrix: {n: [a, A, 'a!', '', ~, '-', ü, '..', 'x/y', 'x y']}}")

    assert [leg.id for leg in found] == ["t-a", "t-A-2", "t-a-3", "t-4", "t-5", "t-6", "t-7", "t-8", "t-x-y", "t-x-y-2"]
    assert len(legs("strategy: {matrix: {n: ['" + "x" * 300 + "']}}")[0].id) == 62


def test_the_json_of_a_plan_has_the_public_shape() -> None:
    made = planned("needs: a, strategy: {matrix: {n: [.inf, -.inf, .nan]}}, steps: [{run: 'echo 1', id: i}, {uses: actions/checkout@v4}]")

    found = json.loads(json.dumps(plan_json(made, {"tree": "t", "commit": "c", "dirty": True}), allow_nan=False))

    assert found.keys() == {"pipeline", "source", "jobs", "differences"}
    assert found["pipeline"] == {"name": "ci.yml", "file": "ci.yml"}
    assert [job["matrix"] for job in found["jobs"]] == [{}, {"n": "Infinity"}, {"n": "-Infinity"}, {"n": "NaN"}]
    assert found["jobs"][1] == {
        "id": "t-Infinity",
        "name": "t (Infinity)",
        "needs": ["a"],
        "matrix": {"n": "Infinity"},
        "cache": None,
        "deferred": [],
        "steps": [
            {"id": "i", "name": "Run echo 1", "run": "echo 1"},
            {"id": None, "name": "Run actions/checkout@v4", "uses": "actions/checkout@v4"},
        ],
    }


def test_lines_of_a_plan_for_people_are_never_long_nor_broken() -> None:
    lines = plan_text(planned('name: "a\\n\\tb", if: "github.ref == \'' + "x" * 200 + '\'", steps: [{run: "\\n\\n one\\n two"}]'))

    assert all(len(line) <= 100 and "\n" not in line and "\t" not in line for line in lines)
    assert lines[-1] == "      1 Run one"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (StepPlan(index=0, line=1, column=1, run=Template("a\nb")), "Run a"),
        (StepPlan(index=0, line=1, column=1, run=Template("")), "Run"),
        (StepPlan(index=0, line=1, column=1, uses="a/b@c"), "Run a/b@c"),
        (StepPlan(index=0, line=1, column=1, name=Template(" x "), run=Template("a")), "x"),
        (StepPlan(index=0, line=1, column=1, name=Template(" "), run=Template("a")), "Run a"),
        (StepPlan(index=0, line=1, column=1, name=Template("\n one \n two\n"), run=Template("a")), "one"),
    ],
)
def test_a_step_without_a_name_is_called_by_what_it_runs(step: StepPlan, name: str) -> None:
    assert step_name(step) == name
