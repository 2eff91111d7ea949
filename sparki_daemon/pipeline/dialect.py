"""The two dialects of the workflow language: which files are written in which, and what the one table of keys says in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

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
    if isinstance(kind, Record):
        return replace(kind, keys=_keys(kind.keys, dialect))
    if isinstance(kind, MapOf):
        return replace(kind, value=in_dialect(kind.value, dialect), rest=_keys(kind.rest, dialect))
    if isinstance(kind, ListOf):
        return replace(kind, item=in_dialect(kind.item, dialect))
    if isinstance(kind, OneOf):
        return replace(kind, options=tuple(in_dialect(option, dialect) for option in kind.options if option.only in {None, dialect}))
    return kind


def _keys(keys: Mapping[str, Key], dialect: Dialect) -> dict[str, Key]:
    return {
        name: replace(key, kind=in_dialect(key.kind, dialect), required=key.required in {True, dialect})
        for name, key in keys.items()
        if key.only in {None, dialect}
    }
