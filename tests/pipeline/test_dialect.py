"""The dialect of `.sparki/pipelines`: what its files may leave out or say besides, and which files are written in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparki_daemon.model.plan import Plan
from sparki_daemon.model.problem import Position, SparkiError
from sparki_daemon.pipeline.dialect import dialect_of, replaced
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.render import step_name
from sparki_daemon.pipeline.schema import Dialect

OWN, GITHUB = ".sparki/pipelines/ci.yml", ".github/workflows/ci.yml"
GOOD = Path(__file__).parent.parent / "golden" / "pipeline" / "good"
SHORT = "jobs:\n  test:\n    steps:\n      - make\n      - run: make test\n"


def planned(text: str, file: str = OWN, *, source_in_place: bool = False) -> Plan:
    return plan(read(text.encode(), file), github={"sha": "4f2c"}, source_in_place=source_in_place)


def steps(made: Plan) -> list[str]:
    return [step_name(step) for step in made.jobs[0].steps]


def told(text: str, file: str = OWN) -> list[tuple[str, Position | None]]:
    with pytest.raises(SparkiError) as caught:
        planned(text, file)
    return [(problem.code, problem.at) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("file", "dialect"),
    [
        (OWN, Dialect.SPARKI),
        (".sparki/pipelines/deep.yaml", Dialect.SPARKI),
        ("../.sparki/pipelines/ci.yml", Dialect.SPARKI),
        ("/home/ada/shop/.sparki/pipelines/ci.yml", Dialect.SPARKI),
        (GITHUB, Dialect.GITHUB),
        ("ci.yml", Dialect.GITHUB),
        (".sparki/pipelines.yml", Dialect.GITHUB),
        (".sparki/pipelines/below/ci.yml", Dialect.GITHUB),
        ("a.sparki/pipelines/ci.yml", Dialect.GITHUB),
    ],
)
def test_the_folder_of_a_file_says_its_dialect(file: str, dialect: Dialect) -> None:
    assert dialect_of(file) is dialect


def test_one_of_sparkis_files_stands_for_githubs_of_the_same_stem() -> None:
    files = [GITHUB, ".github/workflows/lint.yml", ".sparki/pipelines/ci.yaml", ".sparki/pipelines/nightly.yml"]

    assert replaced(files) == {GITHUB: ".sparki/pipelines/ci.yaml"}
    assert replaced([GITHUB, ".github/workflows/ci.yaml"]) == {}


def test_a_step_may_be_a_plain_string_with_its_place() -> None:
    made = planned("jobs:\n  test:\n    steps:\n      - make -j2 ${{ github.sha }}\n      - |\n        a\n        b\n")

    assert [(step.index, step.run.text if step.run else "", step.line, step.column) for step in made.jobs[0].steps] == [
        (0, "make -j2 ${{ github.sha }}", 4, 9),
        (1, "a\nb\n", 5, 9),
    ]
    assert steps(made) == ["Run make -j2 ${{ github.sha }}", "Run a"]


def test_numbers_and_booleans_are_commands_too_and_nothing_is_none() -> None:
    assert steps(planned("jobs: {a: {steps: [true, 7]}}")) == ["Run true", "Run 7"]
    assert told("jobs:\n  a:\n    steps:\n      -\n") == [("wrong_value", Position(OWN, 4, 8))]
    assert told("jobs:\n  a:\n    steps:\n      - ''\n") == [("wrong_value", Position(OWN, 4, 9))]


def test_expressions_in_a_plain_string_are_checked_as_in_run() -> None:
    assert told("jobs:\n  a:\n    steps:\n      - echo ${{ nope.x }}\n") == [("unknown_context", Position(OWN, 4, 18))]
    document = read(b"jobs:\n  a:\n    steps:\n      - echo ${{ steps.x.outputs.y }}\n", OWN)
    assert [(problem.code, problem.at) for problem in document.warnings] == [("unknown_step", Position(OWN, 4, 18))]


def test_without_on_a_push_a_pull_request_and_a_hand_start_it() -> None:
    document = read(SHORT.encode(), OWN)

    assert [trigger.event for trigger in document.triggers] == ["push", "pull_request", "workflow_dispatch"]
    assert [trigger.event for trigger in read(f"on: schedule\n{SHORT}".encode(), OWN).triggers] == ["schedule"]


def test_a_broken_on_is_not_taken_for_none() -> None:
    assert [at for _, at in told(f"on: pushh\n{SHORT}")] == [Position(OWN, 1, 5)]
    assert [at for _, at in told(f"on:\n{SHORT}")] == [Position(OWN, 1, 4)]


def test_what_is_sparkis_alone_githubs_files_refuse() -> None:
    codes = [code for code, _ in told(SHORT, GITHUB)]

    assert codes == ["missing_key", "missing_key", "wrong_value"]  # on, runs-on, a step that is a string
    assert "unknown_key" in [code for code, _ in told("on: push\njobs: {a: {deploy: staging}}", GITHUB)]


def test_a_job_needs_steps_a_workflow_to_call_or_an_environment() -> None:
    with pytest.raises(SparkiError) as caught:
        read(b"jobs:\n  a:\n    name: A\n", OWN)

    (problem,) = caught.value.problems
    assert (problem.code, problem.at) == ("missing_key", Position(OWN, 3, 5))
    assert "'steps'" in problem.message


def test_a_job_that_deploys_is_read_and_refused_when_it_is_to_run() -> None:
    text = "jobs:\n  test: {steps: [make]}\n  ship:\n    needs: test\n    deploy: staging\n"
    document = read(text.encode(), OWN)

    assert [(problem.code, problem.at) for problem in document.unsupported] == [("unsupported_key", Position(OWN, 5, 5))]
    assert document.warnings == ()  # no word about steps, which it has none of
    assert "not built yet" in document.unsupported[0].hint
    assert [code for code, _ in told("jobs: {a: {deploy: x, steps: [make]}}")] == ["conflicting_key"]


def test_the_source_is_in_place_before_the_first_step_where_it_is_asked_for() -> None:
    made = planned(SHORT, source_in_place=True)

    assert steps(made) == ["Get the source", "Run make", "Run make test"]
    assert [step.index for step in made.jobs[0].steps] == [0, 1, 2]
    assert (made.jobs[0].steps[0].uses, made.jobs[0].steps[0].line) == ("actions/checkout@v7", 2)


@pytest.mark.parametrize(
    ("first", "count"),
    [
        ("{uses: actions/checkout@v4}", 2),
        ("{uses: Actions/Checkout@v4, with: {fetch-depth: 0}}", 2),
        ("{uses: actions/checkout@v4, with: {path: sub}}", 3),
        ("{uses: actions/checkout@v4, with: {ref: v1}}", 3),
        ("{uses: actions/checkout@v4, if: 'false'}", 3),
        ("{uses: actions/cache@v4, with: {path: x, key: y}}", 3),
    ],
)
def test_a_job_that_begins_with_its_own_checkout_is_left_as_it_is(first: str, count: int) -> None:
    text = f"jobs:\n  a:\n    steps:\n      - {first}\n      - make\n"

    assert len(planned(text, source_in_place=True).jobs[0].steps) == count


def test_legs_of_a_matrix_that_other_jobs_decide_have_the_source_too() -> None:
    text = (
        "jobs:\n  a: {steps: [make], outputs: {m: '[1]'}}\n"
        "  b:\n    needs: a\n    strategy: {matrix: {n: '${{ fromJSON(needs.a.outputs.m) }}'}}\n    steps: [make]\n"
    )

    assert [len(job.steps) for job in planned(text, source_in_place=True).jobs] == [2, 2]


@pytest.mark.parametrize("case", sorted(GOOD.glob("*.yml")), ids=lambda case: case.stem)
def test_what_github_takes_means_the_same_in_sparkis_dialect(case: Path) -> None:
    theirs, ours = (plan(read(case.read_bytes(), case.name, dialect), github={}) for dialect in (Dialect.GITHUB, Dialect.SPARKI))

    assert ours == theirs
