"""Starts a keeper that outlives whoever starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.system import nonce

START_LIMIT_S = 15.0


def launch(folder: str) -> None:
    """Have a keeper run for the environment whose folder this is, and come back when it can be asked. One that runs already is left alone.

    The folder is made, for its owner only. The keeper leaves this process's session and tree, and does not bear the mark of a job, by which
    strays are found. Raises SparkiError: `keeper_unstartable`.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    environment = {name: value for name, value in os.environ.items() if name != nonce.VARIABLE}
    command = [sys.executable, "-m", "sparki_daemon", "keeper", "--folder", os.path.abspath(folder)]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_LIMIT_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unstartable(folder, f"it was not up after {START_LIMIT_S:.0f} s") from None
    if done.returncode:
        raise _unstartable(folder, _reason(done.stderr))


def _reason(stderr: bytes) -> str:
    last = stderr.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        return str(json.loads(last)["message"])
    except (ValueError, KeyError, TypeError):
        return last or "it ended without a word"


def _unstartable(folder: str, why: str) -> SparkiError:
    problem = Problem(
        code="keeper_unstartable", message=f"the keeper of {folder} could not be started: {why}", hint="look at keeper.log there"
    )
    return SparkiError(problem, exit_code=ExitCode.UNREACHABLE)
