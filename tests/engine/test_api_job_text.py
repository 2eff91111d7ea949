"""How one job's text is handed on: to its steps, when it has settled, whole lines first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.engine.api.follow import NET_S, SETTLE_S, SILENCE_S, JobText
from sparki_daemon.engine.api.log_lines import LinePrinter
from sparki_daemon.engine.api.ports import JobLog, StepRange
from sparki_daemon.engine.api.texts import Texts
from sparki_daemon.store.log_reader import LogReader


class Bench:
    """A log file, and the follower's view of it."""

    def __init__(self, path: Path, *steps: StepRange, at: int = 0) -> None:
        self.log = JobLog(uid="u", key="job", run="r", path=str(path), ended=False, steps=steps)
        self.reader = LogReader(self.log.file)
        self.texts = Texts()
        self.text = JobText(self.log, self.reader, self.texts, at)

    def write(self, data: bytes) -> None:
        with open(self.log.file, "ab") as file:
            file.write(data)
        self.texts._sizes.clear()  # the size is believed for two milliseconds of the real clock; here the clock is ours

    def rest(self, end: int | None = None) -> list[tuple[Any, str]]:
        return told(self.text.rest(end))

    def live(self, now: float) -> list[tuple[Any, str]]:
        return told(self.text.live(now))


def told(lines: Iterator[bytes]) -> list[tuple[Any, str]]:
    return [(line["log"]["step"], line["log"]["text"]) for line in map(json.loads, lines)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "log")
    yield bench
    bench.reader.close()


def test_each_byte_belongs_to_the_step_whose_range_it_is_in(bench: Bench) -> None:
    bench.write(b"0123456789")
    bench.text.begin(0, 2)
    bench.text.end(0, 4)
    bench.text.begin(1, 6)
    assert bench.rest() == [(None, "01"), (0, "23"), (None, "45"), (1, "6789")]


def test_a_silent_step_takes_no_text_from_the_next(bench: Bench) -> None:
    bench.write(b"abc")
    bench.text.begin(0, 0)
    bench.text.end(0, 0)
    bench.text.begin(1, 0)
    assert bench.rest() == [(1, "abc")]


def test_steps_may_be_told_after_the_log_knows_later_ones(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log", StepRange(0, "", 0, 2), StepRange(3, "", 2, None))
    bench.write(b"aabb")
    bench.text.begin(1, 2)
    bench.text.end(1, 2)
    bench.text.begin(2, 2)
    assert bench.rest() == [(0, "aa"), (3, "bb")]
    bench.reader.close()


def test_what_was_handed_on_is_not_handed_on_again(bench: Bench) -> None:
    bench.text.begin(0, 0)
    bench.write(b"one\ntwo")
    assert bench.rest(4) == [(0, "one\n")]
    assert bench.rest(4) == []
    assert bench.rest() == [(0, "two")]


def test_a_client_that_comes_back_gets_what_it_lacks(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log", StepRange(0, "", 0, None), at=4)
    bench.write(b"one\ntwo\n")
    assert bench.rest() == [(0, "two\n")]
    bench.reader.close()


def test_a_file_that_is_shorter_than_its_events_say_ends_early(bench: Bench) -> None:
    bench.text.begin(0, 0)
    bench.write(b"one\n")
    assert bench.rest(1000) == [(0, "one\n")]


def test_live_text_waits_until_its_step_is_known(bench: Bench) -> None:
    bench.text.begin(0, 0)
    bench.write(b"one\n")
    assert bench.live(10.0) == []
    assert bench.text.due(10.0) == 10.0 + SETTLE_S
    bench.write(b"two\n")
    assert bench.live(10.0 + SETTLE_S) == [(0, "one\n")]
    assert bench.live(10.0 + 2 * SETTLE_S) == [(0, "two\n")]


def test_an_unfinished_line_is_shown_after_a_silence_and_not_looked_for_again(bench: Bench) -> None:
    bench.text.begin(0, 0)
    bench.write(b"one\nName? ")
    bench.live(10.0)
    assert bench.live(10.0 + SETTLE_S) == [(0, "one\n")]
    assert bench.text.due(10.0 + SETTLE_S) == 10.0 + SILENCE_S
    assert bench.live(10.0 + SILENCE_S) == [(0, "Name? ")]
    assert bench.text.due(11.0) == 11.0 + NET_S


def test_an_unfinished_character_is_held_until_the_end(bench: Bench) -> None:
    bench.text.begin(0, 0)
    bench.write("€".encode()[:2])
    bench.live(10.0)
    assert bench.live(11.0) == []
    assert bench.text.due(11.0) == 11.0 + NET_S
    assert bench.rest() == [(0, "\ufffd")]


def lines(printer: LinePrinter, log: JobLog, end: int) -> list[tuple[int, str]]:
    return [(line["line"], line["text"]) for line in map(json.loads, printer.lines(log, end))]


def test_lines_come_once_and_whole_however_they_grow(bench: Bench) -> None:
    printer = LinePrinter(bench.reader)
    found: list[tuple[int, str]] = []
    data = b"".join(b"%d\n" % number for number in range(300)) + b"x" * 200_000 + b"\nend"
    for start in range(0, len(data), 997):
        bench.write(data[start : start + 997])
        found += lines(printer, bench.log, min(start + 997, len(data)))
    ended = JobLog(uid="u", key="job", run="r", path=bench.log.path, ended=True)
    found += lines(printer, ended, len(data))
    assert found[:300] == [(number + 1, str(number)) for number in range(300)]
    assert "".join(text for number, text in found if number == 301) == "x" * 200_000
    assert found[-1] == (302, "end")
