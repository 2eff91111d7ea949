"""Holds a step that has failed for the person who asked for that: its job waits until they have looked."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from sparki_daemon.runner import launch
from sparki_daemon.system.files import is_locked, write_atomic

if TYPE_CHECKING:
    from sparki_daemon.runner.step import Step

POLL_S = 0.1


def hold(step: Step) -> float:
    """Wait while somebody looks at the failed step; gives the seconds that it took, 0 where nobody wants to look.

    Where the step ran and its whole environment go into a file in the job's own temp folder, as they hold secrets. Who looks holds the
    run's lock, and removes the file when they are done: their end, a cancel, or the supervisor's death let the job go on too. The clock
    of the job's time limit stands still meanwhile.
    """
    job = step.job
    lock = job.run_file.hold
    if not lock or job.leaving or not is_locked(lock):
        return 0.0
    begun = time.monotonic()
    path = f"{job.temp}/held.json"
    env, folder = step.ran_with or (launch.environment(step), job.workspace)
    try:
        write_atomic(path, json.dumps({"env": env, "folder": folder}).encode(), durable=False)
    except OSError as error:
        job.output.line(f"Warning: the failed step can't be held: {launch.why(error)}")
        return 0.0
    loop = job.host.loop
    resume = loop.suspend("job", "step")
    job.write({"kind": "step.held", **step.outermost_record(), "to": job.output.size, "hold": path})
    try:
        while os.path.exists(path) and is_locked(lock) and not job.leaving:
            loop.after("held", POLL_S, _look_again)
            loop.turn()
    finally:
        loop.drop("held")
        launch.remove(path)
        resume()
    return time.monotonic() - begun


def _look_again() -> None:
    """The turn of the loop is over: that was all."""
