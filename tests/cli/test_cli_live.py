from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_stories import PROGRAM, Program, shown, tell
from stand_in import Reply, StandIn, answers, event

from sparki_cli import live
from sparki_cli.live import LiveSink
from sparki_cli.render import Output
from sparki_cli.view import RunView

JOBS = 4  # of four steps each, with a line of its own each: 21 lines with the run's


def story() -> list[dict[str, Any]]:
    items = [event(1, "run.created", pipeline="ci"), event(2, "run.started")]
    for number in range(JOBS):
        job = {"job": f"j{number}", "uid": f"u{number}"}
        items.append(event(len(items) + 1, "job.started", name=f"job {number}", status="running", **job))
        for step in range(3):
            named = {"step": step, "name": f"step {step}"}
            items.append(event(len(items) + 1, "step.started", **job, **named))
            items.append(event(len(items) + 1, "step.finished", **job, **named, conclusion="success", exit_code=0, duration_ms=5))
        items.append(event(len(items) + 1, "step.started", **job, step=3, name="sleep"))
    return items


class Painted:
    """What a sink of such a run paints on a terminal whose size a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, read: Callable[[], str]) -> None:
        self.rows = 30
        self._read = read
        monkeypatch.setattr(live, "_terminal_size", lambda: (80, self.rows))
        monkeypatch.setattr(live, "FIRST_AFTER_S", 0.0)
        monkeypatch.setattr(live, "FRAME_S", 0.0)
        self.sink = LiveSink(Output(terminal=True))
        view = RunView("r-1", "ci")
        for item in story():
            view.apply(item)
        self.sink.begin([view])

    def frame(self) -> str:
        self.sink.tick()
        return self.text()

    def text(self) -> str:
        return self._read()


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Painted:
    return Painted(monkeypatch, lambda: capfd.readouterr().out)


def ups(text: str) -> list[int]:
    return [int(lines) for lines in re.findall(r"\x1b\[(\d+)A", text)]


def test_a_frame_goes_up_by_what_the_one_before_painted(painted: Painted) -> None:
    first, second = painted.frame(), painted.frame()
    assert (ups(first), ups(second)) == ([], [first.count("\n")])
    assert first.count("\n") == 21


@pytest.mark.parametrize("rows", [1, 2, 3, 12, 20])
def test_on_a_terminal_that_became_lower_no_frame_leaves_the_screen(painted: Painted, rows: int) -> None:
    painted.frame()
    painted.rows = rows
    after = [painted.frame() for _ in range(3)]
    assert max((lines for frame in after for lines in ups(frame)), default=0) <= rows - 1
    assert all(frame.count("\n") <= max(0, rows - 2) for frame in after[1:])


def test_the_end_and_words_above_the_picture_take_it_away_line_by_line(painted: Painted) -> None:
    lines = painted.frame().count("\n")
    painted.sink.say("words")
    said = painted.text()
    assert ups(said) == [lines, lines]
    assert said.count("\x1b[K") == lines + 1
    assert said.endswith("words\n")
    painted.frame()
    painted.sink.end()
    ended = painted.text()
    assert ups(ended) == [lines, lines]
    assert ended.endswith("\x1b[?25h")
    assert "\x1b[J" not in said + ended, "a terminal keeps a copy of what is wiped so from its first cell on"


# -- a terminal with a memory ------------------------------------------------------------------------------------------------


class Tmux:
    """A window of a tmux of this test's own."""

    def __init__(self, folder: Path, command: str) -> None:
        self._socket = str(folder / "tmux")
        self("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", command)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True, env=self._environment())
        return done.stdout

    def text(self) -> str:
        """The screen, and what scrolled out of it."""
        return self("capture-pane", "-p", "-S", "-")

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TMUX": ""}

    def wait_for(self, words: str) -> str:
        for _ in range(200):
            if words in (text := self.text()):
                return text
            time.sleep(0.05)
        raise AssertionError(f"{words!r} is not in {text!r}")


@pytest.fixture
def window(sparki: Program, stand_in: StandIn, tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux on this machine")
    items = story()
    stand_in.on("POST", "/v1/runs", answers({"runs": [{"run": "r-1", "pipeline": "ci", "file": "ci.yml"}], "since": 0}, 201))
    stand_in.on("GET", "/v1/runs/r-1", answers(shown("r-1", items)))
    stand_in.on("GET", "/v1/runs/r-1/excerpts", answers({"excerpts": []}))

    def rest(reply: Reply) -> None:
        for _ in range(600):
            if (tmp_path / "go").exists():
                break
            time.sleep(0.05)
        reply.lines(event(90, "run.finished", status="success"))

    stand_in.on("GET", "/v1/runs/r-1/follow", tell(items, rest))
    names = " ".join(f"{name}={shlex.quote(value)}" for name, value in sparki.env.items() if value is not None and name != "TERM")
    program = shlex.join([sys.executable, *PROGRAM[1:], "run"])
    here = shlex.quote(str(Path(__file__).parents[2]))
    shell = f"cd {shlex.quote(str(sparki.cwd))}; PYTHONPATH={here} {names} {program}; echo THE END; sleep 60"
    opened = Tmux(tmp_path, shell)
    yield opened
    opened("kill-server")


def test_a_window_that_becomes_lower_keeps_no_copy_of_each_frame(window: Tmux, tmp_path: Path) -> None:
    window.wait_for("sleep")
    window("resize-window", "-x", "100", "-y", "12")
    time.sleep(1.0)  # ten frames
    small = window.text()
    assert small.count("ci r-1") <= 2, "the picture, and what the window itself pushed out of its top when it became lower"
    assert small.rstrip().splitlines()[-1].startswith("  "), "the last line is the last job's"
    (tmp_path / "go").touch()
    ended = window.wait_for("THE END")
    assert ended.count("ci r-1") <= 1
    assert ended.count("✓ ci  success") == 1
