"""Hold the calls of a workflow against the workflows that it calls: inputs, secrets, permissions, depth. Pure.

Source: GitHub's docs, "Reusing workflow configurations"; GITHUB.md §3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.document import Call, Document, Given, JobSource, Permissions
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.keys import TOKEN_SCOPES
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.triggers import CALL, Input, Trigger

MOST_LEVELS = 9
"""How deep calls may go: ten workflows, with the first caller."""
_LEVELS = ("none", "read", "write")

Find = Callable[[str], Document | None]
"""The workflow that a `uses` names; None for one that is not at hand, or is broken."""


def call_problems(document: Document, find: Find, *, most_levels: int = MOST_LEVELS) -> Iterator[Problem]:
    """What GitHub would refuse of the calls of a workflow, and of those that the called ones make. Calls that `find` has not are let be."""
    yield from _in_document(document, find, None, most_levels)


def _in_document(document: Document, find: Find, allowed: Mapping[str, str] | None, levels: int) -> Iterator[Problem]:
    for job in document.jobs:
        called = find(job.call.uses.text) if job.call is not None else None
        if job.call is None or called is None:
            continue
        if levels == 0:
            hint = "call one of the deeper workflows from here"
            yield Problem(code="calls_too_deep", message="workflows call each other too deep", at=job.call.uses.at, hint=hint)
            continue
        trigger = next((trigger for trigger in called.triggers if trigger.event == CALL), None)
        if trigger is None:
            message = f"'{job.call.uses.text}' can't be called"
            yield Problem(code="not_callable", message=message, at=job.call.uses.at, hint=f"add 'on: {CALL}' to it")
            continue
        yield from _inputs(job.call, trigger)
        yield from _secrets(job.call, trigger)
        given = _levels(job.permissions if job.permissions is not None else document.permissions)
        passed = given if given is not None else allowed
        yield from _permissions(job, called, passed, document.file)
        yield from _in_document(called, find, passed, levels - 1)


def _inputs(call: Call, trigger: Trigger) -> Iterator[Problem]:
    declared = {one.name.lower(): one for one in trigger.inputs}
    for given in call.inputs:
        one = declared.get(given.name.lower())
        if one is None:
            message = f"'{call.uses.text}' has no input '{given.name}'"
            hint = did_you_mean(given.name, [other.name for other in trigger.inputs])
            yield Problem(code="unknown_input", message=message, at=given.at, hint=hint)
        elif wanted := _wanted(one, given):
            message = f"the input '{one.name}' must be {wanted}, not '{given.value}'"
            yield Problem(code="bad_input_value", message=message, at=given.at)
    there = {given.name.lower() for given in call.inputs}
    for one in trigger.inputs:
        if one.required and one.default is None and one.name.lower() not in there:
            message = f"'{call.uses.text}' requires the input '{one.name}'"
            yield Problem(code="missing_input", message=message, at=call.uses.at, hint="give it under 'with'")


def _wanted(one: Input, given: Given) -> str:
    """What a value should be; empty where it is that, or an expression says it later."""
    value = given.value
    if isinstance(value, str) and OPEN in value:
        return ""
    if one.type == "boolean":
        return "" if isinstance(value, bool) else "true or false"
    if one.type == "number":
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    return ""


def _secrets(call: Call, trigger: Trigger) -> Iterator[Problem]:
    if call.secrets is None:
        return
    declared = {name.lower() for name in trigger.secrets}
    for given in call.secrets:
        if given.name.lower() not in declared:
            message = f"'{call.uses.text}' has no secret '{given.name}'"
            yield Problem(code="unknown_secret", message=message, at=given.at, hint=did_you_mean(given.name, trigger.secrets))
    there = {given.name.lower() for given in call.secrets}
    for name, required in trigger.secrets.items():
        if required and name.lower() not in there:
            message = f"'{call.uses.text}' requires the secret '{name}'"
            yield Problem(
                code="missing_secret", message=message, at=call.uses.at, hint="give it under 'secrets', or write 'secrets: inherit'"
            )


def _permissions(caller: JobSource, called: Document, allowed: Mapping[str, str] | None, file: str) -> Iterator[Problem]:
    """Permissions only shrink from a caller to what it calls. Unknown ones (`allowed` None) are not judged."""
    for job in called.jobs if allowed is not None else ():
        wanted = _levels(job.permissions if job.permissions is not None else called.permissions) or {}
        more = {scope: level for scope, level in wanted.items() if _rank(level) > _rank((allowed or {}).get(scope, "none"))}
        if more:
            asked = ", ".join(f"{scope}: {level}" for scope, level in more.items())
            message = (
                f"job '{job.id}' of '{caller.call.uses.text if caller.call else called.file}' asks for {asked}, and its caller has less"
            )
            at = Position(file, caller.at.line, caller.at.column)
            yield Problem(code="call_needs_permissions", message=message, at=at, hint="give the calling job these 'permissions'")


def _levels(permissions: Permissions | None) -> Mapping[str, str] | None:
    """Levels by scope; None where nothing is said."""
    if isinstance(permissions, str):
        return dict.fromkeys(TOKEN_SCOPES, permissions.removesuffix("-all"))
    return permissions


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else 0
