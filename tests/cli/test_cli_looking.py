"""`runs`, `show`, `logs` and `cancel` through the real process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from cli_stories import Program
from stand_in import NO_PAST, Reply, Request, StandIn, answers

from sparki_cli.render import Output
from sparki_cli.runs import picture_of
from sparki_cli.view import milliseconds

Golden = Callable[[str, str], None]
NOON = "2026-11-23T12:00:00.000Z"
SOURCE = {"tree": "t", "commit": "4f2c1a9d", "dirty": True, "branch": "main"}


def step(index: int, name: str, conclusion: str | None, **more: Any) -> dict[str, Any]:
    status = "running" if conclusion is None else "completed"
    return {
        "index": index,
        "id": "",
        "name": name,
        "status": status,
        "conclusion": conclusion,
        "exit_code": None,
        "duration_ms": None,
        **more,
    }


SHOWN: dict[str, Any] = {
    "id": "r-12345678", "pipeline": "ci", "file": "ci.yml", "status": "failure", "reason": "", "source": SOURCE, "attempt": 2,
    "created": NOON, "started": NOON, "finished": "2026-11-23T12:01:10.000Z",
    "jobs": [
        {"id": "build", "uid": "j-1", "name": "build", "status": "success", "reason": "", "tolerated": False, "cached": True,
         "started": NOON, "finished": "2026-11-23T12:00:02.500Z",
         "steps": [step(0, "Run make", "success", exit_code=0, duration_ms=2400, **{"from": 0, "to": 11}), step(1, "Run if", "skipped")]},
        {"id": "test-a", "uid": "j-2", "name": "test (a)", "status": "failure", "reason": "timed_out", "tolerated": False,
         "started": NOON, "finished": "2026-11-23T12:01:10.000Z",
         "steps": [step(0, "Run test", "failure", exit_code=3, duration_ms=70_000, id="t", **{"from": 4, "to": None})]},
        {"id": "docs", "uid": "j-3", "name": "docs", "status": "failure", "reason": "", "tolerated": True, "started": NOON,
         "finished": NOON, "steps": []},
        {"id": "deploy", "uid": "j-4", "name": "deploy", "status": "skipped", "reason": "", "started": None, "finished": NOON, "steps": []},
    ],
}  # fmt: skip


def listed(run: str, status: str, **more: Any) -> dict[str, Any]:
    base = {"id": run, "pipeline": "ci", "file": "f", "status": status, "reason": "", "source": SOURCE, "attempt": 1, "title": ""}
    return {**base, "created": NOON, "started": NOON, "finished": NOON, "directory": "/somewhere", **more}


def test_runs_are_a_table_of_this_repository(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": [listed("r-2", "lost"), listed("r-1", "success", started=None)]}))
    done = sparki("runs", "-n", "2")
    assert done.returncode == 0
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["RUN", "STATUS", "PIPELINE", "SOURCE", "TOOK", "CREATED"]
    assert first.startswith("r-2  ? lost     ci        main 4f2c1a9+  0ms")
    assert "✓ success" in second
    assert stand_in.requests[0].target == f"/v1/runs?limit=2&directory={sparki.cwd}"


def test_runs_of_everywhere_say_where(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": [listed("r-2", "success")]}))
    assert sparki("runs", "--all").stdout.splitlines()[1].endswith("/somewhere")
    assert stand_in.requests[0].target == "/v1/runs?limit=30"


def test_runs_as_json_are_what_the_engine_says(sparki: Program, stand_in: StandIn) -> None:
    runs = [listed("r-2", "success")]
    stand_in.on("GET", "/v1/runs", answers({"runs": runs}))
    assert json.loads(sparki("runs", "--json").stdout) == {"runs": runs}


def test_no_runs_is_a_word_beside_the_result(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": []}))
    done = sparki("runs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "sparki run" in done.stderr
    assert sparki("runs", "-q").stderr == ""


def test_show_is_a_tree_of_jobs_and_steps(golden: Golden) -> None:
    golden("show.txt", picture_of(Output(), SHOWN, milliseconds("2026-11-23T14:00:00.000Z")))


def test_show_of_what_runs_counts_up_to_now() -> None:
    running = {**SHOWN, "status": "running", "finished": None, "jobs": [], "reason": "stopping"}
    text = picture_of(Output(), running, milliseconds("2026-11-23T12:00:07.000Z"))
    assert text.splitlines()[0] == "◐ ci  running (stopping)  7.0s"
    assert "7s ago" in text


def test_show_says_what_the_run_is_called() -> None:
    text = picture_of(Output(), {**SHOWN, "title": "Deploy b by Ann"}, milliseconds("2026-11-23T14:00:00.000Z"))
    assert text.splitlines()[2] == "  Deploy b by Ann"


def test_show_as_json_is_what_the_engine_says(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/latest", answers(SHOWN))
    assert json.loads(sparki("show", "latest", "--json").stdout) == {**SHOWN, "history": NO_PAST}
    assert stand_in.requests[0].values("directory") == [str(sparki.cwd)]


def test_show_says_what_the_past_tells(sparki: Program, stand_in: StandIn) -> None:
    good = {"run": "r-1", "commit": "1234567890"}
    job = {"job": "t", "name": "test", "pipeline": "ci", "file": "f"}
    past = {
        "broken_since": {"run": "r-2", "commit": "abcdefabcdef", "last_good": good},
        "flaky": [{**job, "trees": 1, "passed": "r-3", "failed": "r-4"}],
        "slow": [{**job, "run": SHOWN["id"], "took_ms": 2000, "usual_ms": 1000}],
    }
    stand_in.on("GET", "/v1/runs/latest", answers(SHOWN))
    stand_in.on("GET", f"/v1/runs/{SHOWN['id']}/history", answers(past))
    assert sparki("show", "latest").stdout.splitlines()[-3:] == [
        "  broken since r-2 (commit abcdefa); r-1 was good (1234567)",
        "  flaky: test: same source, passed in r-3, failed in r-4",
        "  slower than usual: test: 2.0s, usually 1.0s",
    ]


def test_show_does_not_claim_what_older_runs_would_tell(sparki: Program, stand_in: StandIn) -> None:
    since = {"run": "r-2", "commit": "abcdefabcdef", "last_good": None, "at_least": True}
    stand_in.on("GET", "/v1/runs/latest", answers(SHOWN))
    stand_in.on("GET", f"/v1/runs/{SHOWN['id']}/history", answers({**NO_PAST, "broken_since": since}))
    said = "  broken since at least r-2 (commit abcdefa); older runs were not looked at"
    assert sparki("show", "latest").stdout.splitlines()[-1] == said


def test_runs_tells_of_flaky_slow_and_dear_jobs(sparki: Program, stand_in: StandIn) -> None:
    job = {"job": "t", "name": "test", "pipeline": "ci", "file": "f", "runs": 2, "total_ms": 4000}
    stand_in.on("GET", "/v1/history", answers({"jobs": [job]}))
    assert sparki("runs", "--expensive").stdout.splitlines()[1].split() == ["test", "ci", "2", "4.0s", "2.0s"]
    assert json.loads(sparki("runs", "--flaky", "--json").stdout) == {"jobs": [job]}
    assert [request.values("aspect") for request in stand_in.asked("GET", "/v1/history")] == [["expensive"], ["flaky"]]
    both = sparki("runs", "--flaky", "--slow")
    assert (both.returncode, both.stderr) == (2, "error: one of --flaky, --slow and --expensive at a time\n")


def test_a_run_that_is_not_there_is_exit_code_5(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/r-9", lambda _, reply: reply.problem("no_such_run", 404, 5, "there is no run r-9", "`sparki runs`"))
    done = sparki("show", "r-9")
    assert (done.returncode, done.stderr) == (5, "error: there is no run r-9\nhint: `sparki runs`\n")


def test_cancel_names_the_run(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/latest", answers(SHOWN))
    stand_in.on("POST", "/v1/runs/r-12345678/cancel", answers({"id": "r-12345678", "status": "running"}, 202))
    assert sparki("cancel", "latest").stdout == "r-12345678 is being cancelled\n"
    assert sparki("cancel", "latest", "--force").stdout == "r-12345678 is being ended\n"
    assert json.loads(sparki("cancel", "latest", "--json").stdout)["id"] == "r-12345678"
    assert [request.body["force"] for request in stand_in.asked("POST", "/v1/runs/r-12345678/cancel")] == [False, True, False]


# -- logs ---------------------------------------------------------------------------------------------------------------------

TEXTS = {"j-1": b"\xe2\x96\xb8 Run make\nmade\n", "j-2": b"raw \xff\x00 bytes\r\nno end", "j-3": b"", "j-4": b""}
LINES = [
    {"job": "build", "step": "Run make", "index": 0, "line": 1, "time": NOON, "text": "making"},
    {"job": "test-a", "step": "Run test", "index": 0, "line": 1, "time": NOON, "text": "testing"},
    {"job": "test-a", "step": "Run more", "index": 1, "line": 2, "time": NOON, "text": "more"},
]


@pytest.fixture
def logged(stand_in: StandIn) -> StandIn:
    def log(request: Request, reply: Reply) -> None:
        reply.begin()
        end = request.values("to")
        data = TEXTS[request.path.split("/")[3]][int(request.values("from")[0]) : int(end[0]) if end else None]
        if data:
            reply.chunk(data)
        reply.end()

    def lines(request: Request, reply: Reply) -> None:
        jobs = request.values("job")
        reply.begin()
        wanted = [line for line in LINES if not jobs or line["job"] in jobs]
        if wanted:
            reply.lines(*wanted)
        reply.end()

    stand_in.on("GET", "/v1/runs/", answers(SHOWN))
    stand_in.on("GET", "/v1/runs/r-12345678/lines", lines)
    stand_in.on("GET", "/v1/jobs/", log)
    return stand_in


def raw(sparki: Program, *words: str) -> tuple[int, bytes]:
    process = sparki.start(*words)
    out, _ = process.communicate(timeout=20)
    return process.returncode, out


@pytest.mark.parametrize("name", ["test-a", "test (a)", "j-2"])
def test_the_log_of_a_job_is_its_bytes(sparki: Program, logged: StandIn, name: str) -> None:
    assert raw(sparki, "logs", "r-1", name) == (0, TEXTS["j-2"])


def test_the_log_of_a_run_is_that_of_each_job_under_its_name(sparki: Program, logged: StandIn) -> None:
    code, out = raw(sparki, "logs", "r-1")
    assert code == 0
    assert out.startswith(b"== build (success) ==\n" + TEXTS["j-1"] + b"== test (a) (failure) ==\n" + TEXTS["j-2"] + b"\n== docs")


def test_logs_as_json_are_a_line_each(sparki: Program, logged: StandIn) -> None:
    done = sparki("logs", "r-1", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == LINES
    done = sparki("logs", "r-1", "build", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == LINES[:1]


def test_following_logs_stand_behind_their_jobs(sparki: Program, logged: StandIn) -> None:
    assert sparki("logs", "r-1", "-f").stdout == "build  │ making\ntest-a │ testing\ntest-a │ more\n"
    assert raw(sparki, "logs", "r-1", "test-a", "-f") == (0, TEXTS["j-2"])
    assert logged.asked("GET", "/v1/jobs/j-2/log")[0].values("follow") == ["true"]
    assert sparki("logs", "r-1", "test-a", "-f", "--step", "2").stdout == "more\n"
    assert logged.asked("GET", "/v1/runs/r-12345678/lines")[0].values("follow") == ["true"]


@pytest.mark.parametrize(("name", "shown"), [("Run make", "making\n"), ("1", "making\n")])
def test_the_log_of_a_step_alone(sparki: Program, logged: StandIn, name: str, shown: str) -> None:
    assert raw(sparki, "logs", "r-1", "build", "--step", name) == (0, TEXTS["j-1"][:11])
    assert [json.loads(line)["text"] + "\n" for line in sparki("logs", "r-1", "build", "--step", name, "--json").stdout.splitlines()] == [
        shown
    ]


def test_the_id_of_a_step_names_it_too(sparki: Program, logged: StandIn) -> None:
    assert raw(sparki, "logs", "r-1", "test-a", "--step", "t") == (0, TEXTS["j-2"][4:])
    assert json.loads(sparki("logs", "r-1", "test-a", "--step", "t", "--json").stdout)["text"] == "testing"


@pytest.mark.parametrize("words", [[], ["-f"], ["build"], ["build", "--step", "1"], ["build", "--step", "1", "-f"]])
def test_a_log_that_is_no_longer_kept_is_told(sparki: Program, logged: StandIn, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setitem(TEXTS, "j-1", b"")
    monkeypatch.setitem(TEXTS, "j-2", b"")
    monkeypatch.setattr(sys.modules[__name__], "LINES", [])
    done = sparki("logs", "r-1", *words)
    assert (done.returncode, done.stderr.splitlines()[0]) == (5, "error: the log of run r-12345678 is no longer kept")
    assert json.loads(sparki("logs", "r-1", *words, "--json").stdout)["error"]["code"] == "log_dropped"


def test_a_job_that_wrote_nothing_has_an_empty_log(sparki: Program, logged: StandIn) -> None:
    assert raw(sparki, "logs", "r-1", "docs") == (0, b"")


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["buidl"], "no_such_job", "did you mean 'build'?"),
        (["zzz"], "no_such_job", "there are: build, test-a, docs, deploy"),
        (["build", "--step", "Run mak"], "no_such_step", "did you mean 'Run make'?"),
    ],
)
def test_a_job_or_step_that_is_not_there_is_told_with_the_nearest(
    sparki: Program, logged: StandIn, words: list[str], code: str, hint: str
) -> None:
    done = sparki("logs", "r-1", *words, "--json")
    assert done.returncode == 5
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["hint"]) == (code, hint)
