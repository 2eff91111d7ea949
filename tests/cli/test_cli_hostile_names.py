"""Names of a repository that would paint, move the cursor or begin a line, in all that people are shown; scripts get them as they are."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from cli_stories import Program, serve_run, shown
from stand_in import NO_PAST, Reply, Request, StandIn, answers, event, text

from sparki_cli.picture import picture
from sparki_cli.render import Output
from sparki_cli.sink import PlainSink
from sparki_cli.view import RunView
from sparki_daemon.model.problem import Position, Problem

BAD = "x\n\x1b[2J\r\x9b1A\u202ey"
SHOWN = r"x\n\x1b[2J\r\x9b1A\u202ey"
JOB = {"job": f"job ({BAD})", "uid": "j-bad"}
OTHER = {"job": "other", "uid": "j-other"}
STEP = {"step": 0, "name": f"step {BAD}"}
FAILED = {"conclusion": "failure", "exit_code": 1, "duration_ms": 5, "reason": f"why {BAD}"}
STORY = [
    event(1, "run.created"),
    event(2, "run.started"),
    event(3, "job.started", name=f"name {BAD}", status="running", **JOB),
    event(4, "job.finished", name="other", status="success", **OTHER),
    event(5, "step.started", **JOB, **STEP),
    text(0, "text\n", job=str(JOB["job"]), uid="j-bad"),
    event(6, "step.finished", **JOB, **STEP, **FAILED),
    event(7, "job.finished", name=f"name {BAD}", status="failure", reason=f"because {BAD}", **JOB),
    event(8, "run.finished", status="failure", reason=f"for {BAD}"),
]
EXCERPT = {"job": JOB["job"], "step": 0, "name": STEP["name"], "exit_code": 1, "reason": FAILED["reason"], "lines": ["text"]}


def bad_run() -> dict[str, Any]:
    run = shown("r-1", STORY, f"pipeline {BAD}")
    run |= {"status": "failure", "reason": f"for {BAD}", "source": {"branch": f"branch {BAD}", "commit": "0" * 40}, "directory": f"/{BAD}"}
    remark = {"level": "error", "file": f"f {BAD}", "line": 1, "column": None, "title": f"title {BAD}", "message": f"message {BAD}"}
    step = {"index": 0, "id": None, "status": "completed", "annotations": [remark], **STEP, **FAILED}
    run["jobs"][0] |= {"steps": [step], "reason": f"because {BAD}", "summary": f"# words\n\x1b[2J{BAD}"}
    return run


@pytest.fixture
def bad(stand_in: StandIn) -> StandIn:
    serve_run(stand_in, STORY, excerpts=[EXCERPT])
    started = {"runs": [{"run": "r-1", "pipeline": f"pipeline {BAD}", "file": "f"}], "since": 0, "notes": [{"message": f"note {BAD}"}]}
    stand_in.on("POST", "/v1/runs", answers(started, 201))
    stand_in.on("GET", "/v1/runs/r-1", answers(bad_run()))

    def runs(request: Request, reply: Reply) -> None:
        reply.json({"runs": [bad_run()]} if request.path == "/v1/runs" else bad_run())

    stand_in.on("GET", "/v1/runs", runs)
    line = {"job": JOB["job"], "step": STEP["name"], "index": 0, "line": 1, "time": "", "text": "text"}

    def lines(_: Request, reply: Reply) -> None:
        reply.begin()
        reply.lines(line, {**line, "job": "other"})
        reply.end()

    stand_in.on("GET", "/v1/runs/r-1/lines", lines)
    return stand_in


def steers(told: str) -> bool:
    return any(c in told.replace("\n", "") for c in "\x1b\r\x9b\u202e") or any(line.startswith("\\x1b[2J\\r") for line in told.splitlines())


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run"], ["name", "step", "why", "because", "for", "pipeline", "note"]),
        (["run", "-q"], ["name", "pipeline"]),
        (["run", "--detach"], ["pipeline"]),
        (["show", "r-1"], ["name", "step", "because", "for", "pipeline", "branch", "title", "f", "summary of name"]),
        (["runs"], ["pipeline", "branch"]),
        (["runs", "--all"], ["pipeline", "/"]),
        (["logs", "r-1", "-f"], ["job ("]),
    ],
    ids=str,
)  # fmt: skip
def test_no_name_steers_the_terminal(sparki: Program, words: list[str], parts: list[str]) -> None:
    done: subprocess.CompletedProcess[str] = sparki(*words)
    told = done.stdout + done.stderr
    assert not steers(told)
    for part in parts:
        assert f"{part} {SHOWN}" in told or f"{part}{SHOWN}" in told, part


@pytest.mark.usefixtures("bad")
def test_the_way_to_look_further_names_such_a_job_by_what_a_shell_takes(sparki: Program) -> None:
    assert "  sparki logs r-1 j-bad\n" in sparki("run").stdout


@pytest.mark.usefixtures("bad")
def test_scripts_get_names_as_they_are(sparki: Program) -> None:
    assert json.loads(sparki("show", "r-1", "--json").stdout) == {**bad_run(), "history": NO_PAST}
    assert [json.loads(line) for line in sparki("run", "--json").stdout.splitlines()] == [item for item in STORY if "seq" in item]


def test_the_live_picture_and_the_sign_of_life_write_names_out(capfd: pytest.CaptureFixture[str]) -> None:
    view = RunView("r-1", f"pipeline {BAD}")
    for item in STORY[:5]:
        view.apply(item)
    lines = picture(Output(), [view], 0, width=1000, height=20, frame=0)
    assert not steers("\n".join(lines))
    assert all(SHOWN in line for line in lines if "other" not in line)
    sink = PlainSink(Output(accessible=True))
    sink.begin([view])
    sink.tick_s = 0.0
    sink.tick()
    told = capfd.readouterr().out
    assert told.count(SHOWN) == 2
    assert not steers(told)


def test_an_error_keeps_its_lines_and_nothing_else() -> None:
    problem = Problem(code="c", message=f"first\nsecond {BAD}", at=Position(f"f {BAD}", 1, 1), hint=f"hint {BAD}")
    told = Output().problem(problem)
    assert not any(c in told for c in "\x1b\r\x9b\u202e")
    assert told.startswith("error: first\nsecond x\n\\x1b[2J")
    assert f"  --> f {SHOWN}:1:1\n" in told
