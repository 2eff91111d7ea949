"""Turn ordered pairs of templates (env, with, outputs) into texts, with what expressions put in as keys or as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sparki_daemon.model.plan import Pairs, Template
from sparki_daemon.pipeline.expression.error import EVALUATION, ExpressionError
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.expression.values import Value, is_primitive, kind_of, to_string

WHOLE = ""
"""The name of a pair whose template gives an object, all pairs of which are meant."""
_INSERT = re.compile(r"\s*\$\{\{\s*insert\s*\}\}\s*", re.IGNORECASE)


def is_insert(key: str) -> bool:
    """Whether a key is `${{ insert }}`: the pairs of its value stand in its place."""
    return OPEN in key and _INSERT.fullmatch(key) is not None


def texts(pairs: Pairs, value: Callable[[Template, str], Value]) -> Iterator[tuple[str, str]]:
    """Each name with its text, in order.

    `value` computes a template; its second argument is the name that the template stands under, for messages. Templates without a
    line are not computed: `by_hand` made them.
    Raises what `value` raises, and ExpressionError for an object that is none or holds lists or objects, and for a name that
    comes twice with a computed one.
    Source: actions/runner, ObjectTemplating/TemplateEvaluator.cs, HandleMappingWithAllLooseProperties.
    """
    if all(name and OPEN not in name for name, _ in pairs):
        for name, template in pairs:
            computed = OPEN in template.text and template.line
            yield name, to_string(value(template, name)) if computed else template.text
        return
    yield from ((name, template.text) for name, template in pairs if not template.line)  # given by hand: what the file says wins
    seen: set[str] = set()
    for name, text in _computed([pair for pair in pairs if pair[1].line], value):
        if name.lower() in seen:
            raise ExpressionError(EVALUATION, f"'{name}' is already defined")
        seen.add(name.lower())
        yield name, text


def by_hand(values: Mapping[str, str]) -> Pairs:
    """Values that no file holds, as pairs to put before a file's: they are texts whatever they look like."""
    return tuple((name, Template(value)) for name, value in values.items())


def _computed(pairs: Sequence[tuple[str, Template]], value: Callable[[Template, str], Value]) -> Iterator[tuple[str, str]]:
    for name, template in pairs:
        if name:
            key = to_string(value(Template(name, template.line, template.column), name)) if OPEN in name else name
            yield key, to_string(value(template, key))
            continue
        found = value(template, name)
        if not isinstance(found, Mapping):
            raise ExpressionError(EVALUATION, f"a mapping is wanted, and this is of the kind {kind_of(found)}")
        for key, item in found.items():
            if not is_primitive(item):
                raise ExpressionError(EVALUATION, f"the value of '{key}' must be a text, and is of the kind {kind_of(item)}")
            yield str(key), to_string(item)
