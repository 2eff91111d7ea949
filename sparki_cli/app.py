"""The same commands through Typer: help, unusual forms, and what is wrong with a command line."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import typer

from sparki_cli.declare import FLAG, MANY, NUMBER, Argument, Command, Option
from sparki_cli.options import COMMANDS, GROUPS
from sparki_daemon.client.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def build(invoke: Callable[[Command, dict[str, Any]], int]) -> typer.Typer:
    """Typer's application; `invoke` is called with the command and the parameters of its function."""
    app = typer.Typer(
        name="sparki",
        help="The CI/CD workshop on your own machine: run a repository's GitHub Actions workflows, fast.",
        add_completion=False,
        no_args_is_help=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_without_command)
    groups = {}
    for name, text in GROUPS.items():
        groups[name] = typer.Typer(help=text, rich_markup_mode=None)
        groups[name].callback(invoke_without_command=True)(_group)
        app.add_typer(groups[name], name=name)
    for command in COMMANDS:
        group, _, name = command.name.rpartition(" ")
        (groups[group] if group else app).command(name, help=command.help)(_function(command, invoke))
    return app


def execute(app: typer.Typer, words: Sequence[str]) -> int:
    """Run one command line. Raises SparkiError for wrong usage, and whatever the command raises."""
    try:
        code = typer.main.get_command(app).main(list(words), prog_name="sparki", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        raise _usage_error(error) from None
    return code if isinstance(code, int) else 0


def _without_command(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False
) -> None:
    if version:
        typer.echo(f"sparki {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _group(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _function(command: Command, invoke: Callable[[Command, dict[str, Any]], int]) -> Callable[..., int]:
    """A function whose signature is the table's: Typer reads options from signatures."""

    def call(**values: Any) -> int:
        for option in command.options:
            if option.kind == MANY:
                values[option.name] = list(values[option.name] or ())
        for argument in command.arguments:
            if argument.many:
                values[argument.name] = list(values[argument.name] or ())
        return invoke(command, values)

    parameters = [*map(_argument, command.arguments), *map(_option, command.options)]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # this is how a signature is replaced
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _argument(argument: Argument) -> inspect.Parameter:
    declared: Any = list[str] if argument.many else str
    if not argument.required:
        declared = declared | None
    info = typer.Argument(metavar=argument.metavar + ("…" if argument.many else ""), help=argument.help)
    default = inspect.Parameter.empty if argument.required else None
    return inspect.Parameter(argument.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[declared, info])


def _option(option: Option) -> inspect.Parameter:
    declared: Any = {FLAG: bool, NUMBER: int, MANY: list[str]}.get(option.kind, str)
    if option.choices:
        declared = Literal[option.choices]
    if option.kind != FLAG:
        declared = declared | None
    least = 1 if option.kind == NUMBER else None
    info = typer.Option(*option.flags, help=option.help, metavar=option.metavar or None, min=least)
    default = None if option.kind == MANY else option.default
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[declared, info])


def _usage_error(error: typer.exceptions.TyperException) -> Exception:
    from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # only errors need it

    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "sparki"
    message = error.format_message().rstrip(".")
    return SparkiError(Problem(code="usage", message=message[:1].lower() + message[1:], hint=f"see `{where} --help`"))
