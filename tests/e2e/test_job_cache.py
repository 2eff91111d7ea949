"""The job cache with the real daemon: what is the same is restored and says so, what changed runs and says why."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from death_bench import Bench

WORKFLOW = """\
name: ci
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    outputs:
      size: ${{ steps.count.outputs.size }}
    steps:
      - uses: actions/checkout@v4
      - id: count
        run: |
          echo "building for $GREETING"; date +%N >> "$BOOK/build"
          mkdir -p out; cat src/* > out/all.txt; ln -s all.txt out/link
          echo "size=$(wc -c < out/all.txt)" >> "$GITHUB_OUTPUT"
          echo "# Built" >> "$GITHUB_STEP_SUMMARY"
      - uses: actions/upload-artifact@v4
        with: {name: all, path: out/all.txt}
  test:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          echo "testing ${{ needs.build.outputs.size }}"; date +%N >> "$BOOK/test"
  use:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - uses: actions/download-artifact@v4
        with: {name: all, path: got}
      - run: cat got/all.txt
"""
SETTINGS = """\
pipelines:
  ci:
    cache:
      build: {inputs: ["src/**"], outputs: ["out/**"], tools: [python3]}
      test: {inputs: ["src/**", "tests/**"]}
"""


class Shop(Bench):
    """A bench whose jobs keep book of each time that they really ran."""

    def setup(self) -> Shop:
        for name, text in {"src/a": "a\n", "tests/t": "t\n", "other": "o\n", "sparki.yml": SETTINGS}.items():
            path = self.repo / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.write_workflow(WORKFLOW.replace("$BOOK", str(self.side)))
        return self

    def ran(self, job: str) -> int:
        path = self.side / job
        return len(path.read_text().splitlines()) if path.exists() else 0

    def jobs_of(self, run: str = "latest") -> dict[str, dict]:
        return {job["id"]: job for job in self.show(run)["jobs"]}

    greeting = "you"

    def run_it(self, *words: str) -> dict[str, dict]:
        self.sparki("run", "-q", "--env", f"GREETING={self.greeting}", *words)
        return self.jobs_of()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path).setup()
    yield made
    made.end()


def test_what_is_the_same_is_restored_whole_and_says_so(shop: Shop) -> None:
    first = shop.run_it()
    done = shop.sparki("run", "--env", "GREETING=you")
    second = shop.jobs_of()

    assert (shop.ran("build"), shop.ran("test")) == (1, 1)
    assert [second[job]["cached"] for job in ("build", "test", "use")] == [True, True, False]
    assert "✓ build: success, cached\n" in done.stdout
    assert second["build"]["outputs"] == first["build"]["outputs"] == {"size": "2"}
    assert second["build"]["summary"] == "# Built\n"
    assert shop.sparki("logs", "latest", "build").stdout == shop.sparki("logs", first_run(shop), "build").stdout
    assert "a\n" in shop.sparki("logs", "latest", "use").stdout  # the artifact was there
    assert [step["conclusion"] for step in second["build"]["steps"]] == ["success"] * 3


def first_run(shop: Shop) -> str:
    return str(shop.json("runs")["runs"][-1]["id"])


@pytest.mark.parametrize(
    ("change", "reruns", "why"),
    [
        (lambda shop: (shop.repo / "src/b").write_text("b\n"), {"build", "test"}, "src/b is new"),
        (lambda shop: (shop.repo / "src/a").write_text("A\n"), {"build", "test"}, "src/a was changed"),
        (lambda shop: (shop.repo / "tests/t").write_text("T\n"), {"test"}, "tests/t was changed"),
        (lambda shop: (shop.repo / "other").write_text("O\n"), set(), ""),
        (lambda shop: setattr(shop, "greeting", "all"), {"build", "test"}, "env of the workflow was changed"),
    ],
    ids=["new file", "changed file", "file of one job", "file of none", "variable"],
)
def test_what_changed_runs_again_and_says_why(shop: Shop, change, reruns: set[str], why: str) -> None:
    shop.run_it()
    before = first_run(shop)
    change(shop)
    told = shop.sparki("run", "-q", "--explain", "--env", f"GREETING={shop.greeting}").stdout
    jobs = shop.jobs_of()

    assert {job for job in ("build", "test") if not jobs[job]["cached"]} == reruns
    for job in reruns:
        assert jobs[job]["cache"]["against"] == before
    if why:
        (job,) = [job for job in sorted(reruns) if why in " ".join(jobs[job]["cache"]["why"])][:1]
        assert f"  {job}: ran: " in told
        assert f"{why}" in told
    else:
        assert f"build: from the cache: nothing has changed since {before}" in told


def test_a_changed_command_runs_again(shop: Shop) -> None:
    shop.run_it()
    text = (shop.repo / ".github/workflows/ci.yml").read_text()
    shop.write_workflow(text.replace("building for", "making for"))
    jobs = shop.run_it()

    assert not jobs["build"]["cached"]
    assert jobs["build"]["cache"]["why"] == ["step 2 was changed"]


def test_no_cache_restores_and_keeps_nothing(shop: Shop) -> None:
    shop.run_it("--no-cache")
    assert shop.json("cache", "ls")["entries"] == []
    shop.run_it()
    shop.run_it("--no-cache")

    assert shop.ran("build") == 3


def test_a_job_that_reads_a_secret_is_never_cached(shop: Shop) -> None:
    text = (shop.repo / ".github/workflows/ci.yml").read_text()
    shop.write_workflow(
        text.replace(
            '        run: |\n          echo "building', '        env: {T: "${{ secrets.TOKEN }}"}\n        run: |\n          echo "building'
        )
    )
    shop.env["TOKEN"] = "hush-hush-token"
    for _ in range(2):
        shop.run_it("--secret", "TOKEN")

    assert shop.ran("build") == 2
    assert shop.jobs_of()["build"]["cache"]["why"] == ["it reads secrets.TOKEN, and what reads secrets is never kept"]
    assert {entry["job"] for entry in shop.json("cache", "ls")["entries"]} == {"test"}


def test_a_job_that_failed_is_not_kept(shop: Shop) -> None:
    text = (shop.repo / ".github/workflows/ci.yml").read_text()
    shop.write_workflow(text.replace("mkdir -p out;", "exit 1;"))
    for _ in range(2):
        shop.sparki("run", "-q", ok=False)

    assert shop.ran("build") == 2


def test_declared_files_are_put_into_the_working_tree_when_asked(shop: Shop) -> None:
    (shop.repo / ".gitignore").write_text("out/\n")
    shop.run_it("--outputs")
    assert (shop.repo / "out/all.txt").read_text() == "a\n"
    (shop.repo / "out/all.txt").unlink()
    jobs = shop.run_it("--outputs")

    assert jobs["build"]["cached"]
    assert (shop.repo / "out/all.txt").read_text() == "a\n"
    assert os.readlink(shop.repo / "out/link") == "all.txt"


def test_a_damaged_entry_is_no_hit_and_is_told(shop: Shop) -> None:
    shop.run_it()
    for log in (shop.home / "cache").rglob("log"):
        content = log.read_bytes()
        log.unlink()
        log.write_bytes(b"X" + content[1:])
    jobs = shop.run_it()

    assert not jobs["build"]["cached"]
    assert "its log is not what was kept" in jobs["build"]["cache"]["why"][0]
    assert shop.run_it()["build"]["cached"]


def test_two_runs_that_fill_one_entry_at_once_both_succeed(shop: Shop) -> None:
    threads = [threading.Thread(target=shop.sparki, args=("run", "-q")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {run["status"] for run in shop.json("runs")["runs"]} == {"success"}
    assert sorted(entry["job"] for entry in shop.json("cache", "ls")["entries"]) == ["build", "test"]


def test_results_that_take_too_much_go_and_are_named(shop: Shop) -> None:
    (shop.repo / "sparki.yml").write_text(SETTINGS + "cache: {max_size: 1 B}\n")
    shop.run_it()
    shop.until(lambda: [event for event in shop.events() if event["kind"] == "cache.evicted"], "an eviction")

    gone = [entry["job"] for event in shop.events() if event["kind"] == "cache.evicted" for entry in event["data"]["entries"]]
    assert sorted(gone) == ["build", "test"]
    assert shop.json("cache", "ls")["limit"] == 1


def test_prune_lets_go_what_was_used_longest_ago(shop: Shop) -> None:
    shop.run_it()
    (shop.repo / "src/b").write_text("b\n")
    shop.run_it()
    sizes = {entry["run"]: entry["bytes"] for entry in shop.json("cache", "ls")["entries"]}
    assert len(sizes) == 2
    gone = json.loads(shop.sparki("cache", "prune", "--all", "--json").stdout)["evicted"]

    assert len(gone) == 4
    assert shop.json("cache", "ls")["entries"] == []
    assert shop.sparki("cache", "prune", "--max-size", "much", ok=False).returncode == 2


@pytest.mark.parametrize("victims", ["runner", "engine", "all"])
def test_a_kill_while_results_are_kept_leaves_no_half_of_one(shop: Shop, victims: str) -> None:
    follower = shop.follower()
    shop.until(lambda: shop.ran("build"), "the build")
    time.sleep(0.01)
    shop.kill(victims)
    follower.ends()
    shop.env["SPARKI_HOME"] = str(shop.home)
    jobs = shop.run_it()
    assert {job["status"] for job in jobs.values()} == {"success"}
    assert jobs["build"]["outputs"] == {"size": "2"}
    assert shop.run_it()["build"]["cached"]
    os.kill(shop.until(shop.engine, "an engine"), signal.SIGKILL)
    assert shop.run_it()["test"]["cached"]


def test_wrong_declarations_are_told_with_their_place(shop: Shop) -> None:
    (shop.repo / "sparki.yml").write_text('pipelines: {ci: {cache: {biuld: {inputs: ["../x"]}}}}\n')
    told = shop.sparki("run", "--json", ok=False)

    assert told.returncode == 2
    assert json.loads(told.stdout.splitlines()[-1])["error"]["message"] in (
        "'../x' leads out of the source",
        "pipeline 'ci' has no job 'biuld'",
    )
