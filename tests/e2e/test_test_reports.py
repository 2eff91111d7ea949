"""Test reports with the real daemon: what a step's report says stands in the journal, and failing tests are named first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from death_bench import Bench

REPORT = """\
<testsuite><testcase classname="shop" name="test_buy" file="shop.py" line="4"><failure message="token hunter2secret is wrong"/></testcase>
<testcase classname="shop" name="test_pay"/></testsuite>"""
WORKFLOW = f"""\
name: ci
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    env:
      TOKEN: ${{{{ secrets.TOKEN }}}}
    steps:
      - uses: actions/checkout@v4
      - run: |
          mkdir out; cat > out/report.xml <<'END'
          {REPORT.replace(chr(10), chr(10) + " " * 10)}
          END
          exit 1
  kept:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: mkdir out; cp good.xml out/
"""
SETTINGS = "pipelines: {ci: {junit: ['out/*.xml'], cache: {kept: {inputs: [good.xml]}}}}\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    (made.repo / "good.xml").write_text('<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>')
    (made.repo / "sparki.yml").write_text(SETTINGS)
    made.write_workflow(WORKFLOW)
    yield made
    made.end()


def test_failing_tests_are_kept_masked_and_named_first_and_a_cached_jobs_come_back(bench: Bench) -> None:
    done = bench.sparki("run", "--secret-file", _secret(bench), ok=False)
    again = bench.sparki("run", "--secret-file", _secret(bench), "--json", ok=False)
    jobs = {job["id"]: job for job in bench.show("latest")["jobs"]}

    line = "✗ shop.py:4 shop test_buy: token *** is wrong"
    assert f"\n      {line}\n      Run mkdir out" in done.stdout
    assert f"  failing in test\n    {line}\n" in bench.sparki("show", "latest").stdout
    assert (jobs["test"]["tests"]["total"], jobs["test"]["tests"]["failed"]) == (2, 1)
    assert jobs["kept"]["cached"]
    assert (jobs["kept"]["tests"]["passed"], jobs["kept"]["tests"]["skipped"]) == (1, 1)
    ends = [json.loads(event)["data"] for event in again.stdout.splitlines() if '"job.finished"' in event]
    assert {end["job"]: end["tests"]["total"] for end in ends} == {"test": 2, "kept": 2}
    assert "hunter2secret" not in again.stdout


def _secret(bench: Bench) -> str:
    path = bench.side / "secrets"
    path.write_text("TOKEN=hunter2secret\n")
    return str(path)
