"""A deployment's log, read as it grows."""

from __future__ import annotations

from sparki_daemon.model.deploy_log import LogLine, LogLines, Mark, written

TIME, LATER = "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06.000Z"


def test_what_loco_says_is_read_back_with_its_time_and_step_a_line_each() -> None:
    text = written(TIME, "start", Mark.BEGUN, "start the new release") + written(LATER, "start", Mark.ENDED, "failed: it ended\nno module")

    assert list(LogLines().feed(text.encode())) == [
        LogLine(1, TIME, "start", Mark.BEGUN, "start the new release"),
        LogLine(2, LATER, "start", Mark.ENDED, "failed: it ended"),
        LogLine(3, LATER, "start", Mark.ENDED, "no module"),
    ]


def test_what_a_command_prints_has_the_time_and_step_of_what_loco_said_before() -> None:
    data = b"before\n" + written(TIME, "release_command", Mark.BEGUN, "run it").encode() + b"migrating\r\n\xff - x\n"

    assert [(line.time, line.step, line.mark, line.text) for line in LogLines().feed(data)] == [
        ("", "", Mark.PRINTED, "before"),
        (TIME, "release_command", Mark.BEGUN, "run it"),
        (TIME, "release_command", Mark.PRINTED, "migrating"),
        (TIME, "release_command", Mark.PRINTED, "\ufffd - x"),
    ]


def test_a_line_is_told_once_it_is_whole_wherever_the_pieces_are_cut() -> None:
    data = (written(TIME, "watch", Mark.SAID, "bad probe: größer") + "tail ohne Ende").encode()
    whole = list((lines := LogLines()).feed(data)) + list(lines.end())

    for cut in range(len(data)):
        lines = LogLines()
        assert [*lines.feed(data[:cut]), *lines.feed(data[cut:]), *lines.end()] == whole
    assert [(line.number, line.mark, line.text) for line in whole] == [
        (1, Mark.SAID, "bad probe: größer"),
        (2, Mark.PRINTED, "tail ohne Ende"),
    ]
    assert list(lines.end()) == []


def test_a_text_without_a_line_is_an_empty_line() -> None:
    assert written(TIME, "done", Mark.SAID, "") == f"{TIME} done - \n"
