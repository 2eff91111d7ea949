"""A log loses no byte that was written, says what it could not take, and indexes itself once it is long."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparki_daemon.store.log_reader import RECORD, LogReader
from sparki_daemon.store.log_writer import FLOOD_BYTES, INDEX_FROM_BYTES, LINES_A_RECORD, LogWriteError, LogWriter


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def records(log: Path) -> list[tuple[int, int, int]]:
    return list(RECORD.iter_unpack(log.with_suffix(".idx").read_bytes()))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files may grow to `size` bytes, no more: the kernel then refuses as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_silent_job_leaves_nothing_on_disk(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "logs" / "job.log") as writer:
        assert writer.write(b"") == 0
        writer.sync()

    assert list(tmp_path.iterdir()) == []


def test_the_first_byte_makes_the_file_and_its_folder_for_the_owner_only(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "job.log"
    with LogWriter(log) as writer:
        writer.write(b"x")

        assert log.read_bytes() == b"x"
        assert log.stat().st_mode & 0o777 == 0o600


def test_a_write_says_where_its_bytes_begin(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "job.log") as writer:
        assert [writer.write(data) for data in (b"one\n", b"two\n", b"")] == [0, 4, 8]
        assert writer.size == 8


def test_a_short_log_has_no_index_and_a_long_one_has_its_first_lines_in_it(tmp_path: Path) -> None:
    log, line = tmp_path / "job.log", b"x" * 63 + b"\n"
    with LogWriter(log) as writer:
        for _ in range(INDEX_FROM_BYTES // 64):
            writer.write(line)
        assert not log.with_suffix(".idx").exists()
        for _ in range(LINES_A_RECORD):
            writer.write(line)

    assert records(log)[0][:2] == (0, 0)
    assert [newlines for _, newlines, _ in records(log)][:4] == [0, 256, 512, 768]


@given(st.lists(st.tuples(st.binary(max_size=12), st.integers(1, 2000), st.integers(0, 1500)), min_size=1, max_size=8))
@example([(b"\n", 256, 0), (b"\0", 1, 0), (b"", 1, 1000)])  # the record of a new second came a line too late
@settings(max_examples=60, deadline=None)
def test_every_record_is_true_and_none_is_missing(parts: list[tuple[bytes, int, int]]) -> None:
    clock, whole, written_at = Clock(), b"", []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "job.log")
        with LogWriter(log, now_ms=clock) as writer:
            for text, times, pause_ms in [*parts, (b"\n" * 8, INDEX_FROM_BYTES // 8 + 1, 0)]:
                clock.ms += pause_ms
                data = text.replace(b"~", b"\n") * times
                written_at.append((len(whole), len(whole) + len(data), clock.ms))
                writer.write(data)
                whole += data
        found = records(log)

    assert [offset for offset, _, _ in found] == sorted({offset for offset, _, _ in found})
    for offset, newlines, ms in found:
        assert offset == 0 or whole[offset - 1 : offset] == b"\n"
        assert newlines == whole.count(b"\n", 0, offset)
        assert any(start <= offset < end and ms >= at for start, end, at in written_at)
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(found)]
    assert max(gaps, default=0) <= LINES_A_RECORD
    assert whole.count(b"\n") - found[-1][1] <= LINES_A_RECORD


def test_output_after_a_pause_gets_a_record_of_its_own_second(tmp_path: Path) -> None:
    clock, log = Clock(), tmp_path / "job.log"
    with LogWriter(log, now_ms=clock) as writer:
        for pause_ms, data in ((0, b"a\n"), (999, b"b\n"), (1, b"c"), (1500, b"c\nd\n"), (10, b"e\n" * INDEX_FROM_BYTES)):
            clock.ms += pause_ms
            writer.write(data)

    assert records(log)[:3] == [(0, 0, 1_000_000), (4, 2, 1_001_000), (7, 3, 1_002_500)]


def test_a_short_log_has_times_as_soon_as_it_is_a_second_old(tmp_path: Path) -> None:
    clock, log = Clock(), tmp_path / "job.log"
    with LogWriter(log, now_ms=clock) as writer, LogReader(log) as reader:
        for pause_ms, data, expected in (
            (900, b"a\n", None),
            (99, b"b\n", None),
            (401, b"c\n", 900),
            (700, b"d\n", 2100),
            (5000, b"e", 7100),
        ):
            clock.ms += pause_ms
            at = writer.write(data)
            time_ms = reader.time_at(at)
            assert time_ms == (expected and 1_000_000 + expected)


def test_a_quick_job_costs_one_file(tmp_path: Path) -> None:
    clock, log = Clock(), tmp_path / "job.log"
    with LogWriter(log, now_ms=clock) as writer:
        for _ in range(100):
            clock.ms += 9
            writer.write(b"line\n" * 20)
    assert list(tmp_path.iterdir()) == [log]


def test_a_line_that_never_ends_needs_one_record(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with LogWriter(log) as writer:
        for _ in range(40):
            writer.write(b"." * 4096)

    assert [record[:2] for record in records(log)] == [(0, 0)]


def test_a_full_disk_is_told_with_the_bytes_that_are_in_and_the_rest_may_follow(tmp_path: Path) -> None:
    data, log = b"0123456789" * 10, tmp_path / "job.log"
    with LogWriter(log) as writer:
        with room_for(64), pytest.raises(LogWriteError) as caught:
            writer.write(data)
        assert (caught.value.errno, caught.value.written, writer.size) == (errno.EFBIG, 64, 64)
        assert log.read_bytes() == data[:64]

        assert writer.write(data[caught.value.written :]) == 64
        assert log.read_bytes() == data


def test_a_disk_that_takes_nothing_raises_and_counts_nothing(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.symlink_to("/dev/full")
    with LogWriter(log) as writer, pytest.raises(OSError, match="No space left") as caught:
        writer.write(b"lost?")

    assert (caught.value.errno, writer.size) == (errno.ENOSPC, 0)


def test_a_folder_that_cannot_be_made_is_told_as_a_write_that_took_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with LogWriter(tmp_path / "logs" / "job.log") as writer, pytest.raises(LogWriteError) as caught:
        writer.write(b"x")

    assert caught.value.written == 0


def test_an_index_that_cannot_be_written_holds_up_no_byte_and_is_made_up_for_later(tmp_path: Path) -> None:
    log, data = tmp_path / "job.log", b"line\n" * 20_000
    log.with_suffix(".idx").mkdir()
    with LogWriter(log) as writer:
        writer.write(data)
        log.with_suffix(".idx").rmdir()
        writer.write(data)

    assert log.read_bytes() == data * 2
    assert records(log)[0][:2] == (0, 0)
    assert all(offset == 5 * newlines for offset, newlines, _ in records(log))
    assert all(later[1] - earlier[1] <= LINES_A_RECORD for earlier, later in pairwise(records(log)))
    assert records(log)[-1][1] >= 40_000 - LINES_A_RECORD


def test_a_log_is_continued_by_its_next_writer(tmp_path: Path) -> None:
    log, clock = tmp_path / "job.log", Clock()
    for part in range(6):
        with LogWriter(log, now_ms=clock) as writer:
            assert writer.size == 23_890 * part
            writer.write(b"line of a log\n" * 1_706 + b"cut in")
        clock.ms += 5_000
    whole = log.read_bytes()

    assert len(whole) == 23_890 * 6
    for offset, newlines, _ in records(log):
        assert newlines == whole.count(b"\n", 0, offset)
        assert offset == 0 or whole[offset - 1 : offset] == b"\n"


def test_an_index_left_over_from_another_log_is_thrown_away(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.with_suffix(".idx").write_bytes(RECORD.pack(2, 9, 9))
    with LogWriter(log) as writer:
        writer.write(b"a\nb\n")

    assert LogReader(log).line_at(2) == 2


def test_every_byte_of_a_killed_writer_is_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    program = f"""
import os, signal
from sparki_daemon.store.log_writer import LogWriter
writer = LogWriter({str(log)!r})
for number in range(20_000):
    writer.write(b"line %d\\n" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert log.read_bytes() == b"".join(b"line %d\n" % number for number in range(20_000))
    with LogReader(log) as reader:
        assert reader.offset_of_line(20_000) == log.stat().st_size - len(b"line 19999\n")


def test_sync_promises_what_was_written_since_and_needs_no_open_file(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with LogWriter(log) as writer:
        writer.write(b"x")
        writer.sync()
        writer.close()
        writer.sync()
        writer.write(b"y")
        writer.close()
        writer.sync()

    assert log.read_bytes() == b"xy"


def test_no_descriptor_is_left_open_or_handed_to_a_child(tmp_path: Path) -> None:
    def held() -> list[int]:
        links = {fd: Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        return [int(fd) for fd, link in links.items() if link.exists() and link.resolve().parent == tmp_path]

    with LogWriter(tmp_path / "job.log") as writer, LogReader(tmp_path / "job.log") as reader:
        writer.write(b"line\n" * 20_000)
        reader.line_at(90_000)
        assert len(held()) == 4
        assert not any(os.get_inheritable(fd) for fd in held())

    assert held() == []


# -- floods ------------------------------------------------------------------------------------------------------------------

LINE = b"a line of a flood, as a build prints them when somebody asked for all of it\n"
FLOOD = LINE * (64 * 1024 // len(LINE))


def flood(writer: LogWriter, clock: Clock, blocks: int, *, every_ms: int = 1) -> None:
    for _ in range(blocks):
        writer.write(FLOOD)
        clock.ms += every_ms


def test_the_lines_of_a_flood_are_counted_when_it_has_ended(tmp_path: Path) -> None:
    log, clock = tmp_path / "job.log", Clock()
    with LogWriter(log, now_ms=clock) as writer:
        flood(writer, clock, 200)
        counted = records(log)[-1][0]
        with LogReader(log) as reader:
            assert reader.line_at(writer.size) == 200 * FLOOD.count(b"\n") + 1  # a reader needs no index
    last = records(log)[-1]

    assert counted < FLOOD_BYTES + len(FLOOD)
    assert last[0] > 199 * len(FLOOD)
    assert last[1] == log.read_bytes()[: last[0]].count(b"\n")
    for before, after in pairwise(records(log)):
        assert 0 < after[1] - before[1] <= LINES_A_RECORD


def test_a_flood_keeps_the_times_of_its_lines(tmp_path: Path) -> None:
    log, clock = tmp_path / "job.log", Clock()
    with LogWriter(log, now_ms=clock) as writer:
        flood(writer, clock, 3000, every_ms=3)  # about 20 MB a second, nine seconds

    for offset, _, ms in records(log):
        assert abs(ms - (1_000_000 + 3 * (offset // len(FLOOD)))) <= 1100


def test_a_calm_after_a_flood_makes_its_index_up_piece_by_piece(tmp_path: Path) -> None:
    log, clock = tmp_path / "job.log", Clock()
    with LogWriter(log, now_ms=clock) as writer:
        flood(writer, clock, 200)
        for _ in range(5):
            clock.ms += 1500
            writer.write(b"calm\n")
        assert records(log)[-1][0] > 199 * len(FLOOD)


def test_a_flood_in_one_line_has_the_index_of_one_line(tmp_path: Path) -> None:
    log, clock = tmp_path / "job.log", Clock()
    with LogWriter(log, now_ms=clock) as writer:
        for _ in range(200):
            writer.write(b"x" * 65536)
        writer.write(b"\nend\n")

    with LogReader(log) as reader:
        assert reader.line_at(writer.size) == 3
