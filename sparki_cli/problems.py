"""Any exception as the one error that a user meets."""

from __future__ import annotations

import os

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError


def as_sparki_error(error: Exception) -> SparkiError:
    """What to tell of `error`; a mistake of this program's own is told as one, without a traceback unless SPARKI_DEBUG is set."""
    if isinstance(error, SparkiError):
        return error
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return SparkiError(Problem(code="system_error", message=f"{where}{error.strerror}"), exit_code=ExitCode.RED)
    if os.environ.get("SPARKI_DEBUG"):
        raise error
    message = f"this should not have happened: {type(error).__name__}: {error}"
    return SparkiError(Problem(code="internal_error", message=message, hint="SPARKI_DEBUG=1 shows where"), exit_code=ExitCode.RED)
