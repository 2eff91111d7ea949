"""Whether what jobs declare of their caches is true: real runs, really traced, really run twice."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from death_bench import PATIENCE_S, Bench

pytestmark = pytest.mark.slow  # together they take minutes

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
def test_links_are_followed_and_what_the_job_made_is_its_own(shop: Shop) -> None:
    (shop.repo / "src").mkdir(exist_ok=True)
    (shop.repo / "src/link").symlink_to("b")
    (shop.repo / "alias").symlink_to("src")
    own = "echo mine > src/c; mkdir new; echo x > new/x; cp tools/t moved; mv moved src/d; cat src/c new/x src/d"
    shop.runs(f"{own}; cat src/link alias/a")
    done = shop.sparki("run", "-q", "--check-inputs", ok=False)

    told = [line.split()[3].rstrip(",") for line in done.stdout.splitlines() if line.startswith("job ")]
    assert told == ["alias", "src/b", "src/link"]


@needs_strace
def test_folders_and_what_lies_outside_of_the_source_are_notes_and_no_fault(shop: Shop) -> None:
    (shop.side / "model.bin").write_text("weights")
    for name, text in {"bin/go": f"#!/bin/sh\ncat {shop.side}/tool/lib/data\n", "lib/data": "x"}.items():
        path = shop.side / "tool" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    nothing = f"echo x > $RUNNER_TEMP/x; cat $RUNNER_TEMP/x /etc/passwd; {shop.side}/tool/bin/go"
    shop.runs(f"ls src tools; cat {shop.side}/model.bin .git/HEAD; {nothing}")
    done = shop.sparki("run", "--check-inputs")

    notes = [line for line in done.stderr.splitlines() if line.startswith("note: job")]
    assert notes == [
        "note: job 'test' listed src: a new file there would not be noticed",
        "note: job 'test' read .git, which no cache can declare",
        f"note: job 'test' read {shop.side}/model.bin, which no cache can declare",
    ]


@needs_strace
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_job_that_is_cancelled_while_it_is_traced_tells_what_it_read_and_leaves_nobody(shop: Shop, *, stubborn: bool) -> None:
    trap = "trap '' INT TERM;" if stubborn else ""
    shop.runs(f"cat src/b; {trap} touch {shop.side}/ready; sleep {shop.marker}; sleep {shop.marker}")
    follower = shop.follower("run", "--check-inputs")
    shop.until((shop.side / "ready").exists, "the step")
    follower.process.send_signal(signal.SIGINT)
    if stubborn:
        shop.until(lambda: any("cancel" in event["kind"] for event in shop.events()), "the cancel")
        follower.process.send_signal(signal.SIGINT)
    follower.process.communicate(timeout=PATIENCE_S)

    assert follower.process.returncode == 130
    assert follower.events()[-1]["data"]["files"] == ["src/b"], follower.events()[-1]
    shop.until(lambda: not shop.strays(), "the end of what was traced")


@needs_strace
def test_a_runner_that_is_killed_while_it_traces_leaves_nobody_and_the_job_is_lost(shop: Shop) -> None:
    shop.runs(f"cat src/b; touch {shop.side}/ready; sleep {shop.marker}")
    follower = shop.follower("run", "--check-inputs")
    shop.until((shop.side / "ready").exists, "the step")
    shop.kill("runner")
    follower.process.communicate(timeout=PATIENCE_S)

    assert follower.process.returncode == 1
    assert shop.show()["status"] == "lost"
    shop.until(lambda: not shop.strays(), "the end of what was traced")


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


def test_chance_in_a_declared_file_is_shown_with_its_line(shop: Shop) -> None:
    shop.runs("mkdir out; (echo head; head -c 8 /dev/urandom | od -An -tx1) > out/id; echo ok")
    done = shop.sparki("run", "-q", "--check-reproducible", ok=False)

    assert done.returncode == 1
    assert "job 'test': out/id differs in line 2: ' " in done.stdout


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
