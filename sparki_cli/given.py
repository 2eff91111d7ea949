"""What a run is given on its command line: K=V words, files of them, an event's payload."""

from __future__ import annotations

import json
import os

from sparki_daemon.model.problem import Position, Problem, SparkiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pairs(flag: str, words: list[str]) -> dict[str, str]:
    """`K=V` words as a mapping, the last of a name wins. Raises SparkiError `wrong_usage` for a word without a name or `=`."""
    return dict(pair(flag, word) for word in words)


def pair(flag: str, word: str) -> tuple[str, str]:
    """One `K=V` word."""
    name, sign, value = word.partition("=")
    if not sign or not name:
        raise SparkiError(Problem(code="wrong_usage", message=f"{flag} takes NAME=VALUE, not '{word}'", hint=f"{flag} NAME=VALUE"))
    return name, value


def environment(words: list[str], files: list[str], directory: str) -> dict[str, str]:
    """The lowest layer of `env`: what `--env-file` files hold, in their order, and over it `--env` words."""
    found: dict[str, str] = {}
    for path in files:
        found |= read_env_file(os.path.join(directory, path), path)
    return found | pairs("--env", words)


def read_env_file(path: str, shown: str) -> dict[str, str]:
    r"""NAME=value lines; `#` comments; in double quotes `\n` is a line end. Source: the public interface, "Commands".

    Raises SparkiError: `unreadable_file`, `bad_env_file` with the line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path, shown).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.removeprefix("export ").partition("=")
        if not sign or not name.strip():
            at = Position(shown, number, 1)
            message = f"'{stripped[:40]}' is no NAME=value"
            raise SparkiError(Problem(code="bad_env_file", message=message, at=at, hint="one NAME=value a line"))
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace("\\n", "\n").replace('\\"', '"')
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value


def payload(path: str | None, directory: str) -> dict[str, Any] | None:
    """The JSON object that `--event-file` names. Raises SparkiError: `unreadable_file`, `bad_event_file` with the place."""
    if path is None:
        return None
    try:
        found = json.loads(_text(os.path.join(directory, path), path))
    except ValueError as error:
        at = Position(path, getattr(error, "lineno", 1), getattr(error, "colno", 1))
        message = f"the event's payload is no JSON: {getattr(error, 'msg', error)}"
        raise SparkiError(Problem(code="bad_event_file", message=message, at=at)) from None
    if not isinstance(found, dict):
        raise SparkiError(Problem(code="bad_event_file", message="the event's payload is no JSON object", at=Position(path, 1, 1)))
    return found


def _text(path: str, shown: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {shown}: {reason}")) from None
