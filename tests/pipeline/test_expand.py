"""The second stage of planning: what is made of a job once the jobs that decide on it have ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparki_daemon.model.plan import JobPlan, Plan, plan_from_json
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.expand import expand, with_legs
from sparki_daemon.pipeline.legs import select_legs
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read

GITHUB = {"ref": "refs/heads/main", "event_name": "push"}


def planned(job: str, more: str = "") -> Plan:
    """The plan of a job `a` and a job `t`, given in flow style without its braces, that needs it; kept and read again as a run's is."""
    steps = "" if "steps:" in job else ", steps: [{run: a}]"
    text = f"on: push\njobs:\n  a: {{runs-on: x, steps: [{{run: a}}]}}\n  t: {{needs: a, {job}{steps}}}\n{more}"
    made = plan(read(text.encode(), "ci.yml"), github=GITHUB)
    return plan_from_json(json.loads(json.dumps(made.to_json())))


def expanded(job: str, outputs: dict[str, str], *, more: str = "", **contexts: Any) -> tuple[JobPlan, ...]:
    made = planned(job, more)
    needs = {"a": {"result": "success", "outputs": outputs}}
    scope = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": needs, **contexts}
    return expand(made.jobs[1], file="ci.yml", contexts=scope, taken=[one.id for one in made.jobs])


def refused(job: str, outputs: dict[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(SparkiError) as caught:
        expanded(job, outputs)
    return [(problem.code, str(problem.at)) for problem in caught.value.problems]


MATRIX = 'runs-on: x, strategy: {matrix: {v: "${{ fromJSON(needs.a.outputs.list) }}"}}'


def test_a_job_whose_matrix_other_jobs_decide_on_is_in_the_plan_once() -> None:
    job = planned(MATRIX).jobs[1]

    assert (job.id, job.matrix, job.strategy) == ("t", {}, {})
    assert job.deferred == ("needs.a.outputs.list",)


def test_all_that_a_job_waits_for_is_told_once() -> None:
    job = planned(
        "name: '${{ needs.a.result }} ${{ needs.a.outputs.n }}', runs-on: '${{ needs.a.outputs.host }}', "
        "strategy: {fail-fast: \"${{ needs.a.outputs.n == '1' }}\", matrix: {v: [1], w: ['${{ needs.a.outputs.host }}']}}"
    ).jobs[1]

    assert job.deferred == ("needs.a.outputs.n", "needs.a.outputs.host", "needs.a.result")


def test_a_matrix_of_outputs_becomes_its_legs() -> None:
    legs = expanded(MATRIX, {"list": '["p", {"q": 1}, 3]'})

    assert [leg.id for leg in legs] == ["t-p", "t-1", "t-3"]
    assert [leg.name for leg in legs] == ["t (p)", "t (1)", "t (3)"]
    assert [leg.matrix["v"] for leg in legs] == ["p", {"q": 1}, 3]
    assert {leg.base for leg in legs} == {"t"}
    assert not any(leg.deferred or leg.unexpanded for leg in legs)
    assert [leg.strategy["job-index"] for leg in legs] == [0, 1, 2]
    assert legs[0].strategy == {"fail-fast": True, "job-index": 0, "job-total": 3, "max-parallel": 3}


def test_a_leg_takes_no_other_jobs_id() -> None:
    legs = expanded(MATRIX, {"list": '["p", "q"]'}, more="  t-p: {runs-on: x, steps: [{run: a}]}\n")

    assert [leg.id for leg in legs] == ["t-p-2", "t-q"]


def test_a_whole_matrix_and_a_whole_strategy_may_be_computed() -> None:
    whole = 'runs-on: x, strategy: "${{ fromJSON(needs.a.outputs.all) }}"'
    legs = expanded(whole, {"all": '{"max-parallel": 1, "matrix": {"v": [1, 2], "include": [{"v": 1, "w": true}]}}'})

    assert [leg.matrix for leg in legs] == [{"v": 1, "w": True}, {"v": 2}]
    assert legs[0].strategy["max-parallel"] == 1


def test_a_strategy_without_matrix_keeps_the_jobs_id() -> None:
    (leg,) = expanded("runs-on: x, strategy: {fail-fast: \"${{ needs.a.outputs.n == '1' }}\"}", {})

    assert (leg.id, leg.strategy["fail-fast"]) == ("t", False)


def test_name_and_labels_are_computed_with_the_leg_they_belong_to() -> None:
    legs = expanded(
        "name: '${{ needs.a.outputs.n }}/${{ matrix.v }}', runs-on: ['${{ matrix.v }}', '${{ needs.a.outputs.host }}'], "
        "strategy: {matrix: {v: ['${{ needs.a.outputs.v }}', z]}}",
        {"n": "N", "v": "V", "host": "H"},
    )

    assert [leg.name for leg in legs] == ["N/V", "N/z"]
    assert [leg.runs_on for leg in legs] == [("V", "H"), ("z", "H")]


def test_a_leg_known_before_keeps_its_id_and_gets_its_name() -> None:
    made = planned("name: 'on ${{ needs.a.outputs.host }} ${{ matrix.v }}', runs-on: x, strategy: {matrix: {v: [1, 2]}}")
    second = made.jobs[2]
    assert second.deferred == ("needs.a.outputs.host",)

    contexts = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": {"a": {"result": "success", "outputs": {"host": "H"}}}}
    (leg,) = expand(second, file="ci.yml", contexts=contexts, taken=[one.id for one in made.jobs])

    assert (leg.id, leg.name, leg.deferred) == (second.id, "on H 2", ())


def test_labels_may_be_a_list_or_a_group_that_an_output_says() -> None:
    job = 'runs-on: "${{ fromJSON(needs.a.outputs.host) }}"'

    assert expanded(job, {"host": '["p", "q"]'})[0].runs_on == ("p", "q")
    assert expanded(job, {"host": '{"group": "g", "labels": ["r"]}'})[0].runs_on == ("r",)
    assert expanded(job, {"host": '{"group": "g"}'})[0].runs_on == ()


def test_a_job_that_waits_for_nothing_is_given_back_as_it_is() -> None:
    made = planned("runs-on: x")

    assert expand(made.jobs[1], file="ci.yml", contexts={}, taken=[]) == (made.jobs[1],)


def test_an_output_that_is_no_matrix_is_told_with_the_place_of_the_expression() -> None:
    at = "ci.yml:4:52"
    assert refused(MATRIX, {}) == [("expression_failed", at)]
    assert refused(MATRIX, {"list": "[]"}) == [("empty_matrix", at)]
    assert refused(MATRIX, {"list": '{"a": 1}'}) == [("wrong_value", at)]
    assert [code for code, _ in refused(MATRIX, {"list": json.dumps(list(range(257)))})] == ["too_many_jobs"]


def test_a_label_that_cannot_be_computed_is_told_with_its_place() -> None:
    assert refused('runs-on: "${{ fromJSON(needs.a.outputs.host) }}"', {"host": "{"}) == [("expression_failed", "ci.yml:4:26")]


def test_a_job_that_never_runs_waits_for_nothing() -> None:
    job = planned("if: false, " + MATRIX).jobs[1]

    assert (job.deferred, job.matrix, job.id) == ((), {}, "t")


def test_the_legs_stand_in_the_plan_where_the_job_stood() -> None:
    made = planned(MATRIX, more="  z: {runs-on: x, steps: [{run: a}]}\n")
    contexts = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": {"a": {"result": "success", "outputs": {"list": "[1, 2]"}}}}

    after = with_legs(made, "t", expand(made.jobs[1], file="ci.yml", contexts=contexts, taken=["a", "t", "z"]))

    assert [job.id for job in after.jobs] == ["a", "t-1", "t-2", "z"]
    assert plan_from_json(json.loads(json.dumps(after.to_json()))) == after


def test_legs_that_were_not_asked_for_are_left_out_once_they_are_known() -> None:
    made = select_legs(planned(MATRIX), [("v", "2")])
    contexts = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": {"a": {"result": "success", "outputs": {"list": "[1, 2, 3]"}}}}
    kept = plan_from_json(json.loads(json.dumps(made.to_json()))).jobs[1]

    (leg,) = expand(kept, file="ci.yml", contexts=contexts, taken=["a", "t"])

    assert (leg.id, leg.matrix, leg.strategy["job-index"], leg.strategy["job-total"]) == ("t-2", {"v": 2}, 1, 3)


def test_a_job_without_the_legs_that_were_asked_for_fails_at_its_place() -> None:
    made = select_legs(planned(MATRIX), [("v", "9")])
    contexts = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": {"a": {"result": "success", "outputs": {"list": "[1, 2, 3]"}}}}

    with pytest.raises(SparkiError, match="job 't' has no leg with v=9") as caught:
        expand(made.jobs[1], file="ci.yml", contexts=contexts, taken=["a", "t"])
    assert [(problem.code, str(problem.at)) for problem in caught.value.problems] == [("no_such_leg", "ci.yml:4:3")]
