"""The CLI and the real daemon, as people use them: run, look, follow, cancel, retry, and the daemon dying in between."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SPARKI = str(Path(sys.executable).with_name("sparki"))

GREEN = """\
name: green
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - id: say
        name: say it
        run: |
          echo one; echo two >&2; echo "word=built" >> "$GITHUB_OUTPUT"
  test:
    needs: build
    strategy: {matrix: {n: [1, 2]}}
    runs-on: ubuntu-latest
    steps:
      - run: echo "leg ${{ matrix.n }} of ${{ needs.build.outputs.word }}"
"""
RED = """\
name: red
on: workflow_dispatch
jobs:
  fine:
    runs-on: ubuntu-latest
    steps: [{run: echo fine}]
  bad:
    runs-on: ubuntu-latest
    steps:
      - run: seq 100
      - name: break
        run: |
          for i in $(seq 30); do echo "reason $i"; done
          test -e "$HOME_FLAG" || exit 3
        env: {HOME_FLAG: FLAG}
  after:
    needs: bad
    runs-on: ubuntu-latest
    steps: [{run: echo after}]
"""
LONG = """\
name: long
on: workflow_dispatch
jobs:
  count:
    runs-on: ubuntu-latest
    steps:
      - run: for i in $(seq 200); do echo "line $i"; sleep 0.02; done
      - name: goes on
        run: for i in $(seq 5); do echo "more $i"; sleep 0.02; done
"""
STUBBORN = """\
name: stubborn
on: workflow_dispatch
jobs:
  deaf:
    runs-on: ubuntu-latest
    steps:
      - run: trap "echo heard it" INT TERM; echo ready; for i in $(seq 600); do sleep 0.1; done
      - if: always()
        run: echo always
"""


class Bench:
    """A repository and a state folder; `sparki` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repo"
        self.home = folder / "home"
        self.flag = folder / "flag"
        workflows = self.folder / ".github" / "workflows"
        workflows.mkdir(parents=True)
        for name, text in (("green", GREEN), ("red", RED.replace("FLAG}", f'"{self.flag}"}}')), ("long", LONG), ("stubborn", STUBBORN)):
            (workflows / f"{name}.yml").write_text(text)
        self.env = {**os.environ, "SPARKI_HOME": str(self.home), "LANG": "C.UTF-8"}
        who = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
        for words in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
            subprocess.run(["git", *words], cwd=self.folder, check=True)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SPARKI, *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=50, check=False)

    def start(self, *words: str) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([SPARKI, *words], cwd=self.folder, env=self.env, text=True, **streams)  # type: ignore[call-overload,no-any-return]

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        return json.loads(done.stdout)

    def events(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*words, "--json").stdout.splitlines()]

    def end(self) -> None:
        try:
            pid = json.loads((self.home / "daemon.json").read_text())["pid"]
        except FileNotFoundError:
            return
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self("daemon", "stop", "--force")
        deadline = time.monotonic() + 10
        while not has_ended(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not has_ended(pid):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)


@pytest.fixture
def sparki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("e"))
    yield bench
    bench.end()


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What is still to come on both streams; `communicate` would lose what `readline` has read ahead."""
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        out, told = process.stdout.read(), process.stderr.read()
    process.wait(30)
    return out, told


def reads_until(process: subprocess.Popen[str], line: str) -> list[str]:
    """The lines up to that one."""
    assert process.stdout is not None
    seen = [process.stdout.readline()]
    while seen[-1] != line + "\n":
        assert seen[-1], f"no '{line}' in {seen}"
        seen.append(process.stdout.readline())
    return seen


def has_ended(pid: int) -> bool:
    """Whether a process is gone, but perhaps for its parent's notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def plain(text: str) -> str:
    """Without times and ids, which differ."""
    return re.sub(r"r-[0-9a-f]+", "RUN", re.sub(r"\b\d+ms\b|\b\d+\.\d+s\b", "TIME", text))


def test_a_run_starts_the_daemon_and_shows_text_steps_jobs_and_a_summary(sparki: Bench) -> None:
    done = sparki("run", "--jobs", "1")
    assert (done.returncode, done.stderr) == (0, "")
    out = plain(done.stdout)
    for line in (
        "build  │ one",
        "build  │ two",
        "build  │ ✓ say it (TIME)",
        "✓ build: success  TIME",
        "test-1 │ leg 1 of built",
        "✓ test (2): success  TIME",
    ):
        assert line in out.splitlines(), out
    assert out.index("│ one") < out.index("│ two") < out.index("│ ✓ say it") < out.index("✓ build: success") < out.index("leg 1")
    assert out.endswith(
        "\n  ✓ build  success  TIME\n  ✓ test (1)  success  TIME\n  ✓ test (2)  success  TIME\n✓ green  success  TIME  RUN\n"
    )


def test_the_shapes_that_scripts_read_are_those_of_the_interface(sparki: Bench) -> None:
    events = sparki.events("run")
    assert all(list(event) == ["seq", "time", "stream", "kind", "data"] for event in events)
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    last = events[-1]
    assert (last["kind"], last["data"]["status"]) == ("run.finished", "success")
    run = last["data"]["run"]
    shown = sparki.json("show", run)
    assert {"id", "pipeline", "status", "source", "created", "started", "finished", "jobs"} <= shown.keys()
    job = shown["jobs"][0]
    assert {"id", "name", "status", "reason", "cached", "outputs", "started", "finished", "steps"} <= job.keys()
    assert job["outputs"] == {"word": "built"}
    assert {"id", "name", "status", "outcome", "conclusion", "exit_code", "duration_ms"} <= job["steps"][0].keys()
    lines = [json.loads(line) for line in sparki("logs", run, "build", "--json").stdout.splitlines()]
    assert all({"job", "step", "line", "time", "text"} <= line.keys() for line in lines)
    assert [line["text"] for line in lines if line["text"] in ("one", "two")] == ["one", "two"]
    assert [listed["id"] for listed in sparki.json("runs")["runs"]] == [run]
    started = [json.loads(line) for line in sparki("run", "--detach", "--json").stdout.splitlines()]
    assert [list(line) for line in started] == [["run", "pipeline"]]
    status = sparki.json("daemon", "status")
    assert {"version", "socket", "state", "processes", "queues"} <= status.keys()
    assert {"supervisor", "engine", "loco", "runners"} <= status["processes"].keys()


def test_a_red_run_ends_with_the_lines_that_say_why_and_is_retried(sparki: Bench) -> None:
    done = sparki("run", "red")
    assert done.returncode == 1
    summary = done.stdout[done.stdout.rindex("\n\n") :]
    assert "✗ bad  failure" in summary
    assert "break: exit code 3" in summary
    assert "reason 30" in summary
    assert 0 < summary.count("│ ") <= 20
    run = re.findall(r"r-[0-9a-f]+", summary)[0]
    assert f"sparki logs {run} bad" in summary

    sparki.flag.write_text("")
    again = sparki("retry", "latest", "--failed")
    assert again.returncode == 0, again
    shown = sparki.json("show", run)
    assert {job["id"]: job["status"] for job in shown["jobs"]} == {"fine": "success", "bad": "success", "after": "success"}
    assert shown["attempt"] == 2


def test_a_log_is_read_whole_by_job_by_step_and_while_it_grows(sparki: Bench) -> None:
    run = sparki("run", "long", "--detach").stdout.split()[0]
    followed = sparki("logs", run, "-f").stdout.splitlines()
    assert [line for line in followed if line.startswith("line")] == [f"line {number}" for number in range(1, 201)]
    whole = sparki("logs", run).stdout.splitlines()
    assert [line for line in whole if line.startswith(("line", "more"))] == [line for line in followed if line.startswith(("line", "more"))]
    step = sparki("logs", run, "count", "--step", "goes on").stdout.splitlines()
    assert [line for line in step if line.startswith(("line", "more"))] == [f"more {number}" for number in range(1, 6)]
    assert sparki("logs", run, "cuont").returncode == 5


def test_a_prefix_names_a_run_and_an_unknown_one_is_exit_code_5(sparki: Bench) -> None:
    run = sparki("run", "green", "--detach").stdout.split()[0]
    assert sparki.json("show", run[:-2])["id"] == run
    missing = sparki("show", "r-ffffffff", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["error"]["code"]) == (5, "no_such_run")


@pytest.mark.parametrize("victim", ["engine", "supervisor", "both"])
def test_nothing_is_shown_twice_or_lost_when_the_daemon_dies_meanwhile(sparki: Bench, victim: str) -> None:
    process = sparki.start("run", "long")
    head = reads_until(process, "line 20")
    processes = sparki.json("daemon", "status")["processes"]
    for name in ("supervisor", "engine") if victim == "both" else (victim,):
        os.kill(processes[name]["pid"], signal.SIGKILL)
    rest, told = rest_of(process)
    lines = ("".join(head) + rest).splitlines()
    seen = [line for line in lines if line.startswith("line ")]
    if victim == "engine":
        assert process.returncode == 0, (lines[-20:], told)
        assert seen == [f"line {number}" for number in range(1, 201)]
    else:
        assert process.returncode == 1, (lines[-20:], told)
        assert seen == [f"line {number}" for number in range(1, len(seen) + 1)]
        assert any("lost" in line for line in lines), lines[-20:]


def test_ctrl_c_cancels_by_the_ladder_and_a_second_one_ends_at_once(sparki: Bench) -> None:
    process = sparki.start("run", "stubborn")
    reads_until(process, "ready")
    process.send_signal(signal.SIGINT)
    reads_until(process, "heard it")
    process.send_signal(signal.SIGINT)
    out, told = rest_of(process)
    assert process.returncode == 130
    assert "always" not in out.splitlines(), "at the second Ctrl-C nothing more is begun"
    assert "Ctrl-C again" in told
    until(lambda: sparki.json("show", "latest")["status"] == "cancelled", "the run never was cancelled")


def test_a_cancelled_run_is_red_for_whoever_follows_it(sparki: Bench) -> None:
    process = sparki.start("run", "long")
    reads_until(process, "line 1")
    assert "is being cancelled" in sparki("cancel", "latest").stdout
    rest, _ = rest_of(process)
    assert process.returncode == 1
    assert "■ long  cancelled" in rest
    again = sparki("cancel", "latest", "--json")
    assert json.loads(again.stdout)["error"]["code"] == "run_finished"
    assert again.returncode in (1, 2)


def test_a_terminal_that_closes_leaves_the_run_alone(sparki: Bench) -> None:
    process = sparki.start("run", "long")
    reads_until(process, "line 1")
    process.send_signal(signal.SIGHUP)
    rest_of(process)
    until(lambda: sparki.json("show", "latest")["status"] == "success", "the run did not go on")


def test_the_daemon_is_stopped_and_started(sparki: Bench) -> None:
    assert sparki("daemon", "start").returncode == 0
    first = sparki.json("daemon", "status")
    assert first["state"] == "running"
    restarted = sparki.json("daemon", "restart")
    assert restarted["processes"]["supervisor"]["pid"] == first["processes"]["supervisor"]["pid"]
    assert restarted["processes"]["engine"]["pid"] != first["processes"]["engine"]["pid"]
    assert sparki("daemon", "stop").stdout == "the daemon has stopped\n"
    assert all(has_ended(first["processes"][name]["pid"]) for name in ("supervisor", "engine"))
    assert sparki("daemon", "status").returncode == 3
    assert "ready" in sparki("daemon", "logs").stdout


def test_a_busy_daemon_is_not_stopped_without_force(sparki: Bench) -> None:
    sparki("run", "long", "--detach")
    refused = sparki("daemon", "stop", "--json")
    assert refused.returncode != 0
    assert json.loads(refused.stdout)["error"]["code"] == "runs_active"
    assert sparki("daemon", "stop", "--force").returncode == 0


def test_a_state_folder_with_a_long_name_has_its_socket_elsewhere(sparki: Bench) -> None:
    sparki.home = sparki.home / ("x" * 90)
    sparki.env["SPARKI_HOME"] = str(sparki.home)
    assert sparki("run", "-q").returncode == 0
    socket = json.loads((sparki.home / "daemon.json").read_text())["socket"]
    assert len(socket) < 100
    assert Path(socket).parent.stat().st_mode & 0o777 == 0o700
    sparki.end()


def test_without_sparki_home_the_xdg_folders_are_used(sparki: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    del sparki.env["SPARKI_HOME"]
    state = tmp_path_factory.mktemp("s")
    sparki.env |= {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(state / "c"), "XDG_CONFIG_HOME": str(state / "k")}
    sparki.home = state / "sparki"
    assert sparki("run", "-q").returncode == 0
    assert (state / "sparki" / "daemon.json").exists()
    assert (state / "sparki").stat().st_mode & 0o777 == 0o700


def test_a_plan_and_its_run_are_of_one_mind(sparki: Bench) -> None:
    planned = [job["id"] for job in sparki.json("run", "--plan")["jobs"]]
    run = sparki("run", "--detach").stdout.split()[0]
    assert [job["id"] for job in sparki.json("show", run)["jobs"]] == planned
