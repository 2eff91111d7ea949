"""`sparki retry --from-step`: a failed job goes on in its kept workspace, by a real daemon."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from death_bench import Bench

WORKFLOW = """\
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    outputs: {{all: "${{{{ steps.one.outputs.word }}}}-${{{{ steps.last.outputs.word }}}}"}}
    steps:
      - uses: actions/checkout@v4
      - id: one
        name: Make
        run: |
          echo once >> {side}/made
          echo made > made
          mkdir -p tools && printf '#!/bin/sh\\necho tool\\n' > tools/mine && chmod +x tools/mine
          echo "word=first" >> $GITHUB_OUTPUT
          echo "KEPT=by the first" >> $GITHUB_ENV
          echo "$PWD/tools" >> $GITHUB_PATH
      - id: two
        name: Try
        run: |
          echo "LATE=never" >> $GITHUB_ENV
          echo try >> {side}/tried
          touch {side}/trying; {wait}
          test -f {side}/good && cat made && mine && echo "$KEPT$LATE" && test "$PWD" = "$(cat {side}/pwd)"
      - id: last
        run: echo "word=last" >> $GITHUB_OUTPUT
      - if: always()
        run: pwd > {side}/pwd
  after:
    needs: build
    runs-on: ubuntu-latest
    steps: [{{run: "echo ${{{{ needs.build.outputs.all }}}} > {side}/after"}}]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.write_workflow(WORKFLOW.format(side=made.side, wait=":"))
    yield made
    made.end()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_failed_job_goes_on_at_its_failed_step_as_the_steps_before_have_left_it(bench: Bench) -> None:
    assert bench.sparki("run", "-q", ok=False).returncode == 1
    (bench.side / "good").touch()
    done = bench.sparki("retry", "latest", "--from-step")

    assert "".join(f"build │ {text}\n" for text in ("made", "tool", "by the first")) in done.stdout
    assert (lines(bench.side / "made"), lines(bench.side / "tried")) == (1, 2)
    assert (bench.side / "after").read_text() == "first-last\n"
    build = bench.show()["jobs"][0]
    assert (build["status"], build["attempt"], build["outputs"]) == ("success", 2, {"all": "first-last"})
    assert [step["status"] for step in build["steps"]] == ["success"] * 5
    assert build["steps"][1]["reason"] == "done in attempt 1"
    bench.until(lambda: not bench.left_folders() and not os.listdir(bench.home / "kept"), "the end of the folders")


def test_it_may_fail_again_and_a_step_before_may_be_named(bench: Bench) -> None:
    bench.sparki("run", "-q", ok=False)
    assert bench.sparki("retry", "latest", "--from-step", "-q", ok=False).returncode == 1
    (bench.side / "good").touch()
    bench.sparki("retry", "latest", "--from-step", "--step", "Make", "-q")

    assert (lines(bench.side / "made"), lines(bench.side / "tried")) == (2, 3)
    assert bench.show()["jobs"][0]["attempt"] == 3


def test_what_cannot_go_on_is_refused_and_said_why(bench: Bench) -> None:
    bench.sparki("run", "-q", ok=False)
    run = bench.show()["id"]
    wrong = bench.sparki("retry", run, "--from-step", "--step", "Mkae", ok=False)
    assert (wrong.returncode, "did you mean 'Make'" in wrong.stderr) == (5, True)
    assert bench.sparki("retry", run, "--from-step", "--step", "last", ok=False).returncode == 5

    shutil.rmtree(bench.home / "kept")
    gone = bench.sparki("retry", run, "--from-step", ok=False)
    assert gone.returncode == 2
    assert "the workspace of job 'build' is not there any more" in gone.stderr
    assert f"sparki retry {run} --failed" in gone.stderr
    assert bench.show()["attempt"] == 1

    (bench.side / "good").touch()
    (bench.side / "pwd").unlink()
    bench.write_workflow("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}")
    bench.sparki("run", "-q")
    well = bench.sparki("retry", "latest", "--from-step", ok=False)
    assert (well.returncode, "every job of run" in well.stderr) == (2, True)


def test_a_workspace_of_a_job_that_knew_secrets_is_not_kept(bench: Bench) -> None:
    bench.write_workflow("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ::add-mask::sesame; false'}]}}")
    bench.sparki("run", "-q", ok=False)
    refused = bench.sparki("retry", "latest", "--from-step", ok=False)
    assert refused.returncode == 2
    assert "was not kept: the job was given secrets, or hid a value" in refused.stderr
    assert not [path for path in bench.home.glob("kept/*") if path.is_dir()]


def test_whoever_changed_the_workflow_is_told_that_the_attempt_goes_by_the_runs_own(bench: Bench) -> None:
    bench.sparki("run", "-q", ok=False)
    (bench.side / "good").touch()
    bench.write_workflow("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}")
    assert "is not the run's own, by which this attempt goes" in bench.sparki("retry", "latest", "--from-step").stderr
    assert [job["id"] for job in bench.show()["jobs"]] == ["build", "after"]


@pytest.mark.parametrize("victims", ["engine", "runner"])
def test_a_kill_in_between_runs_no_step_twice_in_an_attempt(bench: Bench, victims: str) -> None:
    bench.write_workflow(WORKFLOW.format(side=bench.side, wait=f"while [ -f {bench.side}/hold ]; do sleep 0.05; done"))
    bench.sparki("run", "-q", ok=False)
    (bench.side / "good").touch()
    (bench.side / "trying").unlink()
    (bench.side / "hold").touch()
    run = json.loads(bench.sparki("retry", "latest", "--from-step", "--detach", "--json").stdout)["run"]
    bench.until((bench.side / "trying").exists, "the step")
    bench.kill(victims)
    (bench.side / "hold").unlink()
    bench.until(lambda: bench.show(run)["status"] in ("success", "lost"), "the end")

    shown = bench.show(run)
    assert shown["status"] == ("success" if victims == "engine" else "lost")
    assert (lines(bench.side / "made"), lines(bench.side / "tried")) == (1, 2)
    bench.check_journal(run, shown)
    if victims == "runner":
        assert "was not kept: it was lost with its runner" in bench.sparki("retry", run, "--from-step", ok=False).stderr
