"""Hold a YAML tree against the table of keys, and find every value that is not what the table says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.expression.syntax import Node as Expression
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.pairs import is_insert
from sparki_daemon.pipeline.schema import Anything, Flag, Kind, ListOf, MapOf, Nothing, Number, OneOf, Place, Record, Text
from sparki_daemon.pipeline.spelling import did_you_mean, listed
from sparki_daemon.pipeline.static import check_expressions, condition_of, expressions_of, problem_at
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText

_NO_MERGE = "GitHub knows no merge keys: repeat the keys, or use an alias for a whole value"


class Shape:
    """One check of one file: `problems` and, by the id of its scalar, every expression that could be parsed."""

    def __init__(self, file: str, source: SourceText) -> None:
        self.file = file
        self.source = source
        self.problems: list[Problem] = []
        self.expressions: dict[int, tuple[Expression, ...]] = {}

    def check(self, node: Node, kind: Kind, label: str, place: Place | None = None) -> None:
        """Check a value. `label` is what messages call it, such as `'needs'` or `a step`; `place` is what the values around it allow."""
        place = kind.place or place
        if isinstance(node, ScalarNode) and self._has_expression(node, kind):
            self._expressions(node, kind, label, place or _place_of_text(kind))
        elif isinstance(kind, OneOf):
            self._one_of(node, kind, label, place)
        elif isinstance(kind, Anything):
            self._anything(node, label, place)
        elif isinstance(kind, ListOf) and isinstance(node, SequenceNode):
            for item in node.items:
                self.check(item, kind.item, f"a {kind.each}" if kind.each else label, place)
        elif isinstance(kind, MapOf) and isinstance(node, MappingNode):
            self._map(node, kind, label, place)
        elif isinstance(kind, Record) and isinstance(node, MappingNode):
            self._record(node, [kind], label, place)
        elif not (isinstance(node, ScalarNode) and _accepts(kind, node)):
            self._mismatch(node, kind, label)

    def problem(self, code: str, message: str, node: Node, hint: str = "") -> None:
        at = Position(self.file, node.line, node.column)
        self.problems.append(Problem(code=code, message=message, at=at, hint=hint))

    @staticmethod
    def _has_expression(node: ScalarNode, kind: Kind) -> bool:
        return (isinstance(kind, Text) and kind.condition) or (isinstance(node.value, str) and OPEN in node.value)

    def _expressions(self, node: ScalarNode, kind: Kind, label: str, place: Place | None) -> None:
        if place is None:
            hint = "GitHub reads this value before anything can be computed"
            self.problem("expression_not_allowed", f"{label} can't hold an expression", node, hint)
            return
        read = condition_of if isinstance(kind, Text) and kind.condition else expressions_of
        found = read(node, self.file, self.source)
        if isinstance(found, Problem):
            self.problems.append(found)
            return
        self.expressions[id(node)] = found
        for code, error in check_expressions(found, place, label):
            self.problems.append(problem_at(code, error, node, file=self.file, source=self.source))

    def _one_of(self, node: Node, kind: OneOf, label: str, place: Place | None) -> None:
        if isinstance(node, ScalarNode):
            if any(_accepts(option, node) for option in kind.options):
                return
            scalars = [option for option in kind.options if isinstance(option, Text | Flag | Number)]
            self._mismatch(node, scalars[0] if len(scalars) == 1 and node.text else kind, label)
            return
        if isinstance(node, MappingNode):
            records = [option for option in kind.options if isinstance(option, Record)]
            if records:
                self._record(node, records, label, place)
                return
        wanted = ListOf if isinstance(node, SequenceNode) else MapOf
        for option in kind.options:
            if isinstance(option, wanted | Anything):
                self.check(node, option, label, place)
                return
        self._mismatch(node, kind, label)

    def _anything(self, node: Node, label: str, place: Place | None) -> None:
        if isinstance(node, SequenceNode):
            for item in node.items:
                self.check(item, Anything(), label, place)
        elif isinstance(node, MappingNode):
            for key, value in (*node.pairs, *node.repeated):
                self._plain_key(key, label, place)
                self.check(value, Anything(), label, place)

    def _map(self, node: MappingNode, kind: MapOf, label: str, place: Place | None) -> None:
        for key, value in (*node.pairs, *node.repeated):
            known = kind.rest.get(key.text)
            if not self._plain_key(key, label, place):
                self.check(value, Anything(), label, place)
            elif known is not None:
                self.check(value, known.kind, f"'{key.text}'", place)
            else:
                if not key.text:
                    self.problem("empty_value", f"a key under {label} must not be empty", key)
                if key.text == "<<" and not isinstance(value, ScalarNode):
                    self.problem("wrong_type", f"{label} can't be merged with another mapping", key, _NO_MERGE)
                    continue
                self.check(value, kind.value, f"{kind.each} '{key.text}'".lstrip(), place)

    def _plain_key(self, key: ScalarNode, label: str, place: Place | None, *, computed: bool = True) -> bool:
        """Whether a key is free of expressions. `computed`: Sparki computes them here, as GitHub does wherever they may stand."""
        if OPEN not in key.text:
            return True
        if place is None:
            self.problem("expression_not_allowed", f"a key under {label} can't hold an expression", key)
        elif not computed:
            self.problem("unsupported_expression", f"Sparki can't compute a key under {label}", key, "write the keys out")
        elif not is_insert(key.text):
            self._expressions(key, Text(), f"a key under {label}", place)
        return False

    def _record(self, node: MappingNode, records: Sequence[Record], label: str, place: Place | None) -> None:
        """Check a mapping against the one record of several that its keys point to, in file order."""
        fitting = list(records)
        computed = False
        for key, value in (*node.pairs, *node.repeated):
            if not self._plain_key(key, label, place, computed=records[0].computed):
                computed = True
                if records[0].computed:
                    self.check(value, Anything(), label, place)
                continue
            having = [record for record in fitting if key.text in record.keys]
            if not having:
                self._unknown_key(key, fitting, records, label)
                continue
            fitting = having
            known = fitting[0].keys[key.text]
            self.check(value, known.kind, f"'{key.text}'", known.kind.place or fitting[0].place or place)
            if known.refused:
                self.problem("unsupported_key", f"Sparki can't run {label} with '{key.text}'", key, known.refused)
        if not computed:
            self._missing_keys(node, fitting, label)

    def _unknown_key(self, key: ScalarNode, fitting: Sequence[Record], records: Sequence[Record], label: str) -> None:
        if fitting[0].lenient:
            return
        if any(key.text in record.keys for record in records):
            beside = listed(sorted({name for record in fitting for name, known in record.keys.items() if known.required}))
            self.problem("conflicting_key", f"'{key.text}' can't stand beside '{beside}'", key, "keep one of them")
            return
        names = {name for record in fitting for name in record.keys}
        hint = _NO_MERGE if key.text == "<<" else ""
        hint = hint or did_you_mean(key.text, names) or (f"known here: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else "")
        self.problem("unknown_key", f"{label} has no key '{key.text}'", key, hint)

    def _missing_keys(self, node: MappingNode, fitting: Sequence[Record], label: str) -> None:
        if len(fitting) > 1:
            wanted = listed(f"'{name}'" for record in fitting[:2] for name, key in record.keys.items() if key.required)
            self.problem("missing_key", f"{label} needs the key {wanted}", node)
            return
        there = {key.text.lower() for key, _ in node.pairs}
        for name, key in fitting[0].keys.items():
            if key.required and name.lower() not in there:
                self.problem("missing_key", f"{label} needs the key '{name}'", node)

    def _mismatch(self, node: Node, kind: Kind, label: str) -> None:
        wanted = describe(kind)
        if not isinstance(node, ScalarNode):
            has = "a list" if isinstance(node, SequenceNode) else "a mapping"
            self.problem("wrong_type", f"{label} must be {wanted}, not {has}", node)
        elif isinstance(kind, ListOf | MapOf | Record):
            self.problem("wrong_type", f"{label} must be {wanted}, not {_shown(node)}", node)
        elif not node.text and isinstance(kind, Text) and not kind.choices:
            self.problem("empty_value", f"{label} must not be empty", node)
        else:
            self.problem("wrong_value", f"{label} must be {wanted}, not {_shown(node)}", node, _value_hint(node, kind))


def _place_of_text(kind: Kind) -> Place | None:
    """What the text among several kinds allows."""
    options = kind.options if isinstance(kind, OneOf) else ()
    return next((option.place for option in options if isinstance(option, Text)), None)


def _accepts(kind: Kind, node: ScalarNode) -> bool:
    """Whether a scalar without expressions is of the kind. Source: actions/runner, TemplateReader.Validate."""
    value = node.value
    if isinstance(kind, Text):
        return (not kind.choices or node.text in kind.choices) and (bool(node.text) or not kind.nonempty)
    if isinstance(kind, Flag):
        return isinstance(value, bool)
    if isinstance(kind, Number):
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return value is None if isinstance(kind, Nothing) else isinstance(kind, Anything)


def describe(kind: Kind) -> str:
    """The kind in the words of a message, such as "a string or a list"."""
    if isinstance(kind, OneOf):
        words = dict.fromkeys(describe(option) for option in kind.options if not isinstance(option, Nothing))
        return listed(words)
    if isinstance(kind, Text) and kind.choices:
        return f"one of {', '.join(kind.choices)}" if len(kind.choices) <= 12 else "a known name"
    names: Mapping[type[Kind], str] = {Text: "a string", Flag: "true or false", Number: "a number from 0", ListOf: "a list"}
    return names.get(type(kind), "a mapping")


def _shown(node: ScalarNode) -> str:
    if node.value is None:
        return "empty"
    text = node.text if len(node.text) <= 60 else f"{node.text[:57]}…"
    return f"'{text}'"


def _value_hint(node: ScalarNode, kind: Kind) -> str:
    options = kind.options if isinstance(kind, OneOf) else (kind,)
    for option in options:
        if isinstance(option, Text) and option.choices and (hint := did_you_mean(node.text, option.choices)):
            return hint
        if isinstance(option, Flag | Number) and isinstance(node.value, str) and _unquoted(node.text):
            return "write it without quotes"
        if isinstance(option, Flag) and node.text.lower() in {"yes", "no", "on", "off"}:
            return "YAML 1.2 knows true and false alone"
    return ""


def _unquoted(text: str) -> bool:
    return text in {"true", "false"} or text.replace(".", "", 1).isdigit()
