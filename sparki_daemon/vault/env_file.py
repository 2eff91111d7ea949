"""Reads files of NAME=value lines."""

from __future__ import annotations

from sparki_daemon.model.problem import Position, Problem, SparkiError


def read_env_file(path: str, shown: str, *, secret: bool = False, lenient: bool = False) -> dict[str, str]:
    r"""NAME=value lines; `#` comments; in double quotes `\n` is a line end. Source: the public interface, "Commands".

    `shown` is what errors call it. `secret`: no error tells what a line holds. `lenient`: lines of other forms are passed over.
    Raises SparkiError: `unreadable_file`, `bad_env_file` with the line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text_of(path, shown).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.removeprefix("export ").partition("=")
        if lenient and not (sign and name.strip()):
            continue
        if not sign or not name.strip():
            message = "the line is no NAME=value" if secret else f"'{stripped[:40]}' is no NAME=value"
            raise SparkiError(Problem(code="bad_env_file", message=message, at=Position(shown, number, 1), hint="one NAME=value a line"))
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace("\\n", "\n").replace('\\"', '"')
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value


def text_of(path: str, shown: str) -> str:
    """A file's text. Raises SparkiError `unreadable_file`."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SparkiError(Problem(code="unreadable_file", message=f"can't read {shown}: {reason}")) from None
