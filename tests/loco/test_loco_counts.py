"""Counters that outlive the process that counts."""

from __future__ import annotations

import os
import signal

from sparki_daemon.loco import counts
from sparki_daemon.loco.counts import Field


def test_what_a_killed_process_counted_is_there(tmp_path):
    path = str(tmp_path / "sheet")
    sheet = counts.create(path)
    child = os.fork()
    if child == 0:
        counts.load(path).row(3)[Field.REQUESTS] += 7
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    assert sheet.read(3)["requests"] == 7
    assert sheet.read(2)["requests"] == 0


def test_a_torn_or_absent_sheet_is_none(tmp_path):
    (tmp_path / "torn").write_bytes(b"\0" * 100)

    assert counts.load(str(tmp_path / "torn")) is None
    assert counts.load(str(tmp_path / "absent")) is None


def test_what_a_dead_front_had_in_flight_was_cut(tmp_path):
    sheet = counts.create(str(tmp_path / "sheet"))
    row = sheet.row(1)
    row[Field.REQUESTS], row[Field.IN_FLIGHT], row[Field.TUNNELS], row[Field.CUTS] = 10, 3, 1, 2

    assert counts.ended(sheet.read(1)) | {"requests": 10} == counts.add({"requests": 10, "cuts": 5}, {})


def test_a_row_can_be_given_to_another_release(tmp_path):
    sheet = counts.create(str(tmp_path / "sheet"))
    sheet.row(255)[Field.ANSWERS] = 4
    sheet.clear(255)

    assert not any(sheet.read(255).values())
