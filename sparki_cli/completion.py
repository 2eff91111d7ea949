"""What may stand at the cursor of a half-written command line, from the option table and from what there is."""

from __future__ import annotations

import os

from sparki_cli.declare import FLAG, MANY, Command, Option
from sparki_cli.options import COMMANDS, GROUPS, command_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sparki_cli.render import Output

SCRIPTS = {
    "bash": """\
_sparki() { local IFS=$'\\n'; COMPREPLY=($(sparki completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)); }
complete -o default -F _sparki sparki
""",
    "zsh": """\
#compdef sparki
_sparki() {
  local -a found
  found=(${(f)"$(sparki completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -a found || _files
}
compdef _sparki sparki
""",
    "fish": """\
complete -c sparki -f -a '(sparki completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}
PIPELINE_FOLDERS = (".github/workflows", ".sparki/pipelines")
RUNS_LIMIT = 30


def completion(output: Output, *, shell: str) -> int:
    """Print the script that a shell must read."""
    if shell in SCRIPTS:
        output.raw(SCRIPTS[shell])
        return 0
    from sparki_daemon.model.problem import Problem, SparkiError  # noqa: PLC0415  # only errors need it

    raise SparkiError(Problem(code="usage", message=f"no script for the shell '{shell}'", hint=f"there are: {', '.join(SCRIPTS)}"))


def answer(words: list[str]) -> int:
    """Print a candidate a line for the last of `words`; nothing, rather than an error, where there is something wrong."""
    try:
        found = candidates(words)
    except Exception:  # a shell waits at a key press: it can do nothing with an error
        found = []
    os.write(1, "".join(f"{word}\n" for word in found).encode("utf-8", "surrogateescape"))
    return 0


def candidates(words: list[str]) -> list[str]:
    """What the last word, which may be empty, can become."""
    *before, last = words or [""]
    found = command_in(before)
    names = _names(before) if found is None else _in_command(*found, last)
    return [name for name in names if name.startswith(last)]


def _names(before: list[str]) -> list[str]:
    """Commands of the top, or of a group."""
    if not before:
        return [*(command.name for command in COMMANDS if " " not in command.name), *GROUPS, "--help", "--version"]
    return [command.name.split(" ")[1] for command in COMMANDS if command.name.split(" ")[:-1] == before]


def _in_command(command: Command, before: list[str], last: str) -> list[str]:
    options = {flag: option for option in command.options for flag in option.flags}
    waiting = options.get(before[-1]) if before else None
    if waiting is not None and waiting.kind != FLAG:
        return list(waiting.choices) or (_jobs(None) if waiting.name == "jobs" else [])
    if last.startswith("-"):
        return [flag for flag, option in options.items() if option.kind == MANY or not set(option.flags) & set(before)] + ["--help"]
    places = _places(options, before)
    if len(places) < len(command.arguments):
        wanted = command.arguments[len(places)]
    elif command.arguments and command.arguments[-1].many:
        wanted = command.arguments[-1]
    else:
        return []
    if wanted.name == "run":
        return _runs()
    if wanted.name == "job":
        return _jobs(places[0])
    return {"pipelines": _pipelines(), "shell": list(SCRIPTS)}.get(wanted.name, [])


def _places(options: dict[str, Option], before: list[str]) -> list[str]:
    """The words that are neither options nor their values."""
    places = []
    rest = iter(before)
    for word in rest:
        option = options.get(word)
        if option is not None and option.kind != FLAG:
            next(rest, None)
        elif not word.startswith("-"):
            places.append(word)
    return places


def _runs() -> list[str]:
    from sparki_cli.connect import connect, own_directory  # noqa: PLC0415  # most words need no engine
    from sparki_cli.render import Output  # noqa: PLC0415

    return ["latest", *(run["id"] for run in connect(Output(quiet=True), may_start=False).list_runs(own_directory(None), RUNS_LIMIT))]


def _jobs(run: str | None) -> list[str]:
    """Jobs of a run; of the latest where none is named yet."""
    from sparki_cli.connect import connect, own_directory  # noqa: PLC0415
    from sparki_cli.render import Output  # noqa: PLC0415

    shown = connect(Output(quiet=True), may_start=False).show_run(run or "latest", own_directory(None))
    return [job["id"] for job in shown["jobs"]]


def _pipelines() -> list[str]:
    """Stems of the pipeline files of the repository that this folder is in; none is read."""
    root = os.getcwd()
    while not os.path.exists(f"{root}/.git"):
        if root == "/":
            return []
        root = os.path.dirname(root)
    stems = []
    for folder in PIPELINE_FOLDERS:
        if os.path.isdir(f"{root}/{folder}"):
            stems += [name.rsplit(".", 1)[0] for name in os.listdir(f"{root}/{folder}") if name.endswith((".yml", ".yaml"))]
    return sorted(stems)
