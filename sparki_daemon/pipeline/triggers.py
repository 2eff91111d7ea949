"""What `on` says: the events that start a pipeline, their filters, and the inputs that may be given by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.cron import is_zone, mistake_in, zones
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.yaml_node import Literal, MappingNode, Node, ScalarNode, SequenceNode

DISPATCH = "workflow_dispatch"
CALL = "workflow_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input of `workflow_dispatch` or `workflow_call`, as declared. `default` None: it has none."""

    name: str
    at: Position
    type: str = "string"
    required: bool = False
    default: Literal = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cron:
    """One time table of `schedule`, with where its time zone stands."""

    text: str
    at: Position
    zone: str = ""  # empty: UTC
    zone_at: Position | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event that starts the pipeline; `filters` are its keys with lists of names, such as `branches`."""

    event: str
    at: Position
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    crons: tuple[Cron, ...] = ()
    secrets: Mapping[str, bool] = field(default_factory=dict)  # of a call: whether each must be given


def triggers_of(node: Node | None, file: str) -> Iterator[Trigger]:
    """The triggers of the value of `on`; what is misshapen is left out."""
    if not isinstance(node, MappingNode):
        for scalar in _words(node):
            yield Trigger(scalar.text, Position(file, scalar.line, scalar.column))
        return
    for key, value in node.pairs:
        settings = value.pairs if isinstance(value, MappingNode) else []
        filters = {name.text: tuple(word.text for word in _words(item)) for name, item in settings if not isinstance(item, MappingNode)}
        by_hand = value if key.text in (DISPATCH, CALL) and isinstance(value, MappingNode) else MappingNode(0, 0)
        inputs = tuple(_inputs(by_hand.get("inputs"), file))
        crons = tuple(_crons(value, file)) if key.text == "schedule" else ()
        yield Trigger(key.text, Position(file, key.line, key.column), filters, inputs, crons, _secrets(by_hand.get("secrets")))


def implied_triggers(at: Position) -> Iterator[Trigger]:
    """What starts a pipeline of `.sparki/pipelines` that has no `on`: every push, every pull request, and a hand."""
    return (Trigger(event, at) for event in ("push", "pull_request", DISPATCH))


def _words(node: Node | None) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _words(item)


def _secrets(declared: Node | None) -> dict[str, bool]:
    found = {}
    for key, value in declared.pairs if isinstance(declared, MappingNode) else ():
        required = value.get("required") if isinstance(value, MappingNode) else None
        found[key.text] = isinstance(required, ScalarNode) and required.value is True
    return found


def _inputs(declared: Node | None, file: str) -> Iterator[Input]:
    for key, value in declared.pairs if isinstance(declared, MappingNode) else ():
        at = Position(file, key.line, key.column)
        if not isinstance(value, MappingNode):
            yield Input(name=key.text, at=at)
            continue
        kind, required, default = value.get("type"), value.get("required"), value.get("default")
        yield Input(
            name=key.text,
            at=at,
            type=kind.text if isinstance(kind, ScalarNode) and kind.text else "string",
            required=isinstance(required, ScalarNode) and required.value is True,
            default=default.value if isinstance(default, ScalarNode) else None,
            options=tuple(option.text for option in _words(value.get("options"))),
        )


def _crons(node: Node, file: str) -> Iterator[Cron]:
    for item in node.items if isinstance(node, SequenceNode) else ():
        if not isinstance(item, MappingNode):
            continue
        cron, zone = item.get("cron"), item.get("timezone")
        if isinstance(cron, ScalarNode) and cron.text:
            at = Position(file, cron.line, cron.column)
            if isinstance(zone, ScalarNode):
                yield Cron(cron.text, at, zone.text, Position(file, zone.line, zone.column))
            else:
                yield Cron(cron.text, at)


def trigger_problems(triggers: tuple[Trigger, ...]) -> Iterator[Problem]:
    """Filters that exclude each other, inputs whose options are missing or mean nothing, and time tables that name no time.

    Source: GitHub's workflow syntax, `on`; actions/languageservices, workflow-parser/src/model/converter/events.ts.
    """
    for trigger in triggers:
        for name in ("branches", "tags", "paths"):
            if name in trigger.filters and f"{name}-ignore" in trigger.filters:
                message = f"'{trigger.event}' can't have both '{name}' and '{name}-ignore'"
                hint = f"put the others in '{name}' with a '!' before them"
                yield Problem(code="conflicting_filters", message=message, at=trigger.at, hint=hint)
        for one in trigger.inputs:
            if one.type == "choice" and not one.options:
                yield Problem(code="bad_input", message=f"the input '{one.name}' is a choice, and has no 'options'", at=one.at)
            elif one.type != "choice" and one.options:
                message = f"the input '{one.name}' has 'options', and is no choice"
                yield Problem(code="bad_input", message=message, at=one.at, hint="add 'type: choice'")
        for cron in trigger.crons:
            if mistake := mistake_in(cron.text):
                hint = "write minute, hour, day, month, weekday, as in '30 5 * * 1-5'"
                yield Problem(code="bad_cron", message=f"'{cron.text}' names no time: {mistake}", at=cron.at, hint=hint)
            if cron.zone and not is_zone(cron.zone):
                hint = did_you_mean(cron.zone, zones()) or "write a name of the IANA's list, as in 'Europe/Berlin'"
                yield Problem(code="bad_timezone", message=f"'{cron.zone}' is no time zone", at=cron.zone_at, hint=hint)
