"""Lines of megabytes on their way through the command."""

from __future__ import annotations

import os

import pytest

from sparki_cli.render import Output
from sparki_cli.sink import HELD_CHARACTERS, PlainSink
from sparki_cli.view import JobView, RunView

PIECE = "x" * 64 * 1024


def sink_of(*jobs: str) -> tuple[PlainSink, RunView]:
    view = RunView("r-1", "ci")
    view.jobs = {key: JobView(key, uid=f"j-{key}") for key in jobs}
    sink = PlainSink(Output.of({**os.environ, "NO_COLOR": "1"}, as_json=False, quiet=False, verbose=False, no_color=True))
    sink.begin([view])
    return sink, view


def tell(sink: PlainSink, view: RunView, job: str, text: str) -> None:
    sink.text(view, {"uid": f"j-{job}", "job": job, "text": text})


def test_a_line_of_megabytes_is_told_as_it_is_and_not_held(capfd: pytest.CaptureFixture[str]) -> None:
    sink, view = sink_of("only")
    told = "begin\n" + PIECE * 100 + "\nend\n"

    longest = 0
    for at in range(0, len(told), len(PIECE)):
        tell(sink, view, "only", told[at : at + len(PIECE)])
        longest = max(longest, sum(map(len, sink._unfinished.values())))

    assert capfd.readouterr().out == told
    assert longest <= HELD_CHARACTERS


def test_a_long_line_that_never_ends_is_closed_before_what_follows(capfd: pytest.CaptureFixture[str]) -> None:
    sink, view = sink_of("only")
    for _ in range(6):
        tell(sink, view, "only", PIECE)

    sink._flush(view, "only", "j-only")
    sink._flush(view, "only", "j-only")

    assert capfd.readouterr().out == PIECE * 6 + "\n"


def test_among_several_jobs_each_part_of_a_long_line_bears_the_jobs_name(capfd: pytest.CaptureFixture[str]) -> None:
    sink, view = sink_of("one", "two")
    for _ in range(6):
        tell(sink, view, "one", PIECE)
    tell(sink, view, "two", "hello\n")
    sink._flush(view, "one", "j-one")

    lines = capfd.readouterr().out.splitlines()
    assert [line[:3] for line in lines] == ["one", "two", "one"]
    assert sum(line.count("x") for line in lines) == 6 * len(PIECE)
