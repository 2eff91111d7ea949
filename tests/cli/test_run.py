from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from cli_stories import EXCERPT, GREEN, RED, Program, serve_run, shown, tell
from stand_in import Reply, Request, StandIn, answers, dies_first, event, text

Golden = Callable[[str, str], None]


def test_a_run_of_one_job_is_its_text_and_a_summary(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, GREEN)
    done = sparki("run")
    assert (done.returncode, done.stderr) == (0, "")
    golden("run_green.txt", done.stdout)


def test_several_jobs_stand_behind_their_names_and_failures_come_last(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    done = sparki("run")
    assert (done.returncode, done.stderr) == (1, "")
    golden("run_red.txt", done.stdout)


def test_quiet_is_the_verdict_and_why(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    golden("run_red_quiet.txt", sparki("run", "-q").stdout)
    assert stand_in.asked("GET", "/v1/runs/r-1/follow")[0].values("log") == ["false"]


def test_letters_stand_for_glyphs_where_these_can_not_be_shown(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    sparki.env |= {"LANG": "en_US.ISO-8859-1", "LC_ALL": None, "LC_CTYPE": None, "PYTHONCOERCECLOCALE": "0"}
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    out = sparki("run").stdout
    assert out.isascii()
    golden("run_red_ascii.txt", out)


def test_with_json_each_event_is_a_line_and_the_last_is_the_end(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, RED)
    done = sparki("run", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [item for item in RED if "seq" in item]
    assert (lines[-1]["kind"], lines[-1]["data"]) == ("run.finished", {"run": "r-1", "status": "failure"})


def serve_two(stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    other = [event(20, "run.created", run="r-2"), event(21, "run.finished", run="r-2", status="failure")]
    started = [{"run": "r-1", "pipeline": "ci", "file": "f"}, {"run": "r-2", "pipeline": "docs", "file": "g"}]
    stand_in.on("POST", "/v1/runs", answers({"runs": started, "since": 0}, 201))
    stand_in.on("GET", "/v1/runs/r-2", answers(shown("r-2", other, "docs")))
    stand_in.on("GET", "/v1/runs/r-2/follow", tell(other))
    stand_in.on("GET", "/v1/runs/r-2/excerpts", answers({"excerpts": []}))


def test_several_runs_end_with_one_line_for_all_and_the_worst_exit_code(sparki: Program, stand_in: StandIn) -> None:
    serve_two(stand_in)
    done = sparki("run", "--json")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["seq"] for line in lines[:-1]) == [1, 2, 3, 4, 5, 6, 7, 20, 21]
    last = lines[-1]
    assert list(last) == ["seq", "time", "stream", "kind", "data"]
    assert (last["seq"], last["kind"]) == (21, "runs.finished")
    assert last["data"] == {"runs": [{"run": "r-1", "status": "success"}, {"run": "r-2", "status": "failure"}], "status": "failure"}


def test_several_runs_are_told_apart_and_the_red_one_is_summed_up_last(sparki: Program, stand_in: StandIn) -> None:
    serve_two(stand_in)
    out = sparki("run").stdout
    assert "✓ ci / build: success" in out
    assert out.index("r-1\n") < out.index("r-2\n")


def test_the_request_carries_the_options_the_folder_and_the_environment(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    (sparki.cwd / "sub").mkdir()
    sparki.env["SOME_VARIABLE"] = "välue"
    sparki(
        "run", "ci", "x.yml", "--job", "a", "--job", "b", "--jobs", "3", "--ref", "v1", "--no-cache", "--workspace", "source", "-C", "sub"
    )
    body = stand_in.asked("POST", "/v1/runs")[0].body
    assert body.pop("env")["SOME_VARIABLE"] == "välue"
    assert body == {
        "directory": str(sparki.cwd / "sub"),
        "pipelines": ["ci", "x.yml"],
        "jobs": ["a", "b"],
        "max_parallel": 3,
        "workspace": "source",
        "ref": "v1",
        "no_cache": True,
    }


def test_a_detached_run_is_named_and_left_alone(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    assert sparki("run", "--detach").stdout == "r-1  ci\n"
    assert json.loads(sparki("run", "-d", "--json").stdout) == {"run": "r-1", "pipeline": "ci"}
    assert stand_in.asked("GET", "/v1/runs/r-1/follow") == []


def test_a_retry_is_followed_from_its_beginning(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    stand_in.on("GET", "/v1/runs/latest", answers(shown("r-1", GREEN)))
    stand_in.on("POST", "/v1/runs/r-1/retry", answers({"run": "r-1", "attempt": 2, "since": 2}, 202))
    done = sparki("retry", "latest", "--failed")
    assert done.returncode == 0
    assert stand_in.asked("POST", "/v1/runs/r-1/retry")[0].body == {"failed": True}
    assert stand_in.asked("GET", "/v1/runs/r-1/follow")[0].values("since") == ["2"]


def test_what_was_left_out_of_the_source_is_noted(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    note = {"code": "embedded", "message": "emb/ is left out"}
    stand_in.on("POST", "/v1/runs", answers({"runs": [{"run": "r-1", "pipeline": "ci"}], "since": 0, "notes": [note]}, 201))
    assert sparki("run").stderr == "note: emb/ is left out\n"


def test_an_engine_that_dies_at_every_turn_changes_nothing_that_is_shown(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    for method, path in list(stand_in.routes):
        if not path.endswith("/follow"):
            stand_in.on(method, path, dies_first(1, stand_in.routes[method, path]))
    told = iter(range(1, 100, 2))

    def follow(request: Request, reply: Reply) -> None:
        count = next(told)
        whole: list[dict[str, Any]] = []

        class Cut:
            def begin(self) -> None:
                reply.begin()

            def lines(self, *items: Any) -> None:
                whole.extend(items)
                reply.lines(*items[:count])

            def end(self) -> None:
                if count >= len(whole):
                    reply.end()

        tell(RED)(request, Cut())  # type: ignore[arg-type]

    stand_in.on("GET", "/v1/runs/r-1/follow", follow)
    golden("run_red.txt", sparki("run").stdout)
    assert len(stand_in.asked("GET", "/v1/runs/r-1/follow")) > 3


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
