"""The graph of jobs: which may start, what they see, and whether they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import JobPlan, Plan, Template
from sparki_daemon.model.problem import Position, SparkiError
from sparki_daemon.pipeline.document import JobSource, Name
from sparki_daemon.pipeline.needs import (
    Graph,
    Results,
    display_name,
    graph_problems,
    needs_context,
    result_of,
    select_jobs,
    should_run,
)
from sparki_daemon.pipeline.reader import read


class LegResult(NamedTuple):
    state: JobState
    tolerated: bool = False
    outputs: Mapping[str, str] = {}


PASSED, FAILED = LegResult(JobState.SUCCESS), LegResult(JobState.FAILURE)
SKIPPED, LOST, CANCELLED = LegResult(JobState.SKIPPED), LegResult(JobState.LOST), LegResult(JobState.CANCELLED)
TOLERATED = LegResult(JobState.FAILURE, tolerated=True)
GITHUB: Mapping[str, Any] = {"ref": "refs/heads/main"}


def job(ident: str, *needs: str, base: str = "", condition: str | None = None, **more: Any) -> JobPlan:
    when = Template(condition, 7, 9) if condition is not None else None
    return JobPlan(id=ident, base=base or ident, name=more.pop("name", ident), line=1, column=1, needs=needs, condition=when, **more)


def graph(*jobs: JobPlan) -> Graph:
    return Graph(Plan(name="ci", file="ci.yml", jobs=jobs))


def runs(condition: str | None, results: Results, *, needs: tuple[str, ...] = ("a",), cancelling: bool = False) -> bool:
    jobs = [job(base, *(("a",) if base == "b" else ())) for base in results]
    last = job("z", *needs, condition=condition)
    return should_run(last, graph(*jobs, last), results, GITHUB, cancelling=cancelling)


@pytest.mark.parametrize(
    ("legs", "word"),
    [
        ([PASSED], "success"),
        ([PASSED, FAILED, CANCELLED], "failure"),
        ([PASSED, CANCELLED], "cancelled"),
        ([LOST], "failure"),
        ([TOLERATED, PASSED], "success"),
        ([LegResult(JobState.LOST, tolerated=True)], "failure"),
        ([SKIPPED], "skipped"),
    ],
)
def test_the_legs_of_a_job_have_one_result(legs: list[LegResult], word: str) -> None:
    assert result_of(legs) == word


def test_outputs_of_legs_are_merged_and_an_empty_one_is_unset() -> None:
    first = LegResult(JobState.SUCCESS, outputs={"a": "1", "b": "1", "c": ""})
    second = LegResult(JobState.FAILURE, outputs={"a": "2", "b": ""})

    assert needs_context(job("z", "t"), {"t": [first, second], "other": [PASSED]}) == {
        "t": {"result": "failure", "outputs": {"a": "2", "b": "1"}}
    }


def test_without_an_if_a_job_runs_when_all_before_it_succeeded() -> None:
    assert runs(None, {"a": [PASSED]})
    assert runs(None, {"a": [TOLERATED]})
    assert runs(None, {}, needs=())
    assert not runs(None, {"a": [FAILED]})
    assert not runs(None, {"a": [SKIPPED]})
    assert not runs(None, {"a": [LOST]})
    assert not runs(None, {"a": [PASSED, CANCELLED]})


def test_a_skip_reaches_past_a_job_that_ran_always() -> None:
    assert not runs(None, {"a": [SKIPPED], "b": [PASSED]}, needs=("b",))
    assert not runs("github.ref != ''", {"a": [FAILED], "b": [PASSED]}, needs=("b",))
    assert runs("always()", {"a": [SKIPPED], "b": [PASSED]}, needs=("b",))
    assert runs("failure()", {"a": [FAILED], "b": [SKIPPED]}, needs=("b",))
    assert runs("!cancelled() && needs.b.result == 'success'", {"a": [SKIPPED], "b": [PASSED]}, needs=("b",))


@pytest.mark.parametrize(
    ("condition", "state", "verdict"),
    [
        ("success()", PASSED, True),
        ("failure()", PASSED, False),
        ("failure()", FAILED, True),
        ("failure()", LOST, True),
        ("failure()", TOLERATED, False),
        ("failure()", CANCELLED, False),
        ("always()", CANCELLED, True),
        ("github.ref == 'refs/heads/main'", PASSED, True),
        ("github.ref == 'refs/heads/main'", FAILED, False),
        ("${{ github.ref == 'refs/heads/dev' }}", PASSED, False),
        ("needs.a.result == 'failure' && failure()", FAILED, True),
        ("needs.a.result == 'failure'", FAILED, False),
        ("inputs.x || vars.y", PASSED, False),
        ("false", PASSED, False),
        ("", PASSED, True),
        ("${{ false }} is a text", PASSED, True),
        ("failure('a')", FAILED, True),
        ("success('A')", PASSED, True),
        ("failure('other')", FAILED, False),
    ],
)
def test_an_if_decides(condition: str, state: LegResult, verdict: bool) -> None:
    assert runs(condition, {"a": [state]}) is verdict


def test_when_the_run_is_cancelled_only_always_and_cancelled_go_on() -> None:
    assert not runs(None, {"a": [PASSED]}, cancelling=True)
    assert not runs("success()", {"a": [PASSED]}, cancelling=True)
    assert not runs("github.ref != ''", {"a": [PASSED]}, cancelling=True)
    assert runs("always()", {"a": [CANCELLED]}, cancelling=True)
    assert runs("cancelled()", {"a": [PASSED]}, cancelling=True)
    assert not runs("cancelled()", {"a": [CANCELLED]})
    assert not runs("!cancelled()", {"a": [PASSED]}, cancelling=True)


def test_an_if_that_cannot_be_evaluated_is_told_with_its_place() -> None:
    with pytest.raises(SparkiError) as caught:
        runs("fromJSON('{')", {"a": [PASSED]})

    (problem,) = caught.value.problems
    assert (problem.code, str(problem.at)) == ("condition_failed", "ci.yml:7:9")
    assert "job 'z'" in problem.message


def test_inputs_and_variables_are_seen_by_an_if() -> None:
    one = job("z", condition="inputs.go && vars.also == 'yes'")

    assert should_run(one, graph(one), {}, GITHUB, inputs={"go": True}, variables={"also": "yes"})
    assert not should_run(one, graph(one), {}, GITHUB, inputs={"go": False}, variables={"also": "yes"})


def test_a_name_that_waited_is_computed_from_what_the_needs_gave() -> None:
    waiting = job(
        "p-1", "v", base="p", name="publish ${{ needs.v.outputs.n }} on ${{ matrix.os }}", matrix={"os": "x"}, deferred=("needs.v",)
    )
    contexts = {"github": GITHUB, "inputs": {}, "vars": {}, "needs": {"v": {"result": "success", "outputs": {"n": "1.2"}}}}

    assert display_name(waiting, contexts) == "publish 1.2 on x"
    assert display_name(job("a", name="${{ not computed }}"), contexts) == "${{ not computed }}"
    assert display_name(job("a", name="${{ needs.v.outputs.none }}", deferred=("needs.v",)), contexts) == "a"
    assert display_name(job("a", name="${{ fromJSON(needs.v.outputs.n) }} ${{ fromJSON('{') }}", deferred=("needs.v",)), contexts) == "a"


def test_selected_jobs_come_with_all_that_they_need_in_the_plans_order() -> None:
    jobs = (job("a"), job("b", "a"), job("c"), job("t-1", "b", base="t"), job("t-2", "b", base="t"))
    plan = Plan(name="ci", file="ci.yml", jobs=jobs, env=(("A", Template("b")),))

    assert [found.id for found in select_jobs(plan, ["t-2"]).jobs] == ["a", "b", "t-2"]
    assert [found.id for found in select_jobs(plan, ["t", "c"]).jobs] == ["a", "b", "c", "t-1", "t-2"]
    assert select_jobs(plan, ["c"]).env == plan.env


def test_an_unknown_job_is_told_with_a_guess() -> None:
    plan = Plan(name="ci", file="ci.yml", jobs=(job("build"), job("test-3.12", base="test")))

    with pytest.raises(SparkiError) as caught:
        select_jobs(plan, ["biuld", "build", "xyz"])

    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [
        ("no_such_job", "did you mean 'build'?"),
        ("no_such_job", "jobs: build, test"),
    ]


def test_a_long_circle_is_found_and_named_whole() -> None:
    text = "on: push\njobs:\n" + "".join(f"  j{n}: {{runs-on: x, needs: j{(n + 1) % 300}, steps: [{{run: a}}]}}\n" for n in range(300))

    with pytest.raises(SparkiError) as caught:
        read(text.encode(), "ci.yml")

    first = caught.value.problems[0]
    assert (first.code, len(first.message.split(" needs "))) == ("needs_cycle", 301)
    assert [problem.code for problem in caught.value.problems].count("needs_cycle") == 100
    assert caught.value.problems[-1].message == "and 200 more"


def test_of_very_many_unknown_needs_the_first_hundred_have_a_suggestion() -> None:
    at = Position("ci.yml", 1, 1)
    jobs = [JobSource(id=f"job{number}", at=at, needs=(Name(f"jbo{number}", at),)) for number in range(3000)]

    found = list(graph_problems(jobs))

    assert len(found) == 3000
    assert all(problem.hint.startswith("did you mean") for problem in found[:100])
    assert not any(problem.hint for problem in found[100:])
