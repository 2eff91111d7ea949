"""`sparki secret set`, `ls` and `rm`: a project's secrets, without a daemon."""

from __future__ import annotations

import sys

from sparki_cli.connect import own_directory, own_paths
from sparki_cli.render import Output, printable
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.source.repository import find
from sparki_daemon.vault.names import checked
from sparki_daemon.vault.store import Secrets

_MOST_BYTES = 256 * 1024


def set_secret(output: Output, *, words: list[str], directory: str | None) -> int:
    """Keep the value that standard input has; from a terminal it is asked for, and not shown."""
    if len(words) > 1:  # a value in a word: don't repeat it
        checked("=")
    if not words:
        raise SparkiError(Problem(code="wrong_usage", message="which secret?", hint="sparki secret set NAME < FILE"))
    name = checked(words[0])
    project = _project(directory)
    value = _asked(name) if sys.stdin.isatty() else _read(name)
    place = Secrets(own_paths().state).put(project, name, value)
    if output.as_json:
        output.document({"name": name, "store": place})
    else:
        where = "in the keyring" if place == "keyring" else "in the vault: encrypted, with a key that any program of your account can read"
        output.note(f"{name} is kept {where}")
    return 0


def list_secrets(output: Output, *, directory: str | None) -> int:
    """The names of the project's secrets, and where each is kept."""
    places = Secrets(own_paths().state).places(_project(directory))
    if output.as_json:
        output.document({"secrets": [{"name": name, "store": place} for name, place in places.items()]})
    elif places:
        output.table([(output.styled(printable(name), "bold"), place) for name, place in places.items()], ("NAME", "KEPT IN"))
    else:
        output.note("this project has no secrets: sparki secret set NAME")
    return 0


def remove_secret(output: Output, *, name: str, directory: str | None) -> int:
    """Remove one of the project's secrets."""
    known = checked(name)
    Secrets(own_paths().state).remove(_project(directory), known)
    if output.as_json:
        output.document({"name": known, "removed": True})
    else:
        output.note(f"{known} is removed")
    return 0


def _project(directory: str | None) -> str:
    return find(own_directory(directory)).common_dir


def _asked(name: str) -> str:
    from getpass import getpass  # noqa: PLC0415  # only a terminal is asked

    return _not_empty(name, getpass(f"Value of {name} (it is not shown): "))


def _read(name: str) -> str:
    """What standard input holds, without the one line end that `echo` adds."""
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise SparkiError(Problem(code="secret_too_large", message=f"a secret may have {_MOST_BYTES} bytes"))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SparkiError(Problem(code="bad_secret", message="a secret must be UTF-8 text", hint="base64 keeps other bytes")) from None
    return _not_empty(name, text.removesuffix("\n").removesuffix("\r"))


def _not_empty(name: str, value: str) -> str:
    if not value.strip() or "\0" in value:
        message = f"the value of {name} is empty" if not value.strip() else f"the value of {name} has a NUL in it"
        raise SparkiError(Problem(code="bad_secret", message=message, hint=f"sparki secret set {name} < FILE, or type it at the prompt"))
    return value
