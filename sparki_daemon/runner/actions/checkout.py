"""actions/checkout: fills the workspace from the snapshot of the run; nothing is fetched."""

from __future__ import annotations

import os

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.actions import NATIVE
from sparki_daemon.runner.actions.call import Call
from sparki_daemon.runner.workspace import FILLED
from sparki_daemon.source.checkout import checkout
from sparki_daemon.source.snapshot import from_json

INPUTS = NATIVE["actions/checkout"].inputs
_CREDENTIALS = "persist-credentials"


def main(call: Call) -> int:
    """Check out as the inputs say; outputs `ref` and `commit`."""
    try:
        done = checkout(
            call.inputs,
            from_json(call.run["source"]["snapshot"]),
            github=call.run["github"],
            detached=call.run["source"]["branch"] is None,
            workspace=call.workspace,
            objects_dir=os.path.join(call.work, "objects"),
            kept=os.path.join(call.work, FILLED),
        )
    except SparkiError as error:
        for problem in error.problems:
            call.say(f"Error: {problem.message}" + (f" ({problem.hint})" if problem.hint else ""))
        return 1
    for name in sorted(call.inputs.keys() - INPUTS.keys()):
        call.say(f"Warning: checkout has no input '{name}'")
    if call.inputs.get(_CREDENTIALS, "").strip().lower() == "true":
        call.say(f"Warning: checkout's {_CREDENTIALS} does nothing here: {INPUTS[_CREDENTIALS]}")
    for note in done.notes:
        call.say(f"Warning: {note.message}")
    call.output("ref", done.ref)
    call.output("commit", done.commit)
    call.say(f"Checked out {done.ref} at {done.commit} into {os.path.relpath(done.folder, os.path.dirname(call.workspace))}")
    return 0
