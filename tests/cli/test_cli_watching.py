"""Watching a run: Ctrl-C, readers that leave, terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from typing import Any

import pytest
from cli_stories import EXCERPT, GREEN, RED, Program, serve_run, shown, tell
from stand_in import Reply, Request, StandIn, answers, event, text

from sparki_cli.render import Output
from sparki_cli.sink import HEARTBEAT_S, PlainSink
from sparki_cli.view import RunView

# -- Ctrl-C ------------------------------------------------------------------------------------------------------------------

HALF = GREEN[:5]


def cancellable(stand_in: StandIn, *, deaf: bool = False) -> threading.Event:
    """A run that goes on until it is cancelled (with force, when `deaf`)."""
    serve_run(stand_in, GREEN)
    ended = threading.Event()

    def cancel(request: Request, reply: Reply) -> None:
        if request.body["force"] or not deaf:
            ended.set()
        reply.json({"id": "r-1"}, 202)

    def last(reply: Reply) -> None:
        ended.wait(20)
        reply.lines(event(8, "run.finished", ms=3000, status="cancelled"))

    stand_in.on("POST", "/v1/runs/r-1/cancel", cancel)
    stand_in.on("GET", "/v1/runs/r-1/follow", tell(HALF, last))
    return ended


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels_and_the_end_is_awaited(sparki: Program, stand_in: StandIn, number: int) -> None:
    cancellable(stand_in)
    process = sparki.start("run")
    stand_in.wait_for("GET", "/v1/runs/r-1")
    process.send_signal(number)
    out, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert [request.body for request in stand_in.asked("POST", "/v1/runs/r-1/cancel")] == [{"force": False}]
    assert b"cancelling: Ctrl-C again ends everything at once\n" in told
    assert "■ ci  cancelled" in out.decode()


def test_jobs_that_came_with_the_answer_are_not_asked_for(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    asked_for = sparki("run").stdout
    assert len(stand_in.asked("GET", "/v1/runs/r-1")) == 1
    jobs = [{"id": job["id"], "uid": job["uid"], "name": job["name"]} for job in shown("r-1", GREEN)["jobs"]]
    stand_in.on("POST", "/v1/runs", answers({"runs": [{"run": "r-1", "pipeline": "ci", "file": "ci.yml", "jobs": jobs}], "since": 0}, 201))

    assert sparki("run").stdout == asked_for
    assert len(stand_in.asked("GET", "/v1/runs/r-1")) == 1


def test_the_second_signal_ends_everything_at_once(sparki: Program, stand_in: StandIn) -> None:
    cancellable(stand_in, deaf=True)
    process = sparki.start("run")
    stand_in.wait_for("GET", "/v1/runs/r-1")
    process.send_signal(signal.SIGINT)
    stand_in.wait_for("POST", "/v1/runs/r-1/cancel")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert [request.body["force"] for request in stand_in.asked("POST", "/v1/runs/r-1/cancel")] == [False, True]


def test_after_the_second_signal_nothing_keeps_the_program(sparki: Program, stand_in: StandIn) -> None:
    ended = cancellable(stand_in, deaf=True)
    stand_in.on("POST", "/v1/runs/r-1/cancel", answers({"id": "r-1"}, 202))  # and nothing comes of it
    process = sparki.start("run")
    stand_in.wait_for("GET", "/v1/runs/r-1")
    for count in (1, 2):
        process.send_signal(signal.SIGINT)
        stand_in.wait_for("POST", "/v1/runs/r-1/cancel", count)
    _, told = process.communicate(timeout=10)
    assert not ended.is_set()
    assert process.returncode == 130
    assert b"`sparki show` tells when it was" in told


def test_a_run_that_had_just_ended_is_no_trouble_to_cancel(sparki: Program, stand_in: StandIn) -> None:
    ended = cancellable(stand_in)

    def cancel(_: Request, reply: Reply) -> None:
        ended.set()
        reply.problem("run_finished", 409, 2, "run r-1 has ended")

    stand_in.on("POST", "/v1/runs/r-1/cancel", cancel)
    process = sparki.start("run")
    stand_in.wait_for("GET", "/v1/runs/r-1")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"can't cancel" not in told


def test_ctrl_c_before_the_answer_cancels_what_was_started(sparki: Program, stand_in: StandIn) -> None:
    cancellable(stand_in)
    asked, go = threading.Event(), threading.Event()

    def start(_: Request, reply: Reply) -> None:
        asked.set()
        go.wait(20)
        reply.json({"runs": [{"run": "r-1", "pipeline": "ci"}], "since": 0}, 201)

    stand_in.on("POST", "/v1/runs", start)
    process = sparki.start("run", "--detach")
    assert asked.wait(20)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    go.set()
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert len(stand_in.asked("POST", "/v1/runs/r-1/cancel")) == 1


def test_two_ctrl_c_before_the_answer_leave_at_once_and_say_where_to_look(sparki: Program, stand_in: StandIn) -> None:
    asked, go = threading.Event(), threading.Event()
    stand_in.on("POST", "/v1/runs", lambda *_: (asked.set(), go.wait(20), None)[2])
    process = sparki.start("run")
    assert asked.wait(20)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=10)
    go.set()
    assert process.returncode == 130
    assert b"`sparki runs` tells" in told


# -- whoever looks --------------------------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_stops_the_watching_and_not_the_run(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    left = threading.Event()

    def rest(reply: Reply) -> None:
        left.wait(20)
        reply.lines(*[text(number * 10, "0123456789"[:9] + "\n") for number in range(2, 50)])

    stand_in.on("GET", "/v1/runs/r-1/follow", tell(HALF, rest))
    process = sparki.start("run")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    left.set()
    assert process.wait(20) == 7
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert stand_in.asked("POST", "/v1/runs/r-1/cancel") == []


def test_a_daemon_that_is_lost_for_good_is_told_with_the_way_to_look(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    stand_in.on("GET", "/v1/runs/r-1/follow", lambda _, reply: reply.problem("store_unwritable", 507, 1, "the disk is full"))
    done = sparki("run")
    assert done.returncode == 1
    assert done.stderr == "r-1 goes on: `sparki show r-1`, `sparki logs r-1 -f`\nerror: the disk is full\n"


def on_terminal(sparki: Program, *words: str, columns: int = 80, rows: int = 24) -> tuple[int, str]:
    """What the program paints on a terminal of that size, and its exit code."""
    main_end, program_end = pty.openpty()
    fcntl.ioctl(program_end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = sparki.start(*words, stdin=program_end, stdout=program_end, stderr=program_end)
    os.close(program_end)
    painted = b""
    while True:
        try:
            data = os.read(main_end, 65536)
        except OSError:
            break
        if not data:
            break
        painted += data
    os.close(main_end)
    return process.wait(20), painted.decode().replace("\r\n", "\n")


def slow(stand_in: StandIn, seconds: float = 0.5) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])

    def rest(reply: Reply) -> None:
        time.sleep(seconds)
        reply.lines(*RED[9:])

    stand_in.on("GET", "/v1/runs/r-1/follow", tell(RED[:9], rest))


def test_on_a_terminal_a_picture_is_painted_and_taken_away(sparki: Program, stand_in: StandIn) -> None:
    slow(stand_in)
    code, painted = on_terminal(sparki, "run")
    assert code == 1
    assert painted.count("\x1b[?2026h") == painted.count("\x1b[?2026l") > 1
    assert "\x1b[31m✗\x1b[0m" in painted
    picture, _, rest = painted.rpartition("\x1b[?25h")
    assert picture.count("\x1b[?25h") == 0
    assert "making" not in picture.partition("\x1b[?2026l")[2] or "│" not in picture
    assert "sparki retry r-1 --failed" in rest
    assert "\x1b[?" not in rest


def test_the_cursor_comes_back_after_ctrl_c(sparki: Program, stand_in: StandIn) -> None:
    cancellable(stand_in)
    timer = threading.Timer(0, lambda: None)

    def interrupt() -> None:
        stand_in.wait_for("GET", "/v1/runs/r-1")
        time.sleep(0.4)
        os.kill(started[0], signal.SIGINT)

    started: list[int] = []
    start = sparki.start

    def remember(*words: str, **options: Any) -> Any:
        process = start(*words, **options)
        started.append(process.pid)
        return process

    sparki.start = remember  # type: ignore[method-assign]
    timer = threading.Thread(target=interrupt)
    timer.start()
    code, painted = on_terminal(sparki, "run")
    timer.join()
    assert code == 130
    assert painted.rindex("\x1b[?25h") > painted.rindex("\x1b[?25l")
    assert "cancelling: Ctrl-C again" in painted


def test_with_v_the_text_stands_above_the_picture(sparki: Program, stand_in: StandIn) -> None:
    slow(stand_in)
    _, painted = on_terminal(sparki, "run", "-v")
    assert "making\n" in painted


@pytest.mark.parametrize("how", ["ACCESSIBLE", "TERM", "NO_COLOR", "--no-color"])
def test_what_must_not_be_painted_over_or_coloured_is_not(sparki: Program, stand_in: StandIn, how: str) -> None:
    slow(stand_in, 0.4)
    if how == "--no-color":
        words = ["run", how]
    else:
        words = ["run"]
        sparki.env[how] = "dumb" if how == "TERM" else "1"
    code, painted = on_terminal(sparki, *words)
    assert code == 1
    if how in ("ACCESSIBLE", "TERM"):
        assert "\x1b[?" not in painted
        assert "\x1b[J" not in painted
    if how != "ACCESSIBLE":
        assert "\x1b[3" not in painted
    assert "failure" in painted, "a status is a word too"


def test_a_silent_run_gives_a_sign_of_life_where_nothing_is_painted(capfd: pytest.CaptureFixture[str]) -> None:
    view = RunView("r-1", "ci")
    for item in HALF:
        if "seq" in item:
            view.apply(item)
    sink = PlainSink(Output(terminal=True, accessible=True))
    assert sink.tick_s == HEARTBEAT_S
    sink.begin([view])
    sink.tick()
    assert capfd.readouterr().out == "", "it spoke just now"
    sink.tick_s = 0.0
    sink.tick()
    assert capfd.readouterr().out.startswith("ci: still running: build ")
    assert PlainSink(Output()).tick_s is None
