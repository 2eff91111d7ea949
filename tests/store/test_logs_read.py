"""A log is read by byte, by line and from its end, whatever happened to its index."""

from __future__ import annotations

import os
import random
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.store.log_reader import RECORD, TAIL_BYTES_MAX, LogReader, index_path
from sparki_daemon.store.log_writer import LogWriter

LONG = b"".join(b"line %d %s\n" % (number, b"x" * (number * 7 % 150)) for number in range(1, 20_001))


class CountingReader(LogReader):
    """A reader that knows how much it has read."""

    bytes_read = 0

    def read(self, start: int, limit: int) -> bytes:
        data = super().read(start, limit)
        self.bytes_read += len(data)
        return data


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    log = tmp_path / "job.log"
    with LogWriter(log) as writer:
        for at in range(0, len(LONG), 50_000):
            writer.write(LONG[at : at + 50_000])
    return log


def ask_everything(reader: LogReader, whole: bytes, offsets: list[int]) -> None:
    """Line and offset of many places, in any order, against counting by hand."""
    for offset in offsets:
        number = whole.count(b"\n", 0, offset) + 1
        begin = whole.rfind(b"\n", 0, offset) + 1
        assert reader.line_at(offset) == number
        assert reader.offset_of_line(number) == (begin if begin < len(whole) else None)


def test_a_missing_log_is_an_empty_one_until_it_is_there(tmp_path: Path) -> None:
    with LogReader(tmp_path / "job.log") as reader:
        assert (reader.size(), reader.read(0, 9), list(reader.lines()), reader.tail_lines(0, 99, 5)) == (0, b"", [], [])
        assert (reader.line_at(0), reader.offset_of_line(1), reader.time_at(0)) == (1, None, None)

        (tmp_path / "job.log").write_bytes(b"here\n")

        assert (reader.size(), reader.read(0, 9), list(reader.lines())) == (5, b"here\n", [(1, 0, b"here")])


def test_bytes_are_read_from_any_place(tmp_path: Path) -> None:
    (tmp_path / "job.log").write_bytes(b"0123456789")
    with LogReader(tmp_path / "job.log") as reader:
        assert [reader.read(*where) for where in ((0, 3), (8, 9), (10, 5), (3, 0))] == [b"012", b"89", b"", b""]


@given(st.text("a\n", max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_lines_of_any_range_are_its_bytes_with_their_numbers(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "job.log")
        log.write_bytes(whole)
        with LogReader(log) as reader:
            found = list(reader.lines(start, end))
            tail = reader.tail_lines(start, end, 3)
            ask_everything(reader, whole, [start, end])

    expected = whole[start:end].removesuffix(b"\n").split(b"\n") if start < end else []
    assert [text for _, _, text in found] == expected
    assert tail == expected[-3:]
    for number, offset, part in found:
        assert whole[offset : offset + len(part)] == part
        assert number == whole.count(b"\n", 0, offset) + 1


def test_any_line_of_a_long_log_is_found_without_reading_the_log(long_log: Path) -> None:
    with CountingReader(long_log) as reader:
        ask_everything(reader, LONG, [0, 1, 500_000, len(LONG) // 2, len(LONG) - 1, len(LONG)])

        assert reader.bytes_read < 12 * 256 * 170


@pytest.mark.parametrize("damage", ["none", "gone", "torn", "zeros", "beyond", "half", "nonsense"])
def test_whatever_became_of_the_index_the_answers_are_the_same(long_log: Path, damage: str) -> None:
    index = Path(index_path(str(long_log)))
    good, whole = index.read_bytes(), LONG
    if damage == "gone":
        index.unlink()
    elif damage == "torn":
        index.write_bytes(good[: len(good) - 7])
    elif damage == "zeros":
        index.write_bytes(good[: 24 * 20] + bytes(24 * 30 + 5))
    elif damage == "beyond":  # the log lost its end to a power cut
        whole = LONG[: len(LONG) // 3]
        os.truncate(long_log, len(whole))
    elif damage == "half":
        index.write_bytes(good[: len(good) // 48 * 24])
    elif damage == "nonsense":
        index.write_bytes(b"not an index at all! " * 100)
    chance = random.Random(7)

    with LogReader(long_log) as reader:
        ask_everything(reader, whole, [chance.randrange(len(whole) + 1) for _ in range(150)])
        assert [text for _, _, text in reader.lines()] == whole.removesuffix(b"\n").split(b"\n")


def test_a_lost_index_is_counted_once_only(long_log: Path) -> None:
    Path(index_path(str(long_log))).unlink()
    with CountingReader(long_log) as reader:
        reader.line_at(len(LONG))
        assert reader.bytes_read >= len(LONG)
        reader.bytes_read = 0
        ask_everything(reader, LONG, [len(LONG) - 10, 700_000, 100_000])

        assert reader.bytes_read <= 6 * 2 * 65_536


def test_a_growing_log_is_read_with_its_newest_lines(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with LogWriter(log) as writer, LogReader(log) as reader:
        for at in range(0, len(LONG), 30_011):
            writer.write(LONG[at : at + 30_011])
            ask_everything(reader, LONG[: at + 30_011], [min(at + 30_010, len(LONG) - 1), at // 2])


def test_a_writer_goes_on_after_a_log_and_an_index_that_were_cut(long_log: Path) -> None:
    index = Path(index_path(str(long_log)))
    os.truncate(long_log, 400_003)
    index.write_bytes(index.read_bytes() + b"torn")
    with LogWriter(long_log) as writer:
        writer.write(b"|" + LONG)
    whole = LONG[:400_003] + b"|" + LONG

    for offset, newlines, _ in RECORD.iter_unpack(index.read_bytes()):
        assert newlines == whole.count(b"\n", 0, offset)
    with LogReader(long_log) as reader:
        ask_everything(reader, whole, [399_999, 400_003, 400_010, 900_000, len(whole)])


def test_the_time_of_a_line_is_that_of_its_second(tmp_path: Path) -> None:
    now = iter(range(4_600, 10_000_000, 400))  # the writer's beginning, and then a time for each write
    log = tmp_path / "job.log"
    with LogWriter(log, now_ms=lambda: next(now)) as writer, LogReader(log) as reader:
        assert reader.time_at(0) is None
        for _ in range(1000):
            writer.write(b"x" * 99 + b"\n")

        for line in (0, 1, 2, 500, 998):
            written = 5_000 + 400 * line
            found = reader.time_at(line * 100)
            assert found is not None
            assert written - 1_000 < found <= written


def test_the_last_lines_are_read_from_the_end(long_log: Path) -> None:
    with CountingReader(long_log) as reader:
        assert reader.tail_lines(0, len(LONG), 20) == LONG.split(b"\n")[-21:-1]
        assert reader.tail_lines(0, len(LONG) + 999, 1) == [LONG.split(b"\n")[-2]]
        assert reader.tail_lines(len(LONG) - 5, len(LONG), 20) == [LONG[-5:-1]]
        assert reader.tail_lines(0, len(LONG), 0) == []
        assert reader.bytes_read <= 3 * 65_536


def test_the_end_of_an_endless_line_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_bytes(b"first\n" + b"." * 3_000_000 + b"end")
    with LogReader(log) as reader:
        (tail,) = reader.tail_lines(0, 9_999_999, 20)

    assert tail.endswith(b".end")
    assert len(tail) == TAIL_BYTES_MAX


@pytest.mark.parametrize("newline_at", [65_535, 65_536, 65_537, 131_071, 131_072, 200_000])
def test_a_long_line_comes_in_pieces_of_one_number(tmp_path: Path, newline_at: int) -> None:
    log, whole = tmp_path / "job.log", b"." * newline_at + b"\n\nnext\n"
    log.write_bytes(whole)
    with LogReader(log) as reader:
        found = list(reader.lines())

    assert b"".join(text for number, _, text in found if number == 1) == b"." * newline_at
    assert [(number, offset, text) for number, offset, text in found if number > 1] == [
        (2, newline_at + 1, b""),
        (3, newline_at + 2, b"next"),
    ]
    assert all(whole[offset : offset + len(text)] == text for _, offset, text in found)


def test_a_line_of_many_megabytes_is_read_in_little_memory(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with LogWriter(log) as writer, LogReader(log) as reader:
        for _ in range(20):
            writer.write(b"." * 1_000_000)
        tracemalloc.start()
        try:
            total = sum(len(text) for _, _, text in reader.lines())
            reader.line_at(20_000_000)
            reader.tail_lines(0, 20_000_000, 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert total == 20_000_000
    assert peak < 1_500_000
