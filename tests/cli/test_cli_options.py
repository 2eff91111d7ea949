from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from sparki_cli import app
from sparki_cli.declare import FLAG, MANY, NUMBER, Command, Option
from sparki_cli.options import COMMANDS, command_in, parse
from sparki_daemon.model.problem import ExitCode, SparkiError

WORDS = [argument for command in COMMANDS for argument in command.arguments]


def places(command: Command) -> list[str]:
    return [argument.name for argument in command.arguments if argument.required]


def by_typer(command: Command, words: list[str]) -> dict[str, Any]:
    got: list[dict[str, Any]] = []

    def invoke(_: Command, values: dict[str, Any]) -> int:
        got.append(values)
        return 0

    app.execute(app.build(invoke), [*command.name.split(), *words])
    return got[0]


def value_of(option: Option) -> str:
    return option.choices[-1] if option.choices else "7" if option.kind == NUMBER else "some value"


def lines_of(command: Command) -> list[list[str]]:
    """Command lines that use every option of a command in every plain way, alone and all together."""
    lines: list[list[str]] = [[]]
    together: list[str] = []
    for option in command.options:
        for flag in option.flags:
            if option.kind == FLAG:
                lines.append([flag])
            else:
                lines.append([flag, value_of(option)])
                if flag.startswith("--"):
                    lines.append([f"{flag}={value_of(option)}"])
            if option.kind == MANY:
                lines.append([flag, "one", flag, "two"])
        together += [option.flags[-1]] if option.kind == FLAG else [option.flags[-1], value_of(option)]
    lines.append(together)
    return [[*line, *places(command)] for line in lines] + [[*places(command), *line] for line in lines]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_both_parsers_understand_every_option_alike(command: Command) -> None:
    for line in lines_of(command):
        plain = parse(command, line)
        assert plain is not None, line
        assert plain == by_typer(command, line), line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_both_parsers_take_the_same_words(command: Command) -> None:
    words = ["one"] * (3 if any(argument.many for argument in command.arguments) else len(command.arguments))
    assert parse(command, words) == by_typer(command, words)
    if not any(argument.many for argument in command.arguments):
        assert parse(command, [*words, "one more"]) is None


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_commands_function_takes_what_the_table_says(command: Command) -> None:
    module, _, name = command.function.partition(":")
    parameters = list(inspect.signature(getattr(import_module(module), name)).parameters)
    common = {"as_json", "jq", "quiet", "verbose", "no_color"}
    told = {option.name for option in command.options} - common | {argument.name for argument in command.arguments}
    assert parameters[0] == "output"
    assert set(parameters[1:]) == told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_no_flag_stands_for_two_options(command: Command) -> None:
    flags = [flag for option in command.options for flag in option.flags]
    assert len(flags) == len(set(flags))
    assert not {"-h", "--help"} & set(flags)


RUN = command_in(["run"])


@pytest.mark.parametrize(
    "line",
    [
        ["--help"], ["-h"], ["--joob", "x"], ["--job"], ["--job", "--plan"], ["--jobs", "0"], ["--jobs", "-1"], ["--jobs", "x"],
        ["--jobs="],
        ["--workspace", "no"], ["-qv"], ["-C/tmp"], ["--", "-x"], ["--plan=yes"], ["--jo", "x"], ["--jobs", "٣"],
    ],
)  # fmt: skip
def test_whatever_is_not_plain_is_left_to_typer(line: list[str]) -> None:
    assert RUN is not None
    assert parse(RUN[0], line) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [(["-qv"], {"quiet": True, "verbose": True}), (["-C/tmp"], {"directory": "/tmp"}), (["--", "-x"], {"pipelines": ["-x"]})],
)
def test_typer_understands_unusual_forms(line: list[str], expected: dict[str, Any]) -> None:
    assert RUN is not None
    assert expected.items() <= by_typer(RUN[0], line).items()


def test_what_was_parsed_once_does_not_leak_into_the_next_time() -> None:
    assert RUN is not None
    assert parse(RUN[0], ["--job", "a"]) != parse(RUN[0], [])
    assert (parse(RUN[0], []) or {})["jobs"] == []


@pytest.mark.parametrize(
    ("words", "name"), [(["daemon", "stop", "--force"], "daemon stop"), (["runs"], "runs"), (["daemon"], None), ([], None), (["Run"], None)]
)
def test_a_command_is_found_by_its_words(words: list[str], name: str | None) -> None:
    found = command_in(words)
    assert (found and found[0].name) == name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runn"], "did you mean 'run'"),
        (["run", "--joob", "x"], "--job"),
        (["show"], "argument 'RUN'"),
        (["run", "--jobs", "0"], "'--jobs'"),
        (["run", "--workspace", "x"], "'empty', 'source'"),
        (["daemon", "strat"], "start"),
        (["--jsn"], "--jsn"),
    ],
)
def test_wrong_usage_is_a_problem_that_names_the_help(words: list[str], message: str) -> None:
    with pytest.raises(SparkiError) as caught:
        app.execute(app.build(lambda *_: 0), words)
    problem = caught.value.problems[0]
    assert (problem.code, caught.value.exit_code) == ("usage", ExitCode.USAGE)
    assert message.lower() in problem.message.lower()
    assert "--help" in problem.hint


def test_the_exit_code_of_a_command_passes_through_typer() -> None:
    assert app.execute(app.build(lambda *_: 5), ["runs", "-q"]) == 5
