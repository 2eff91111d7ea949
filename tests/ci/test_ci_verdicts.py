"""`sparki ci` comes to what `sparki run` comes to: job by job, step by step, output by output."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ci_repository import Repository

WORKFLOWS = {
    "outputs": """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            outputs: {word: "${{ steps.s.outputs.word }}", list: "${{ steps.s.outputs.list }}"}
            steps:
              - id: s
                run: |
                  echo word=one >> $GITHUB_OUTPUT
                  echo 'list=["x", "y"]' >> $GITHUB_OUTPUT
          late:
            needs: a
            strategy: {matrix: {n: "${{ fromJSON(needs.a.outputs.list) }}"}}
            runs-on: ubuntu-latest
            steps: [{run: "test '${{ matrix.n }}' != '' -a '${{ needs.a.outputs.word }}' = one"}]
    """,
    "matrix": """
        on: push
        jobs:
          legs:
            strategy: {fail-fast: false, max-parallel: 1, matrix: {n: [1, 2, 3], exclude: [{n: 3}], include: [{n: 4}]}}
            runs-on: ubuntu-latest
            steps: [{run: "exit ${{ matrix.n == 2 && 5 || 0 }}"}]
          after: {needs: legs, runs-on: ubuntu-latest, steps: [{run: exit 0}]}
          anyway:
            needs: legs
            if: ${{ !cancelled() }}
            runs-on: ubuntu-latest
            steps: [{run: "test ${{ needs.legs.result }} = failure"}]
    """,
    "tolerated": """
        on: push
        jobs:
          soft: {continue-on-error: true, runs-on: ubuntu-latest, steps: [{run: exit 1}]}
          steps:
            needs: soft
            runs-on: ubuntu-latest
            steps:
              - {id: x, continue-on-error: true, run: exit 7}
              - {if: steps.x.outcome == 'failure', run: "true"}
              - {if: failure(), run: "true"}
    """,
    "skipped": """
        on: push
        jobs:
          no: {if: false, runs-on: ubuntu-latest, steps: [{run: exit 1}]}
          after: {needs: no, runs-on: ubuntu-latest, steps: [{run: exit 1}]}
          elsewhere: {runs-on: windows-latest, steps: [{run: exit 1}]}
    """,
    "folded": """
        on: push
        jobs:
          bad: {runs-on: ubuntu-latest, steps: [{run: exit 1}]}
          legs: {needs: bad, name: "on ${{ matrix.n }}", runs-on: ubuntu-latest, strategy: {matrix: {n: [1, 2]}}, steps: [{run: "true"}]}
    """,
    "artifacts": """
        on: push
        jobs:
          up: {runs-on: ubuntu-latest, steps: [{run: echo hi > f}, {uses: actions/upload-artifact@v4, with: {name: out, path: f}}]}
          down: {needs: up, runs-on: ubuntu-latest, steps: [{uses: actions/download-artifact@v4, with: {name: out}}, {run: grep hi f}]}
    """,
    "broken": """
        on: push
        jobs:
          bad: {runs-on: ubuntu-latest, outputs: {x: "${{ fromJSON('{') }}"}, steps: [{run: "true"}]}
          shell: {runs-on: ubuntu-latest, steps: [{run: "false", shell: bash}, {run: "true"}]}
    """,
}

TIMEOUT = """
on: push
jobs:
  step:
    runs-on: ubuntu-latest
    steps: [{timeout-minutes: 1, run: "trap 'exit 1' INT; sleep 600 & wait"}, {if: always(), run: "true"}]
  job:
    runs-on: ubuntu-latest
    timeout-minutes: 1
    steps: [{run: exec sleep 600}, {if: always(), run: "true"}]
"""


def told(repository: Repository, *words: str, patience_s: float = 50) -> tuple[int, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The exit code, how each job ended, and how each step did."""
    done = repository.sparki(*words, "--json", patience_s=patience_s)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    ends = [event["data"] for event in events if event["kind"] == "job.finished"]
    steps = [event["data"] for event in events if event["kind"] == "step.finished"]
    assert events[-1]["kind"] == "run.finished", done.stderr
    return (
        done.returncode,
        sorted((end["job"], end["status"], end["reason"], end["tolerated"], sorted(end["outputs"].items())) for end in ends),
        sorted((step["job"], step["step"], step["outcome"], step["conclusion"], step["exit_code"], step["reason"]) for step in steps),
    )


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_ci_and_run_come_to_the_same(repository: Repository, name: str) -> None:
    lines = WORKFLOWS[name].strip("\n").splitlines()
    repository.workflow(name, "\n".join(line[8:] for line in lines) + "\n")
    repository.commit()
    mine = told(repository, "ci", name)
    assert mine == told(repository, "run", name)
    assert mine[1], "no job ended: the comparison says nothing"


def test_what_run_refuses_ci_refuses_with_the_same_words(repository: Repository) -> None:
    repository.workflow(
        "bad", "on: push\njobs:\n  a: {needs: biuld, runs-on: ubuntu-latest, steps: [{run: x}]}\n  build: {runs-on: x, steps: []}\n"
    )
    repository.commit()
    mine, other = repository.sparki("ci", "bad"), repository.sparki("run", "bad")
    assert (mine.returncode, mine.stderr) == (2, other.stderr)
    assert "bad.yml:3:" in mine.stderr
    assert list(repository.temp.iterdir()) == []


def test_events_are_those_of_run(repository: Repository) -> None:
    repository.workflow("ci", "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: echo hi}]}}\n")
    repository.commit()
    kinds = [[json.loads(line)["kind"] for line in repository.sparki(word, "--json").stdout.splitlines()] for word in ("ci", "run")]
    assert sorted(kinds[0]) == sorted(kinds[1])


def test_a_matrix_that_is_skipped_is_one_line_with_its_name_as_written(repository: Repository) -> None:
    repository.workflow("ci", "\n".join(line[8:] for line in WORKFLOWS["folded"].strip("\n").splitlines()) + "\n")
    repository.commit()
    done = repository.sparki("ci")
    assert [line for line in done.stdout.splitlines() if "skipped" in line] == ["on ${{ matrix.n }}: skipped"]


@pytest.mark.slow
def test_ci_and_run_come_to_the_same_when_time_is_up(repository: Repository) -> None:
    repository.workflow("timeout", TIMEOUT)
    repository.commit()
    with ThreadPoolExecutor() as both:
        mine, its = both.map(lambda word: told(repository, word, "timeout", patience_s=300), ("ci", "run"))
    assert mine == its
    assert {(job, status, reason) for job, status, reason, *_ in mine[1]} == {("step", "failure", ""), ("job", "cancelled", "timed_out")}
