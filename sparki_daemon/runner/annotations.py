"""What errors, warnings and notices of a step look like, in its log and as records."""

from __future__ import annotations

import os
from typing import TypedDict

from sparki_daemon.runner.commands import Command

MOST = 10  # of a kind, a step. Source: GITHUB.md §2
MOST_CHARACTERS = 4096  # of a message, once it is masked
_WORDS = {"error": "Error", "warning": "Warning", "notice": "Notice"}


class Annotation(TypedDict):
    """A remark about a place in a file, or about none (`file` is empty, numbers are None). Lines and columns count from 1."""

    level: str  # error, warning, notice
    message: str
    title: str
    file: str  # relative to the workspace where it is in there
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None


def line_of(command: Command, *, debug: bool = False) -> str | None:
    """The line that a log has for a command: annotations with their place, the title of a group. None: it shows nothing.

    `debug`: the run was asked to show what steps say for that.
    """
    if debug and command.name == "debug":
        return f"Debug: {command.data}"
    if command.name == "group":
        return f"▾ {command.data}"
    word = _WORDS.get(command.name)
    if word is None:
        return None
    properties = command.properties
    place = ":".join(part for part in (properties.get("file"), properties.get("line"), properties.get("col")) if part)
    title = properties.get("title")
    return ": ".join(part for part in (word, place, title, command.data) if part)


def annotation_of(command: Command, workspace: str) -> Annotation | None:
    """The annotation that a command is; None: it is another command."""
    if command.name not in _WORDS:
        return None
    given = command.properties
    lines = _number(given.get("line")), _number(given.get("endline"))
    columns = _number(given.get("col")), _number(given.get("endcolumn"))
    title, file = given.get("title", ""), given.get("file", "")
    return annotation(command.name, command.data, title=title, file=file, workspace=workspace, lines=lines, columns=columns)


def annotation(
    level: str,
    message: str,
    *,
    workspace: str,
    title: str = "",
    file: str = "",
    lines: tuple[int | None, int | None] = (None, None),
    columns: tuple[int | None, int | None] = (None, None),
) -> Annotation:
    """An annotation with a place that makes sense: an end alone is a beginning, columns are of one line, no end comes before its beginning.

    Source of the rules: actions/runner, ActionCommandManager.cs, ValidateLinesAndColumns.
    """
    line, end_line = lines if lines[0] is not None else (lines[1], lines[1])
    column, end_column = columns if columns[0] is not None else (columns[1], columns[1])
    if line is None or (end_line is not None and end_line != line):
        column = end_column = None
    if line is not None and end_line is not None and end_line < line:
        line = end_line = None
    if column is not None and end_column is not None and end_column < column:
        column = end_column = None
    if file.startswith(f"{workspace}/"):
        file = os.path.relpath(file, workspace)
    return Annotation(
        level=level, message=message, title=title, file=file, line=line, end_line=end_line, column=column, end_column=end_column
    )


def _number(text: str | None) -> int | None:
    plain = (text or "").strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 10 else None
