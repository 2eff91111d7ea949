"""Reads the records of a spool, and refuses what no runner of ours wrote: one damaged spool must not stop the others."""

from __future__ import annotations

import json
from typing import Any

_ALL = {"kind": str, "job": str, "epoch": int, "t": int}
_STEP = {"step": int, "name": str, "from": int}
_FIELDS: dict[str, dict[str, Any]] = {
    "job.started": _ALL,
    "step.started": {**_ALL, **_STEP},
    "step.held": {**_ALL, **_STEP, "to": int, "hold": str},
    "step.finished": {
        **_ALL,
        **_STEP,
        "outcome": str,
        "conclusion": str,
        "exit_code": (int, type(None)),
        "duration_ms": int,
        "to": int,
        "reason": str,
        "left": list,
    },
    "job.returned": _ALL,
    "job.finished": {**_ALL, "result": str, "reason": str, "outputs": dict, "log": int},
}
_RESULTS = frozenset({"success", "failure", "cancelled", "lost"})


class BadRecord(Exception):  # noqa: N818  # reads as what it is
    """A line of a spool that is no record, or one about nothing that the journal knows; the text says why."""


def read(line: bytes) -> dict[str, Any]:
    """The record that a spool's line is. Raises BadRecord. Its fields: `model.wire`."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRecord("it is no JSON") from None
    if not isinstance(record, dict):
        raise BadRecord("it is no object")
    fields = _FIELDS.get(str(record.get("kind")))
    if fields is None:
        raise BadRecord("its kind is none that this version knows")
    for name, kind in fields.items():
        if name not in record or not isinstance(record[name], kind) or isinstance(record[name], bool):
            raise BadRecord(f"its '{name}' is missing, or of another type")
    if "result" in fields and record["result"] not in _RESULTS:
        raise BadRecord("its 'result' is none that a job can have")
    return record
