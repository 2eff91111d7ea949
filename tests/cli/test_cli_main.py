from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_stories import PROGRAM, Program
from stand_in import StandIn, answers

from sparki_daemon.client.version import VERSION

ERROR_KEYS = ["code", "message", "file", "line", "column", "hint"]


def test_the_version_is_told(sparki: Program) -> None:
    for flag in ("--version", "-V"):
        assert sparki(flag).stdout == f"sparki {VERSION}\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["daemon"], ["daemon", "--help"], ["run", "-h"]])
def test_help_goes_to_standard_output(sparki: Program, words: list[str]) -> None:
    done = sparki(*words)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: sparki")
    assert done.stderr == ""


def test_an_error_is_text_on_standard_error(sparki: Program) -> None:
    done = sparki("runn")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no such command 'runn'. Did you mean 'run', 'runs', 'prune'?\nhint: see `sparki --help`\n"


@pytest.mark.parametrize("words", [["runn", "--json"], ["show", "--json"], ["eval", "1 +", "--json"], ["run", "--json", "-C", "/nowhere"]])
def test_with_json_an_error_is_one_document_on_standard_output(sparki: Program, words: list[str]) -> None:
    done = sparki(*words)
    assert (done.returncode, done.stderr) == (2, "")
    assert list(json.loads(done.stdout)["error"]) == ERROR_KEYS


def test_every_problem_of_an_error_is_told_with_its_place(sparki: Program, stand_in: StandIn) -> None:
    problems = [
        {
            "code": "unknown_need",
            "message": "job 'test' needs 'biuld'",
            "file": "ci.yml",
            "line": 14,
            "column": 13,
            "hint": "did you mean 'build'?",
        },
        {"code": "other", "message": "second", "file": None, "line": None, "column": None, "hint": ""},
    ]
    stand_in.on("POST", "/v1/runs", answers({"exit_code": 2, "problems": problems}, 422))
    done = sparki("run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: job 'test' needs 'biuld'\n  --> ci.yml:14:13\nhint: did you mean 'build'?\nerror: second\n"
    told = json.loads(sparki("run", "--json").stdout)
    assert told == {"error": problems[0], "errors": problems}


@pytest.mark.parametrize(("status", "exit_code"), [(404, 5), (403, 4), (409, 2), (422, 2), (500, 1), (503, 3)])
def test_the_exit_code_is_the_refusals(sparki: Program, stand_in: StandIn, status: int, exit_code: int) -> None:
    stand_in.on("GET", "/v1/runs/r-9", lambda _, reply: reply.problem("any", status, exit_code))
    assert sparki("show", "r-9").returncode == exit_code


def test_a_mistake_of_the_programs_own_shows_no_traceback(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/r-9", answers({"no": "run"}))
    done = sparki("show", "r-9")
    assert done.returncode == 1
    assert done.stderr.startswith("error: this should not have happened: KeyError")
    assert "Traceback" not in done.stderr
    sparki.env["SPARKI_DEBUG"] = "1"
    assert "Traceback" in sparki("show", "r-9").stderr


def test_a_state_folder_that_cannot_be_made_is_told(sparki: Program, folder: Path) -> None:
    (folder / "file").write_text("")
    sparki.env["SPARKI_HOME"] = str(folder / "file" / "state")
    done = sparki("runs")
    assert done.returncode == 3
    assert done.stderr.startswith("error: can't use the state folder")


def test_no_home_is_no_crash(sparki: Program) -> None:
    sparki.env |= {"SPARKI_HOME": None, "HOME": None, "XDG_STATE_HOME": str(sparki.cwd)}
    done = sparki("daemon", "status")
    assert done.returncode == 3
    assert f"{sparki.cwd}/sparki" in done.stdout


def test_words_that_are_no_text_are_passed_on(sparki: Program, stand_in: StandIn) -> None:
    done = sparki("show", b"r-\xff\xfe")
    assert done.returncode == 5
    assert stand_in.requests[0].path == "/v1/runs/r-%FF%FE"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["runs", "runn", "--help", "--version"])
def test_closed_descriptors_are_no_crash(sparki: Program, stand_in: StandIn, closed: str, words: str) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": []}))
    done = subprocess.run(  # noqa: PLW1510  # the exit code is what is looked at
        ["sh", "-c", f"{' '.join(PROGRAM)} {words} {closed}"], env=sparki.environment(), cwd=sparki.cwd, capture_output=True, timeout=50
    )
    assert done.returncode == (2 if words == "runn" else 0)
    assert b"Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_an_error(sparki: Program) -> None:
    with open("/dev/full", "w") as full:
        process = sparki.start("eval", "1", stdout=full)
        _, told = process.communicate(timeout=50)
    assert process.returncode == 1
    assert told.startswith(b"error: No space left on device")


@pytest.mark.parametrize("words", [["eval", "'x'"], ["--help"], ["--version"], ["run", "--nonsense", "--json"]])
def test_a_reader_that_went_ends_the_program_silently(sparki: Program, words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    process = sparki.start(*words, stdout=write)
    os.close(write)
    _, told = process.communicate(timeout=50)
    assert told == b""
    assert process.returncode in (-signal.SIGPIPE, 1, 2)


def test_ctrl_c_in_a_command_that_waits_leaves_no_trace(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", lambda *_: time.sleep(20))
    process = sparki.start("runs")
    stand_in.wait_for("GET", "/v1/runs")
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=10)
    assert (process.returncode, out, told) == (130, b"", b"")


def test_a_folder_that_is_gone_is_told(sparki: Program, folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    done = subprocess.run(  # noqa: PLW1510  # the exit code is what is looked at
        ["sh", "-c", f"cd {gone} && rmdir {gone} && {' '.join(PROGRAM)} run --plan"],
        env=sparki.environment(),
        capture_output=True,
        timeout=50,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: there is no folder")
