"""How workflow commands look in a log."""

from __future__ import annotations

from sparki_daemon.runner.commands import Command

_WORDS = {"error": "Error", "warning": "Warning", "notice": "Notice"}


def line_of(command: Command) -> str | None:
    """The line that a log has for a command: annotations with their place, the title of a group. None: it shows nothing."""
    if command.name == "group":
        return f"▾ {command.data}"
    word = _WORDS.get(command.name)
    if word is None:
        return None
    properties = command.properties
    place = ":".join(part for part in (properties.get("file"), properties.get("line"), properties.get("col")) if part)
    title = properties.get("title")
    return ": ".join(part for part in (word, place, title, command.data) if part)
