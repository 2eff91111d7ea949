"""Read YAML as GitHub reads it: version 1.2's core types, positions everywhere, and hard limits before anything grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any  # PyYAML's events have no types of their own

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.expression.values import fold, to_string, whole
from sparki_daemon.pipeline.libyaml import Parser, errors
from sparki_daemon.pipeline.libyaml import events as yaml_events
from sparki_daemon.pipeline.yaml_node import Literal, MappingNode, Node, ScalarNode, SequenceNode

# Source of the limits: actions/runner, Sdk/WorkflowParser/ParseOptions.cs and YamlObjectReader.cs.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_EVENTS = 50_000

# All but what YAML allows (its chapter 5.1): `[^...]` of that would take 8 ms to compile.
_NOT_PRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_TAG = "tag:yaml.org,2002:"
_NUMBER_STARTS = frozenset("+-.0123456789")
_PREFIXED = {"0x": (re.compile(r"0x[0-9a-fA-F]+"), 16), "0o": (re.compile(r"0o[0-7]+"), 8)}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOATS = {
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAGGED: dict[str, tuple[type, ...]] = {
    _TAG + "bool": (bool,),
    _TAG + "int": (int,),
    _TAG + "float": (int, float),
    _TAG + "null": (type(None),),
}
_WORDS: dict[str, Literal] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Stop(Exception):  # noqa: N818  # control flow: one problem ends the reading
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def load(data: bytes, file: str) -> tuple[Node, str]:
    """As `load_with_problems`, but a duplicate key is raised too."""
    root, text, problems = load_with_problems(data, file)
    if problems:
        raise SparkiError(*problems)
    return root, text


def load_with_problems(data: bytes, file: str) -> tuple[Node, str, list[Problem]]:
    """The tree of one YAML document, its text, and every duplicate key. `file` is what positions name.

    Raises SparkiError with these and the one problem that ended the reading: `file_too_large`, `not_utf8`,
    `empty_file`, `several_documents`, `yaml_syntax`, `yaml_too_deep`, `yaml_too_large`, `unknown_anchor`, `recursive_alias`,
    `bad_mapping_key`, `unknown_tag`, `bad_tagged_value`, `number_out_of_range`.
    Source: GITHUB.md §5 on YAML; anchors work, `<<` is a key like any other.
    A value `{{ name }}`, the gap that authors of templates leave, is the text that it looks like, though GitHub refuses it.
    """
    composer = _Composer(file)
    try:
        text = _decode(data, file)
        root = composer.compose(text)
    except _Stop as stop:
        raise SparkiError(*composer.problems, stop.problem) from None
    return root, text, composer.problems


def resolve(text: str) -> Literal:
    """The value of a plain scalar by YAML 1.2's core schema. Raises ValueError for a number that no double holds."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    pattern, base = _PREFIXED.get(text[:2], (None, 0))
    if pattern is not None and pattern.fullmatch(text):
        number = int(text[2:], base)
        if number >= 2**32:  # GitHub reads these into 32 bits, two's complement
            raise ValueError(text)
        return number - 2**32 if number >= 2**31 else number
    if text in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[text]
    if not _FLOAT.fullmatch(text):
        return None
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return whole(value)


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        message = f"the file is {len(data)} bytes long; a workflow may have {MAX_BYTES}"
        raise _Stop(Problem(code="file_too_large", message=message, at=Position(file, 1, 1)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        at = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the file is not UTF-8: byte 0x{data[error.start]:02x} can't stand here"
        raise _Stop(Problem(code="not_utf8", message=message, at=at, hint="save the file as UTF-8")) from None
    bad = _NOT_PRINTABLE.search(text)
    if bad is not None:
        at = Position(file, text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start()))
        raise _Stop(Problem(code="yaml_syntax", message=f"the character U+{ord(bad[0]):04X} can't stand in YAML", at=at))
    return text


@dataclass(slots=True)
class _Frame:
    """A mapping or a sequence that is being read."""

    node: MappingNode | SequenceNode
    anchor: str | None
    events: int = 2  # its start and its end, and all between, aliases written out
    height: int = 0
    key: ScalarNode | None = None
    keys: dict[str, ScalarNode] = field(default_factory=dict)
    flow: bool = False  # in braces
    start: int = 0


@dataclass(slots=True)
class _Anchored:
    node: Node
    events: int
    height: int


class _Composer:
    """Builds the tree from parse events, so that a bomb is met before it has grown."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}  # None: still open
        self._events = 0
        self._root: Node | None = None
        self._gaps: dict[int, ScalarNode] = {}  # by their ids

    def compose(self, text: str) -> Node:
        documents = 0
        for event in _events(text, self.file):
            kind = type(event)
            if kind is yaml_events.ScalarEvent:
                self._scalar(event)
            elif kind is yaml_events.MappingStartEvent or kind is yaml_events.SequenceStartEvent:
                self._open(event)
            elif kind is yaml_events.MappingEndEvent or kind is yaml_events.SequenceEndEvent:
                self._close()
            elif kind is yaml_events.AliasEvent:
                self._alias(event)
            elif kind is yaml_events.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self._stop("several_documents", "a workflow file holds one YAML document; a second begins here", event)
        if self._root is None:
            raise _Stop(Problem(code="empty_file", message="the file is empty", at=Position(self.file, 1, 1)))
        return self._root

    def _stop(self, code: str, message: str, event: Any, hint: str = "") -> _Stop:
        mark = event.start_mark
        return _Stop(Problem(code=code, message=message, at=Position(self.file, mark.line + 1, mark.column + 1), hint=hint))

    def _scalar(self, event: Any) -> None:
        start, text = event.start_mark, event.value
        if event.tag is None:
            value: Literal = text
            if not event.style:  # plain: '' from libyaml, None from the other
                try:
                    value = resolve(text)
                except ValueError:
                    raise self._stop("number_out_of_range", f"the number {text} is out of range", event) from None
        else:
            value = self._tagged(event)
        spelt = value if isinstance(value, str) else to_string(value)
        node = ScalarNode(value, spelt, start.line + 1, start.column + 1, start.index, event.end_mark.index)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, 0)
        self._add(node, 1, 0, event)

    def _tagged(self, event: Any) -> Literal:
        tag, text = str(event.tag), str(event.value)
        if tag in ("!", _TAG + "str"):
            return text
        wanted = _TAGGED.get(tag)
        if wanted is None:
            hint = "known are !!str, !!int, !!float, !!bool and !!null"
            raise self._stop("unknown_tag", f"the tag '{tag}' is not known", event, hint)
        try:
            value = resolve(text)
        except ValueError:
            value = text
        if type(value) not in wanted:
            raise self._stop("bad_tagged_value", f"'{text}' is no {tag.removeprefix(_TAG)}", event)
        return value

    def _open(self, event: Any) -> None:
        start = event.start_mark
        kind = MappingNode if isinstance(event, yaml_events.MappingStartEvent) else SequenceNode
        frame = _Frame(kind(start.line + 1, start.column + 1), event.anchor, flow=bool(event.flow_style), start=start.index)
        self._frames.append(frame)
        if len(self._frames) > MAX_DEPTH:
            raise self._stop("yaml_too_deep", f"more than {MAX_DEPTH} mappings and lists stand in each other", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._count(1, event)

    def _close(self) -> None:
        frame = self._frames.pop()
        height = frame.height + 1
        node = self._with_gap(frame) if self._gaps else frame.node
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(node, frame.events, height)
        self._events += 1
        self._add(node, frame.events, height, None)

    def _with_gap(self, frame: _Frame) -> Node:
        """The text `{{ name }}` for the mapping that YAML takes it for, a key within a key; any other node as it is."""
        node = frame.node
        gap = next((key for key, _ in node.pairs if id(key) in self._gaps), None) if isinstance(node, MappingNode) else None
        if gap is None or not isinstance(node, MappingNode):
            return node
        if not frame.flow or len(node.pairs) > 1 or not _is_blank(node.pairs[0][1]):
            raise self._bad_key(gap)
        found = ScalarNode(gap.text, gap.text, node.line, node.column, frame.start, frame.start)
        self._gaps[id(found)] = found
        return found

    def _bad_key(self, node: Node) -> _Stop:
        at = Position(self.file, node.line, node.column)
        return _Stop(Problem(code="bad_mapping_key", message="a key must be one word or string, not a list or a mapping", at=at))

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._stop("unknown_anchor", f"no anchor is named '{event.anchor}'", event)
        target = self._anchors[event.anchor]
        if target is None:
            raise self._stop("recursive_alias", f"the alias '{event.anchor}' stands within what it names", event)
        if len(self._frames) + target.height > MAX_DEPTH:
            raise self._stop("yaml_too_deep", f"more than {MAX_DEPTH} mappings and lists stand in each other", event)
        self._count(target.events, event)
        self._add(target.node, target.events, target.height, event)

    def _count(self, events: int, event: Any) -> None:
        self._events += events
        if self._events > MAX_EVENTS:
            hint = "aliases count as often as they are used" if isinstance(event, yaml_events.AliasEvent) else ""
            raise self._stop("yaml_too_large", f"the file has more than {MAX_EVENTS} YAML nodes", event, hint)

    def _add(self, node: Node, events: int, height: int, event: Any) -> None:
        if isinstance(event, yaml_events.ScalarEvent):
            self._count(1, event)
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        frame.events += events
        frame.height = max(frame.height, height)
        parent = frame.node
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, frame)
        else:
            again = frame.keys[fold(frame.key.text)] is not frame.key
            (parent.repeated if again else parent.pairs).append((frame.key, node))
            frame.key = None

    def _key(self, node: Node, frame: _Frame) -> ScalarNode:
        if frame.flow and isinstance(node, MappingNode) and len(node.pairs) == 1 and _is_blank(node.pairs[0][1]):
            text = f"{{{{ {node.pairs[0][0].text} }}}}"
            node = ScalarNode(text, text, node.line, node.column, frame.start, frame.start)
            self._gaps[id(node)] = node
        elif not isinstance(node, ScalarNode) or id(node) in self._gaps:
            raise self._bad_key(node)
        at = Position(self.file, node.line, node.column)
        first = frame.keys.setdefault(fold(node.text), node)
        if first is not node:
            message = f"'{node.text}' is already defined, in line {first.line}"
            hint = "" if first.text == node.text else f"'{first.text}' and '{node.text}' are one key: capitals make no difference"
            self.problems.append(Problem(code="duplicate_key", message=message, at=at, hint=hint))
        return node


def _is_blank(node: Node) -> bool:
    """Whether a value was left out altogether."""
    return isinstance(node, ScalarNode) and node.value is None and not node.text


def _events(text: str, file: str) -> Iterator[Any]:
    """Parse events, from libyaml where it is there (about ten times as fast). Raises _Stop for broken YAML."""
    parser = Parser(text)
    try:
        while parser.check_event():
            yield parser.get_event()
    except errors.MarkedYAMLError as error:
        raise _Stop(_syntax(error, text, file)) from None
    finally:
        parser.dispose()


def _syntax(error: Any, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = ", ".join(part for part in (error.context, error.problem) if part)
    lines = text.split("\n")
    indentation = re.match(r"\s*", lines[line - 1])[0] if line <= len(lines) else ""  # type: ignore[index]  # it matches nothing, too
    hint = "indent with spaces: a tab can't begin a token" if "\t" in indentation else ""
    return Problem(code="yaml_syntax", message=f"broken YAML: {what}", at=Position(file, line, column), hint=hint)
