"""What of a spool is taken for a record."""

from __future__ import annotations

import json

import pytest

from sparki_daemon.engine.records import BadRecord, read

STARTED = {"kind": "job.started", "job": "j-1-0", "epoch": 1, "t": 5}
STEP = {**STARTED, "kind": "step.started", "step": 0, "name": "Run x", "from": 0}
DONE = {"outcome": "success", "conclusion": "success", "exit_code": None, "duration_ms": 1, "to": 3, "reason": "", "left": []}
ENDED = {**STARTED, "kind": "job.finished", "result": "success", "reason": "", "outputs": {}, "log": 3}


@pytest.mark.parametrize("record", [STARTED, STEP, {**STEP, **DONE, "kind": "step.finished"}, ENDED], ids=lambda record: record["kind"])
def test_a_runners_record_is_read_as_it_was_written(record):
    assert read(json.dumps(record).encode()) == record


@pytest.mark.parametrize("line", [b"", b"\0\xff", b"[1]", b"7", b"null", b"{}", b'{"kind": "job.fini', b'{"kind": []}', b"[" * 5000])
def test_a_line_that_is_no_record_is_refused(line):
    with pytest.raises(BadRecord):
        read(line)


@pytest.mark.parametrize("record", [STARTED, STEP, {**STEP, **DONE, "kind": "step.finished"}, ENDED], ids=lambda record: record["kind"])
def test_a_record_without_one_of_its_fields_is_refused(record):
    for name in record:
        with pytest.raises(BadRecord):
            read(json.dumps({key: value for key, value in record.items() if key != name}).encode())


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [(STARTED, "epoch", "1"), (STARTED, "epoch", True), (STEP, "step", None), (ENDED, "outputs", []), (ENDED, "result", "splendid")],
)
def test_a_field_of_another_type_is_refused(record, field, value):
    with pytest.raises(BadRecord, match=field):
        read(json.dumps({**record, field: value}).encode())
