"""What may stand at the cursor of a half-written command line, from the option table and from what there is."""

from __future__ import annotations

import os

from sparki_cli.declare import FLAG, MANY, Command, Option
from sparki_cli.options import COMMANDS, GROUPS, command_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sparki_cli.render import Output
    from sparki_daemon.client.engine import Engine

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
IDS_LIMIT = 30


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
        return list(waiting.choices) or _there_are("job" if waiting.name == "jobs" else waiting.name, _places(options, before[:-1]))
    if last.startswith("-"):
        return [flag for flag, option in options.items() if option.kind == MANY or not set(option.flags) & set(before)] + ["--help"]
    places = _places(options, before)
    if len(places) < len(command.arguments):
        wanted = command.arguments[len(places)]
    elif command.arguments and command.arguments[-1].many:
        wanted = command.arguments[-1]
    else:
        return []
    return _there_are(wanted.name, places)


def _there_are(what: str, places: list[str]) -> list[str]:
    """What can stand for an argument or an option's value of that name, behind the arguments `places`."""
    known: dict[str, Callable[[], list[str]]] = {
        "run": _runs,
        "job": lambda: _jobs(places[0] if places else "latest"),
        "pipelines": _pipelines,
        "shell": lambda: list(SCRIPTS),
        "environment": _environments,
        "source": _environments,
        "release": lambda: _releases(places[0]) if places else [],
        "deployment": _deployments,
    }
    return known[what]() if what in known else []


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


def _engine() -> Engine:
    """The engine that runs, of whatever version: a key press neither starts a daemon nor renews one."""
    from sparki_cli.connect import own_paths  # noqa: PLC0415  # most words need no engine
    from sparki_daemon.client.engine import Engine  # noqa: PLC0415

    return Engine(own_paths(), may_start=False)


def _runs() -> list[str]:
    return ["latest", *(run["id"] for run in _engine().list_runs(os.getcwd(), IDS_LIMIT))]


def _jobs(run: str) -> list[str]:
    return [job["id"] for job in _engine().show_run(run, os.getcwd())["jobs"]]


def _deployments() -> list[str]:
    from sparki_daemon.client.deploy import Deployments  # noqa: PLC0415

    return [one["id"] for one in Deployments(_engine()).listing(os.getcwd(), None, IDS_LIMIT)]


def _releases(environment: str) -> list[str]:
    from sparki_daemon.client.deploy import Deployments  # noqa: PLC0415

    return [one["id"] for one in Deployments(_engine()).releases(os.getcwd(), environment, IDS_LIMIT)]


def _environments() -> list[str]:
    """The environments of `sparki.yml`, by its indentation alone: to load YAML takes longer than a key press may."""
    try:
        with open(f"{_root()}/sparki.yml", encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    except OSError:
        return []
    names: list[str] = []
    inside, depth = False, 0
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if not indent:
            inside = line.partition("#")[0].strip() == "environments:"
            continue
        depth = depth if names else indent
        if inside and indent == depth:
            names.append(line.strip().partition(":")[0].strip("\"'"))
    return names


def _pipelines() -> list[str]:
    """Stems of the pipeline files of the repository that this folder is in; none is read."""
    root = _root()
    stems: set[str] = set()
    for folder in PIPELINE_FOLDERS:
        if os.path.isdir(f"{root}/{folder}"):
            stems |= {name.rsplit(".", 1)[0] for name in os.listdir(f"{root}/{folder}") if name.endswith((".yml", ".yaml"))}
    return sorted(stems)


def _root() -> str:
    """The root of the repository that this folder is in; the root of all where it is in none."""
    root = os.getcwd()
    while root != "/" and not os.path.exists(f"{root}/.git"):
        root = os.path.dirname(root)
    return root
