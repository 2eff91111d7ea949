"""How a command, its words and its options are declared: plain data, loaded by every command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAG, TEXT, NUMBER, MANY = "flag", "text", "number", "many"  # what an option takes: nothing, a word, a count from 1, a word each time


class Option:
    """`flags` are what is typed; `name` is the parameter of the command's function."""

    __slots__ = ("choices", "default", "flags", "help", "kind", "metavar", "name")

    def __init__(
        self,
        name: str,
        flags: tuple[str, ...],
        kind: str,
        text: str,
        *,
        metavar: str = "",
        choices: tuple[str, ...] = (),
        default: Any = None,
    ) -> None:
        self.name = name
        self.flags = flags
        self.kind = kind
        self.help = text
        self.metavar = metavar
        self.choices = choices
        self.default: Any = False if kind == FLAG else [] if kind == MANY else default


class Argument:
    """A word by its place; `many` takes all that are left."""

    __slots__ = ("help", "many", "metavar", "name", "required")

    def __init__(self, name: str, metavar: str, text: str, *, many: bool = False, required: bool = False) -> None:
        self.name = name
        self.metavar = metavar
        self.help = text
        self.many = many
        self.required = required


class Command:
    """`function` is "module:name"; it takes the output, and the values by the names of arguments and options."""

    __slots__ = ("arguments", "function", "help", "name", "options")

    def __init__(
        self, name: str, function: str, text: str, *, arguments: tuple[Argument, ...] = (), options: tuple[Option, ...] = ()
    ) -> None:
        self.name = name  # "daemon start": a command of the group `daemon`
        self.function = function
        self.help = text
        self.arguments = arguments
        self.options = (*options, *COMMON)


COMMON = (
    Option("as_json", ("--json",), FLAG, "Answer in JSON."),
    Option("jq", ("--jq",), TEXT, "Answer in JSON, filtered by a jq expression; on a stream, each line.", metavar="EXPR"),
    Option("quiet", ("--quiet", "-q"), FLAG, "Say less: results and errors only."),
    Option("verbose", ("--verbose", "-v"), FLAG, "Say more."),
    Option("no_color", ("--no-color",), FLAG, "No colour."),
)
DIRECTORY = Option("directory", ("--directory", "-C"), TEXT, "Work as if started in DIR.", metavar="DIR")
