"""The front door: a command line in, an exit code out, and every error in one shape.

Commands are parsed from the option table, and load what they need and no more: Typer alone would take longer than most of
them do. Help, errors and unusual forms go through `sparki_cli.app`.
"""

# ruff: noqa: PLC0415  # imports stand where a command needs them: each one is paid for by every other command

from __future__ import annotations

import os
import signal
import sys

from sparki_cli.declare import Command
from sparki_cli.options import command_in, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def main() -> NoReturn:
    """The `sparki` program."""
    # Leaving at once is right until a run was started, and leaves no traceback, whatever was going on
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    _mend_descriptors()
    code = execute(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 1
    os._exit(code)  # nothing is left to tidy up, and the interpreter's own way out takes 2 ms


def execute(words: list[str]) -> int:
    """Do what a command line says; the exit code. Every error was told when this comes back."""
    try:
        return _dispatch(words)
    except BrokenPipeError:
        return _reader_went()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _tell(error, words)


def _dispatch(words: list[str]) -> int:
    if words == ["--version"]:
        from sparki_daemon.client.version import VERSION

        os.write(1, f"sparki {VERSION}\n".encode())
        return 0
    if words[:3] == ["completion", "words", "--"]:  # asked by a shell at a key press: the quickest way
        from sparki_cli.completion import answer

        return answer(words[3:])
    if words[:1] == ["hook"]:  # asked by a hook that `sparki bind` wrote: nothing that people type
        from sparki_cli.hook import answer as hook

        return hook(words[1:])
    found = command_in(words)
    if found is not None:
        values = parse(*found)
        if values is not None:
            return _invoke(found[0], values)
    from sparki_cli import app

    return app.execute(app.build(_invoke), words)


def _invoke(command: Command, values: dict[str, Any]) -> int:
    from importlib import import_module

    from sparki_cli.render import Output

    expression = values.pop("jq")
    output = Output.of(
        os.environ,
        as_json=values.pop("as_json") or expression is not None,
        quiet=values.pop("quiet"),
        verbose=values.pop("verbose"),
        no_color=values.pop("no_color"),
    )
    if expression is not None:
        from sparki_cli.jq_filter import JqFilter

        output.jq = JqFilter(expression)  # before anything is begun: a wrong one is a usage error
    module, _, name = command.function.partition(":")
    return int(getattr(import_module(module), name)(output, **values))


def _tell(error: Exception, words: list[str]) -> int:
    """Say what went wrong, and give the exit code that it means."""
    from sparki_cli.problems import as_sparki_error
    from sparki_cli.render import Output

    told = as_sparki_error(error)
    output = Output.of(os.environ, as_json="--json" in words, quiet=False, verbose=False, no_color="--no-color" in words)
    try:
        output.error(told)
    except OSError:  # nobody is left to be told: the exit code says it
        return int(told.exit_code)
    return int(told.exit_code)


def _reader_went() -> int:
    """Whoever read our output has left: go as programs go then, by SIGPIPE, and silently."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    return 1


def _mend_descriptors() -> None:
    """Open what the caller closed of the three standard descriptors: else the next file would become our output."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # lives as long as the process


if __name__ == "__main__":
    main()
