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
        from sparki_daemon.vault.env_file import read_env_file  # noqa: PLC0415  # few runs are given any

        found |= read_env_file(os.path.join(directory, path), path)
    return found | pairs("--env", words)


def secrets(words: list[str], files: list[str], directory: str) -> tuple[dict[str, str], list[str]]:
    """The secrets that `--secret-file` files hold, over them those of `--secret` that are in the environment; then the names of the rest.

    Raises SparkiError: `secret_on_command_line`, `bad_secret_name`, `unreadable_file`, `bad_env_file`.
    """
    from sparki_daemon.vault.env_file import read_env_file  # noqa: PLC0415  # as above
    from sparki_daemon.vault.names import checked  # noqa: PLC0415  # few runs are given any

    found: dict[str, str] = {}
    for path in files:
        for name, value in read_env_file(os.path.join(directory, path), path, secret=True).items():
            found[checked(name)] = value
    elsewhere: list[str] = []
    for word in words:
        name = checked(word)
        here = os.environ.get(word, os.environ.get(name))
        if here is not None:
            found[name] = here
        elif name not in found:
            elsewhere.append(name)
    return found, elsewhere


def payload(path: str | None, directory: str) -> dict[str, Any] | None:
    """The JSON object that `--event-file` names. Raises SparkiError: `unreadable_file`, `bad_event_file` with the place."""
    if path is None:
        return None
    from sparki_daemon.vault.env_file import text_of  # noqa: PLC0415  # as above

    try:
        found = json.loads(text_of(os.path.join(directory, path), path))
    except ValueError as error:
        at = Position(path, getattr(error, "lineno", 1), getattr(error, "colno", 1))
        message = f"the event's payload is no JSON: {getattr(error, 'msg', error)}"
        raise SparkiError(Problem(code="bad_event_file", message=message, at=at)) from None
    if not isinstance(found, dict):
        raise SparkiError(Problem(code="bad_event_file", message="the event's payload is no JSON object", at=Position(path, 1, 1)))
    return found


def mapped(words: list[str], here: str) -> dict[str, str]:
    """`OWNER/REPO=DIR` words as folders by lower-case name. Raises SparkiError: `wrong_usage`, `no_such_folder`."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, folder = word.partition("=")
        if not sign or not folder or len([part for part in name.split("/") if part]) != 2 or name.count("/") != 1:
            message = f"--action takes OWNER/REPO=DIR, not '{word}'"
            raise SparkiError(Problem(code="wrong_usage", message=message, hint="as in --action octo/tools=../tools"))
        if not os.path.isdir(os.path.join(here, folder)):
            raise SparkiError(Problem(code="no_such_folder", message=f"there is no folder {folder}", hint=f"--action {name}=DIR"))
        found[name.lower()] = folder
    return found
