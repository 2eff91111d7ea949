"""How each shell is called. Source: actions/runner, ScriptHandlerHelpers."""

from __future__ import annotations

import pytest

from sparki_daemon.runner.shells import ShellError, default, named


@pytest.mark.parametrize(
    ("shell", "command", "ending"),
    [
        ("bash", ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "/t/s"], ".sh"),
        ("sh", ["sh", "-e", "/t/s"], ".sh"),
        ("python", ["python", "/t/s"], ".py"),
        ("pwsh", ["pwsh", "-command", ". '/t/s'"], ".ps1"),
        ("powershell", ["powershell", "-command", ". '/t/s'"], ".ps1"),
        ("bash -x {0}", ["bash", "-x", "/t/s"], ".sh"),
        ("/opt/perl -w {0} last", ["/opt/perl", "-w", "/t/s", "last"], ""),
        ("node --import='a b' file:{0}", ["node", "--import=a b", "file:/t/s"], ""),
    ],
)
def test_a_shell_by_name(shell: str, command: list[str], ending: str) -> None:
    made = named(shell)

    assert made.command("/t/s") == command
    assert made.ending == ending


@pytest.mark.parametrize("shell", ["", "fish", "perl -w", "{0}", "bash 'x {0}"])
def test_what_is_no_shell(shell: str) -> None:
    with pytest.raises(ShellError):
        named(shell)


def test_powershell_stops_at_errors_and_gives_the_last_exit_code() -> None:
    made = named("pwsh")

    assert made.before.startswith("$ErrorActionPreference = 'stop'")
    assert "exit $LASTEXITCODE" in made.after
    assert named("pwsh -noprofile {0}")[3:] == made[3:]


def test_no_shell_named_is_bash_without_pipefail_or_sh() -> None:
    assert default(has_bash=True).command("s") == ["bash", "-e", "s"]
    assert default(has_bash=False).command("s") == ["sh", "-e", "s"]
