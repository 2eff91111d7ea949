"""The two dialects of the workflow language: which files are written in which, and what the one table of keys says in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_

from sparki_daemon.model.dataclass import replace
from sparki_daemon.pipeline.schema import Dialect, Key, Kind, ListOf, MapOf, OneOf, Record

SPARKI_FOLDER = ".sparki/pipelines"
SUFFIXES = (".yml", ".yaml")


def dialect_of(file: str) -> Dialect:
    """The dialect of a pipeline file: that of its folder, and GitHub's wherever else it lies."""
    return Dialect.SPARKI if f"/{file}".rpartition("/")[0].endswith(f"/{SPARKI_FOLDER}") else Dialect.GITHUB


def replaced(files: Iterable[str]) -> dict[str, str]:
    """GitHub's files that one of Sparki's stands for, as it has the same stem: what `ci` means is then never in doubt."""
    paths = list(files)
    own = {_stem(path): path for path in paths if dialect_of(path) is Dialect.SPARKI}
    return {path: own[_stem(path)] for path in paths if dialect_of(path) is Dialect.GITHUB and _stem(path) in own}


def _stem(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] if name.endswith(SUFFIXES) else name


def in_dialect(kind: Kind, dialect: Dialect) -> Kind:
    """A part of the table as one dialect has it: without the keys and kinds of the other, and with its own required keys."""
    # What is the same in both stays the same object: a copy of the whole table would take milliseconds of every command that reads it.
    if isinstance(kind, Record):
        keys = _keys(kind.keys, dialect)
        return kind if keys is kind.keys else replace(kind, keys=keys)
    if isinstance(kind, MapOf):
        value, rest = in_dialect(kind.value, dialect), _keys(kind.rest, dialect)
        return kind if value is kind.value and rest is kind.rest else replace(kind, value=value, rest=rest)
    if isinstance(kind, ListOf):
        item = in_dialect(kind.item, dialect)
        return kind if item is kind.item else replace(kind, item=item)
    if isinstance(kind, OneOf):
        options = tuple(in_dialect(option, dialect) for option in kind.options if option.only is None or option.only is dialect)
        return kind if len(options) == len(kind.options) and all(map(is_, options, kind.options)) else replace(kind, options=options)
    return kind


def _keys(keys: Mapping[str, Key], dialect: Dialect) -> Mapping[str, Key]:
    own = {name: _key(key, dialect) for name, key in keys.items() if key.only is None or key.only is dialect}
    return keys if len(own) == len(keys) and all(own[name] is key for name, key in keys.items()) else own


def _key(key: Key, dialect: Dialect) -> Key:
    kind, required = in_dialect(key.kind, dialect), key.required is True or key.required is dialect
    return key if kind is key.kind and required is key.required else replace(key, kind=kind, required=required)
