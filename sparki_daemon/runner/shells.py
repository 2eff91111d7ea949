"""How a shell is called: the argument list, the script's ending and what stands around it. Pure."""

from __future__ import annotations

import shlex
from typing import NamedTuple

_ARGUMENTS = {
    "bash": ("--noprofile", "--norc", "-e", "-o", "pipefail", "{0}"),
    "sh": ("-e", "{0}"),
    "python": ("{0}",),
    "pwsh": ("-command", ". '{0}'"),
    "powershell": ("-command", ". '{0}'"),
    "cmd": ("/D", "/E:ON", "/V:OFF", "/S", "/C", 'CALL "{0}"'),
}
_ENDINGS = {"bash": ".sh", "sh": ".sh", "python": ".py", "pwsh": ".ps1", "powershell": ".ps1", "cmd": ".cmd"}
_BEFORE = dict.fromkeys(("pwsh", "powershell"), "$ErrorActionPreference = 'stop'\n") | {"cmd": "@echo off\n"}
_AFTER = dict.fromkeys(("pwsh", "powershell"), "\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }")


class ShellError(Exception):
    """A `shell:` that can't be one."""


class Shell(NamedTuple):
    """A shell, ready for a script."""

    program: str  # a name to look up in PATH, or a path
    arguments: tuple[str, ...]  # with {0} where the script's path goes
    ending: str
    before: str = ""
    after: str = ""

    def command(self, script: str) -> list[str]:
        """The argument list for the script at a path."""
        return [self.program, *[argument.replace("{0}", script) for argument in self.arguments]]


def named(shell: str) -> Shell:
    """What `shell:` means: a known name, or a command with {0} in it.

    Raises ShellError for anything else. Source: actions/runner, ScriptHandlerHelpers.
    """
    known = _ARGUMENTS.get(shell)
    if known:
        return Shell(shell, known, _ENDINGS[shell], _BEFORE.get(shell, ""), _AFTER.get(shell, ""))
    try:
        words = shlex.split(shell)
    except ValueError as error:
        raise ShellError(f"shell '{shell}' can't be split into words: {error}") from None
    if not words or not any("{0}" in word for word in words[1:]):
        raise ShellError(f"shell '{shell}' is none of {', '.join(_ARGUMENTS)}, and no command with {{0}} for the script")
    return Shell(words[0], tuple(words[1:]), _ENDINGS.get(words[0], ""), _BEFORE.get(words[0], ""), _AFTER.get(words[0], ""))


def default(*, has_bash: bool) -> Shell:
    """The shell of a step that names none: bash without pipefail, else sh."""
    return Shell("bash" if has_bash else "sh", ("-e", "{0}"), ".sh")
