"""The table of keys as a JSON Schema, for editors that complete and check while one writes.

Source: JSON Schema, draft-07, which editors of YAML understand best.
"""

from __future__ import annotations

from typing import Any

from sparki_daemon.pipeline.keys import language
from sparki_daemon.pipeline.schema import Anything, Dialect, Flag, Key, Kind, ListOf, MapOf, Nothing, Number, OneOf, Place, Record, Text
from sparki_daemon.pipeline.settings_file import SETTINGS

_EXPRESSION = {"type": "string", "pattern": r"\$\{\{"}
_SCALAR = ["string", "number", "boolean", "null"]


def workflow_schema(dialect: Dialect = Dialect.GITHUB) -> dict[str, Any]:
    """The schema of a workflow file of a dialect. What stands in expressions is not in it: `sparki validate` knows."""
    title = "Workflow" if dialect is Dialect.GITHUB else "Sparki pipeline"
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, **schema_of(language(dialect))}


def settings_schema() -> dict[str, Any]:
    """The schema of `sparki.yml`. What must fit together in it, such as names of environments, is not in it: its reader knows."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "sparki.yml", **schema_of(SETTINGS)}


def schema_of(kind: Kind, place: Place | None = None) -> dict[str, Any]:
    """The schema of a kind of value; `place` says whether an expression may stand for it."""
    place = kind.place or place
    found = _plain(kind, place)
    if place is None or isinstance(kind, Text | OneOf | Anything | Nothing):
        if isinstance(kind, Text) and kind.choices and place is not None:
            return {"anyOf": [found, _EXPRESSION]}
        return found
    return {"anyOf": [found, _EXPRESSION]}


def _plain(kind: Kind, place: Place | None) -> dict[str, Any]:
    if isinstance(kind, Text):
        return _text(kind)
    if isinstance(kind, Flag):
        return {"type": "boolean"}
    if isinstance(kind, Number):
        return {"type": "number", "minimum": 0}
    if isinstance(kind, Nothing):
        return {"type": "null"}
    if isinstance(kind, ListOf):
        return {"type": "array", "items": schema_of(kind.item, place)}
    if isinstance(kind, MapOf):
        rest = {name: _key(key, place) for name, key in kind.rest.items()}
        return {"type": "object", **({"properties": rest} if rest else {}), "additionalProperties": schema_of(kind.value, place)}
    if isinstance(kind, Record):
        return _record(kind, place)
    if isinstance(kind, OneOf):
        options = [schema_of(option, place) for option in kind.options]
        whole = [_EXPRESSION] if place is not None and not any(isinstance(option, Text) for option in kind.options) else []
        return {"anyOf": [*options, *whole]}
    return {}


def _text(kind: Text) -> dict[str, Any]:
    if kind.choices:
        return {"enum": list(kind.choices)}
    if kind.nonempty:
        return {"type": _SCALAR[:3], "minLength": 1}
    return {"type": _SCALAR}


def _record(kind: Record, place: Place | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": {name: _key(key, place) for name, key in kind.keys.items()}}
    required = [name for name, key in kind.keys.items() if key.required]
    if required:
        found["required"] = required
    if kind.computed:
        found["patternProperties"] = {r"\$\{\{": {}}
    return {**found, "additionalProperties": kind.lenient}


def _key(key: Key, place: Place | None) -> dict[str, Any]:
    about = key.doc + (f" Sparki can't run it: {key.refused}." if key.refused else "")
    return {"description": about, **schema_of(key.kind, place)}
