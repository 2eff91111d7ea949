"""What is wrong, where, and what to do next: the one shape of every error that a user meets."""

from __future__ import annotations

from enum import IntEnum

from sparki_daemon.model.dataclass import dataclass


class ExitCode(IntEnum):
    """The process exit codes of the public interface."""

    OK = 0
    RED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    UNKNOWN_END = 6
    STOPPED_WATCHING = 7
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `code` is stable: scripts match it."""

    code: str
    message: str
    at: Position | None = None
    hint: str = ""

    def to_json(self) -> dict[str, object]:
        """The keys of the public error shape: code, message, file, line, column, hint."""
        at = self.at
        return {
            "code": self.code,
            "message": self.message,
            "file": at.file if at else None,
            "line": at.line if at else None,
            "column": at.column if at else None,
            "hint": self.hint,
        }


class SparkiError(Exception):
    """Something a user must be told: one problem or several, with the exit code that they mean."""

    def __init__(self, *problems: Problem, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.exit_code = exit_code

    @property
    def in_a_line(self) -> str:
        """What is wrong and what to do, for where there is room for a line of text."""
        return "; ".join(f"{one.message}{f' ({one.hint})' if one.hint else ''}" for one in self.problems)


def problem_from_json(data: dict[str, object]) -> Problem:
    """The inverse of `Problem.to_json`; unknown keys are left alone, missing ones are empty."""
    file, line, column = data.get("file"), data.get("line"), data.get("column")
    at = Position(str(file), int(str(line)), int(str(column or 1))) if file is not None and line is not None else None
    return Problem(code=str(data.get("code", "error")), message=str(data.get("message", "")), at=at, hint=str(data.get("hint") or ""))
