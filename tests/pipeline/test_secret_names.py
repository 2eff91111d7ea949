"""Which secrets a job reads, told from its plan alone."""

from __future__ import annotations

import pytest

from sparki_daemon.model.plan import Plan
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.secret_names import EVERY, secrets_of, secrets_of_plan


def planned(text: str) -> Plan:
    return plan(read(text.encode(), "ci.yml"), github={}, inputs={}, variables={})


def of_step(step: str) -> frozenset[str]:
    return secrets_of_plan(planned(f"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - {step}\n"))


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("run: echo", set()),
        ("run: echo secrets.A is no expression", set()),
        ("run: echo ${{ secrets.a }} ${{ Secrets['B'] }}", {"A", "B"}),
        ("run: echo ${{ format('{0}', secrets.A || secrets.B) }}", {"A", "B"}),
        ("{run: x, env: {X: '${{ secrets.A }}'}}", {"A"}),
        ("{run: x, name: '${{ secrets.A }}'}", {"A"}),
        ("{run: x, working-directory: '${{ secrets.A }}'}", {"A"}),
        ("{uses: actions/cache@v4, with: {key: '${{ secrets.A }}', path: x}}", {"A"}),
        ("run: echo ${{ toJSON(secrets) }}", {EVERY}),
        ("run: echo ${{ secrets[env.WHICH] }}", {EVERY}),
        ("run: gh --token ${{ github.token }}", {"GITHUB_TOKEN"}),
        ("run: echo ${{ github.sha }} 'secrets'", set()),
    ],
)
def test_a_step_reads_what_its_expressions_name(step: str, names: set[str]) -> None:
    assert of_step(step) == names


def test_a_job_reads_what_its_workflow_and_its_own_keys_do_and_no_other_jobs() -> None:
    made = planned("""\
on: push
env: {ALL: "${{ secrets.ROOT }}"}
jobs:
  a:
    runs-on: ubuntu-latest
    env: {MINE: "${{ secrets.OWN }}"}
    outputs: {o: "${{ secrets.OUT }}"}
    steps: [{run: x}]
  b:
    runs-on: ubuntu-latest
    steps: [{run: x}]
""")

    assert [secrets_of(made, job) for job in made.jobs] == [{"ROOT", "OWN", "OUT"}, {"ROOT"}]
