"""The words in which the table of keys is written: what kind of value a key takes, and where expressions may stand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sparki_daemon.model.dataclass import dataclass, field


class Dialect(Enum):
    """Whose files have a part of the table: GitHub's, or those in `.sparki/pipelines`, which have nearly all of it and a little more."""

    GITHUB = "github"
    SPARKI = "sparki"


@dataclass(frozen=True, slots=True)
class Place:
    """Where `${{ }}` stands: the contexts and, beside the pure ones, the functions that have a value there.

    `functions` maps a name to the least and the greatest number of its arguments.
    """

    contexts: tuple[str, ...]
    functions: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a value must be. `place` None: what the surrounding value allows, and no expression where that is None too.

    `only`: the one dialect in which it may stand; None: both.
    """

    place: Place | None = None
    only: Dialect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Kind):
    """Any scalar, as a string; numbers and booleans become one."""

    nonempty: bool = False
    choices: tuple[str, ...] = ()
    condition: bool = False  # an `if`: the whole text is an expression, braces or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Kind):
    """A YAML boolean: `'true'` in quotes is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Kind):
    """A YAML number, not below zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing(Kind):
    """An empty value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything(Kind):
    """Whatever YAML can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf(Kind):
    """A list; `each` is what a message calls an item, such as "step"."""

    item: Kind
    each: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf(Kind):
    """A mapping whose keys are the author's; none may be empty.

    `rest` are keys that have a meaning of their own; `each` is what a message calls a value, such as "job".
    """

    value: Kind
    each: str = ""
    rest: Mapping[str, Key] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Kind):
    """A mapping whose keys the language names. `lenient`: others are allowed, and mean nothing.

    `computed`: keys may hold expressions, where the place lets them stand at all.
    """

    keys: Mapping[str, Key]
    lenient: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Kind):
    """One of several kinds; of several records the one that the keys point to."""

    options: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its value, its meaning in a sentence, and whether Sparki runs what it asks for.

    `refused` is empty where it does; else it says what can't be done, and is the hint of `unsupported_key`. `since` is the version of
    Sparki that has it. `required`: always, or in one dialect. `only`: the one dialect that has it; None: both.
    """

    kind: Kind
    doc: str
    required: bool | Dialect = False
    refused: str = ""
    since: str = "0.1"
    only: Dialect | None = None
