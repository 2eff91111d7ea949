"""Calls of workflows, against what is called."""

from __future__ import annotations

from sparki_daemon.model.problem import Problem
from sparki_daemon.pipeline.calls import call_problems
from sparki_daemon.pipeline.reader import read

NEEDED = (
    "inputs: {input: {type: string, required: true}, n: {type: number, required: true, default: 1}, b: {type: boolean}}, "
    "secrets: {SECRET: {required: true}, o: }"
)


def called(on: str = f"{{workflow_call: {{{NEEDED}}}}}", job: str = "runs-on: x, steps: [{run: a}]", head: str = "") -> bytes:
    return f"on: {on}\n{head}jobs: {{deep: {{{job}}}}}\n".encode()


def problems(job: str, *workflows: bytes, head: str = "") -> list[Problem]:
    """Of a job `a`, from line 4 on without braces; it calls `./0`, that one `./1` and so on."""
    known = {f"./{number}": read(data, f"{number}.yml") for number, data in enumerate(workflows)}
    document = read(f"on: push\n{head or '#'}\njobs:\n  a: {{uses: ./0, {job}}}\n".encode(), "ci.yml")
    return list(call_problems(document, known.get))


def told(job: str, *workflows: bytes, head: str = "") -> list[tuple[str, str]]:
    return [(problem.code, str(problem.at)) for problem in problems(job, *workflows, head=head)]


def test_a_call_that_gives_all_that_is_asked_is_no_problem() -> None:
    assert told("with: {INPUT: a, n: 2, b: '${{ github.x }}'}, secrets: {secret: '${{ secrets.S }}'}", called()) == []
    assert told("with: {input: a}, secrets: inherit", called()) == []


def test_a_call_of_what_is_not_at_hand_is_let_be() -> None:
    assert told("with: {a: b}") == []


def test_a_missing_input_or_secret_is_told_at_the_call() -> None:
    assert told("", called()) == [("missing_input", "ci.yml:4:13"), ("missing_secret", "ci.yml:4:13")]


def test_an_input_or_secret_that_nobody_asks_for_is_told_at_its_value() -> None:
    found = problems("with: {input: a, inputs: 2}, secrets: {SECRET: a, SECRETS: b}", called())

    assert [(problem.code, problem.hint, str(problem.at)) for problem in found] == [
        ("unknown_input", "did you mean 'input'?", "ci.yml:4:43"),
        ("unknown_secret", "did you mean 'SECRET'?", "ci.yml:4:77"),
    ]


def test_an_input_must_be_of_its_type_unless_an_expression_gives_it() -> None:
    found = problems("with: {input: 1, n: '2', b: 'true'}, secrets: inherit", called())

    assert [problem.message for problem in found] == [
        "the input 'n' must be a number, not '2'",
        "the input 'b' must be true or false, not 'true'",
    ]


def test_what_no_workflow_may_call_is_told() -> None:
    assert told("", called("push")) == [("not_callable", "ci.yml:4:13")]


def test_permissions_only_shrink() -> None:
    asks = called("workflow_call", head="permissions: {contents: write, issues: read}\n")

    assert told("permissions: {contents: write, issues: write}", asks) == []
    assert told("permissions: write-all", asks) == []
    assert told("", asks, head="permissions: read-all") == [("call_needs_permissions", "ci.yml:4:3")]
    (problem,) = problems("permissions: {contents: read}", asks)
    assert "asks for contents: write, issues: read" in problem.message
    assert told("", asks) == []


def test_permissions_go_down_through_calls_that_say_nothing() -> None:
    middle = called("workflow_call", "uses: ./1")
    asks = called("workflow_call", "permissions: {issues: write}, runs-on: x, steps: [{run: a}]")

    assert told("permissions: {issues: read}", middle, asks) == [("call_needs_permissions", "0.yml:2:8")]
    assert told("permissions: {issues: write}", middle, asks) == []


def test_calls_may_go_nine_deep() -> None:
    chain = [called("workflow_call", f"uses: ./{number + 1}") for number in range(8)]
    end = called("workflow_call")

    assert told("", *chain, end) == []
    assert told("", *chain, called("workflow_call", "uses: ./9"), end) == [("calls_too_deep", "8.yml:2:21")]
    assert told("", called("workflow_call", "uses: ./0")) == [("calls_too_deep", "0.yml:2:21")]
