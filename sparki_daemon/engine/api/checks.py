"""Holds a value against a schema of the API's table. Pure; a small part of JSON Schema, which is all that the table uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from sparki_daemon.model.problem import Problem

Schema = Mapping[str, Any]

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_WORDS = {"true": True, "false": False}
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def problems_of(schema: Schema, value: Any, where: str = "") -> Iterator[Problem]:
    """Every way in which `value` is not what `schema` says; `where` names it to the user ('' is the body as a whole)."""
    kinds = _kinds(schema)
    if kinds and not any(_KINDS[kind](value) for kind in kinds):
        yield _bad(where, f"must be {' or '.join(kinds)}")
        return
    if "enum" in schema and value not in schema["enum"]:
        yield _bad(where, f"must be one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, str):
        yield from _text(schema, value, where)
    elif isinstance(value, int) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield _bad(where, f"must be at least {schema['minimum']}")
        if value > schema.get("maximum", value):
            yield _bad(where, f"must be at most {schema['maximum']}")
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield _bad(where, f"must have at most {schema['maxItems']} items")
        for number, item in enumerate(value):
            yield from problems_of(schema.get("items", {}), item, f"{where}[{number}]")
    elif isinstance(value, dict):
        yield from _object(schema, value, where)


def with_defaults(schema: Schema, value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` with the default of every property that it lacks."""
    defaults = {name: part["default"] for name, part in schema.get("properties", {}).items() if "default" in part}
    return {**defaults, **value}


def from_text(schema: Schema, texts: Sequence[str]) -> Any:
    """What the texts of one parameter mean to its schema. Raises ValueError with what is wrong."""
    kind = _kinds(schema)[0]
    if kind == "array":
        return list(texts)
    if len(texts) > 1:
        raise ValueError("may be given once")
    text = texts[0]
    if kind == "integer":
        if not _INTEGER.fullmatch(text):
            raise ValueError("must be a whole number")
        return int(text)
    if kind == "boolean":
        if text not in _WORDS:
            raise ValueError("must be true or false")
        return _WORDS[text]
    return text


def unknown(name: str, known: Sequence[str], what: str) -> Problem:
    """A key that the table doesn't have; the nearest one is the hint."""
    near = get_close_matches(name, known, 1)
    return Problem(code="unknown_key", message=f"there is no {what} '{name}'", hint=f"did you mean '{near[0]}'?" if near else "")


def _kinds(schema: Schema) -> Sequence[str]:
    kinds: str | list[str] = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _text(schema: Schema, value: str, where: str) -> Iterator[Problem]:
    if len(value) < schema.get("minLength", 0):
        yield _bad(where, "must not be empty")
    if len(value) > schema.get("maxLength", len(value)):
        yield _bad(where, f"must have at most {schema['maxLength']} characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _bad(where, schema.get("description") or f"must match {schema['pattern']}")


def _object(schema: Schema, value: Mapping[str, Any], where: str) -> Iterator[Problem]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield _bad(_inside(where, name), "is required")
    others = schema.get("additionalProperties", {})
    for name, item in value.items():
        if name in properties:
            yield from problems_of(properties[name], item, _inside(where, name))
        elif others is False:
            yield unknown(_inside(where, name), list(properties), "key")
        else:
            yield from problems_of(others, item, _inside(where, name))


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _bad(where: str, what: str) -> Problem:
    return Problem(code="bad_value", message=f"'{where}' {what}" if where else f"the body {what}")
