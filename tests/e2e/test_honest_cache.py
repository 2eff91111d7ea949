"""Whether what jobs declare of their caches is true: real runs, really traced, really run twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from death_bench import Bench

WORKFLOW = """\
name: ci
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    outputs: {said: "${{ steps.say.outputs.said }}"}
    steps:
      - uses: actions/checkout@v4
      - id: say
        run: |
          SCRIPT
"""
SETTINGS = """\
pipelines: {ci: {cache: {test: {inputs: ["src/a", "tools/**"], outputs: ["out/**"]}}}}
"""
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")


class Shop(Bench):
    def runs(self, script: str) -> None:
        for name in ("src/a", "src/b", "src/c", "tools/t"):
            path = self.repo / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{name}\n")
        (self.repo / "tools/go").write_text("#!/bin/sh\ncat src/b\n")
        (self.repo / "tools/go").chmod(0o755)
        (self.repo / "sparki.yml").write_text(SETTINGS)
        self.write_workflow(WORKFLOW.replace("SCRIPT", script))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.end()


@needs_strace
def test_a_file_that_is_read_and_not_declared_is_named(shop: Shop) -> None:
    shop.runs("cat src/a; cd src; cat c; cd ..; ./tools/go; stat src/b; exit 0")
    done = shop.sparki("run", "-q", "--check-inputs", ok=False)

    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if line.startswith("job ")]
    assert told == [f"job 'test' read src/{name}, which its cache does not declare" for name in "bc"]
    assert shop.json("cache", "ls")["entries"] == []


@needs_strace
def test_a_declaration_that_is_true_passes_and_a_look_is_no_read(shop: Shop) -> None:
    shop.runs("cat src/a tools/t; stat src/b; mkdir out; echo x > out/x; cat out/x")
    shop.sparki("run", "-q")
    done = shop.sparki("run", "-q", "--check-inputs", "--json")

    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["kind"], last["data"]["files"], last["data"]["note"]) == ("cache.undeclared", [], None)
    assert not shop.json("show", "latest")["jobs"][0]["cached"]


@needs_strace
def test_a_traced_step_keeps_its_exit_code_and_may_leave_processes(shop: Shop) -> None:
    shop.runs("cat src/a; sleep 600 & exit 3")
    shop.sparki("run", "-q", "--check-inputs", ok=False)

    (job,) = shop.json("show", "latest")["jobs"]
    assert (job["status"], job["steps"][1]["exit_code"]) == ("failure", 3)


def test_without_a_tracer_it_says_so_and_runs_nothing(shop: Shop) -> None:
    shop.runs("cat src/a")
    tools = shop.side / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name in ("git", "bash", "sh", "cat", "python3"):
        (tools / name).symlink_to(str(shutil.which(name)))
    shop.env["PATH"] = str(tools)
    done = shop.sparki("run", "--check-inputs", ok=False)

    assert done.returncode == 2
    assert "there is no 'strace' in PATH" in done.stderr
    assert shop.json("runs")["runs"] == []


def test_what_differs_between_two_runs_is_shown(shop: Shop) -> None:
    shop.runs('mkdir out; echo same > out/same; (echo top; pwd) > out/where; echo "said=$(date +%s)" >> "$GITHUB_OUTPUT"')
    done = shop.sparki("run", "-q", "--check-reproducible", ok=False)

    assert done.returncode == 1
    assert "job 'test': output said was '" in done.stdout
    assert "job 'test': out/where differs in line 2: '/" in done.stdout
    assert "out/same" not in done.stdout
    assert len(shop.json("runs")["runs"]) == 2


def test_what_is_the_same_twice_passes(shop: Shop) -> None:
    shop.runs("mkdir out; cat src/a > out/a; ln -s a out/link")
    done = shop.sparki("run", "--check-reproducible")
    assert "1 job with a cache gave the same twice" in done.stdout + done.stderr
