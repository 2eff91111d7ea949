"""The part of the table that says which events may start a pipeline, and with which filters.

Source: GitHub's "Events that trigger workflows", and actions/runner, Sdk/WorkflowParser/workflow-v1.0.json (commit 258d6c85).
"""

from __future__ import annotations

from sparki_daemon.pipeline.schema import Flag, Key, Kind, ListOf, MapOf, Nothing, OneOf, Place, Record, Text

_NAME = Text(nonempty=True)
_NAMES = OneOf(options=(_NAME, ListOf(item=_NAME)))
_SCALAR = Text()

_FILTERS = {
    "branches": "Only these branches.",
    "branches-ignore": "All branches but these.",
    "tags": "Only these tags.",
    "tags-ignore": "All tags but these.",
    "paths": "Only when one of these files changed.",
    "paths-ignore": "Only when another file than these changed.",
    "workflows": "The workflows whose runs count.",
    "names": "The names that count.",
    "versions": "The versions that count.",
}
_BRANCH_PATHS = ("branches", "branches-ignore", "paths", "paths-ignore")
_EDITS = "created edited deleted"
_PROJECT = "created closed reopened edited deleted"
_PULL_REQUEST = (
    "assigned unassigned labeled unlabeled opened edited closed reopened synchronize converted_to_draft ready_for_review locked unlocked "
    "review_requested review_request_removed auto_merge_enabled auto_merge_disabled milestoned demilestoned enqueued dequeued stacked"
)
_ISSUES = (
    "opened edited deleted transferred pinned unpinned closed reopened assigned unassigned labeled unlabeled locked unlocked milestoned "
    "demilestoned typed untyped field_added field_removed"
)
_DISCUSSION = (
    "created edited deleted transferred pinned unpinned labeled unlabeled locked unlocked category_changed answered unanswered closed "
    "reopened"
)

# An event's activity types, and its filters; none of either: it takes no settings.
_EVENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "branch_protection_rule": (_EDITS, ()),
    "check_run": ("completed created rerequested requested_action", ()),
    "check_suite": ("completed", ()),
    "create": ("", ()),
    "delete": ("", ()),
    "deployment": ("", ()),
    "deployment_status": ("", ()),
    "discussion": (_DISCUSSION, ()),
    "discussion_comment": (_EDITS, ()),
    "fork": ("", ()),
    "gollum": ("", ()),
    "image_version": ("created ready deleted", ("names", "versions")),
    "issue_comment": (_EDITS, ()),
    "issues": (_ISSUES, ()),
    "label": (_EDITS, ()),
    "merge_group": ("checks_requested", ("branches", "branches-ignore")),
    "milestone": ("created closed opened edited deleted", ()),
    "page_build": ("", ()),
    "project": (_PROJECT, ()),
    "project_card": ("created moved converted edited deleted", ()),
    "project_column": ("created updated moved deleted", ()),
    "public": ("", ()),
    "pull_request": (_PULL_REQUEST, _BRANCH_PATHS),
    "pull_request_comment": (_EDITS, ()),
    "pull_request_review": ("submitted edited dismissed", ()),
    "pull_request_review_comment": (_EDITS, ()),
    "pull_request_target": (_PULL_REQUEST, _BRANCH_PATHS),
    "push": ("", ("branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore")),
    "registry_package": ("published updated", ()),
    "release": ("published unpublished created edited deleted prereleased released", ()),
    "status": ("", ()),
    "watch": ("started", ()),
    "workflow_run": ("requested completed in_progress", ("workflows", "branches", "branches-ignore")),
}


def _event(types: str, filters: tuple[str, ...]) -> Kind:
    keys = {name: Key(_NAMES, _FILTERS[name]) for name in filters}
    if types:
        one = Text(choices=tuple(types.split()))
        keys["types"] = Key(OneOf(options=(one, ListOf(item=one))), "The activities that count.")
    return OneOf(options=(Nothing(), Record(keys=keys)))


def _input(types: tuple[str, ...], *, typed: bool, default: Kind) -> Kind:
    keys = {
        "description": Key(_SCALAR, "What the input is for."),
        "type": Key(Text(choices=types), "The type of its value.", required=typed),
        "required": Key(Flag(), "Whether it must be given."),
        "default": Key(default, "Its value when none is given."),
        "options": Key(ListOf(item=_SCALAR), "The values to choose from."),
    }
    if typed:
        del keys["options"]
        return Record(keys=keys)
    return OneOf(options=(Nothing(), Record(keys=keys)))


_DISPATCH_INPUT = _input(("string", "boolean", "number", "choice", "environment"), typed=False, default=_SCALAR)
_CALL_INPUT = _input(("string", "boolean", "number"), typed=True, default=Text(place=Place(("github", "inputs", "vars"))))
_CALL_SECRET = OneOf(
    options=(
        Nothing(),
        Record(keys={"description": Key(_SCALAR, "What the secret is for."), "required": Key(Flag(), "Whether it must be given.")}),
    )
)
_CALL_OUTPUT = Record(
    keys={
        "description": Key(_SCALAR, "What the output says."),
        "value": Key(Text(place=Place(("github", "inputs", "vars", "jobs"))), "Its value.", required=True),
    }
)
_SCHEDULE = ListOf(
    item=Record(
        keys={
            "cron": Key(_NAME, "When: minute, hour, day, month, weekday.", required=True),
            "timezone": Key(_NAME, "The time zone of `cron`; without it, UTC."),
        }
    )
)
_SPECIAL: dict[str, Kind] = {
    "schedule": _SCHEDULE,
    "repository_dispatch": OneOf(options=(Nothing(), Record(keys={"types": Key(_NAMES, "The event types that count.")}))),
    "workflow_dispatch": OneOf(
        options=(
            Nothing(),
            Record(
                keys={"inputs": Key(OneOf(options=(Nothing(), MapOf(value=_DISPATCH_INPUT))), "What may be given by hand.")}, lenient=True
            ),
        )
    ),
    "workflow_call": OneOf(
        options=(
            Nothing(),
            Record(
                keys={
                    "inputs": Key(MapOf(value=_CALL_INPUT), "What the caller gives."),
                    "secrets": Key(MapOf(value=_CALL_SECRET), "The secrets that it gives."),
                    "outputs": Key(MapOf(value=_CALL_OUTPUT), "What it gets back."),
                }
            ),
        )
    ),
}

EVENT_KINDS: dict[str, Kind] = {**{name: _event(*settings) for name, settings in _EVENTS.items()}, **_SPECIAL}
_EVENT_NAME = Text(choices=tuple(sorted(EVENT_KINDS)))

ON = OneOf(
    options=(
        _EVENT_NAME,
        ListOf(item=_EVENT_NAME),
        Record(keys={name: Key(kind, f"Start when '{name}' happens.") for name, kind in EVENT_KINDS.items()}),
    )
)
