"""The JSON shapes of deployments, environments and releases; the public interface names their keys."""

from __future__ import annotations

from sparki_daemon.engine.api.shapes import (
    FLAG,
    INTEGER,
    INTEGER_OR_NULL,
    NAMES,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Schema,
    many,
    record,
    ref,
    request,
)

STATUSES = ("queued", "waiting", "running", "live", "failed", "reverted", "cancelled", "unknown")
STATUS: Schema = {"type": "string", "enum": list(STATUSES)}
OBJECT: Schema = {"type": "object"}
FOLDER: Schema = {"type": "string", "pattern": "^/[^\\x00]*$", "maxLength": 4096, "description": "must be an absolute path"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
WORD_OR_NULL: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 4096, "default": None}
OVERRIDE: Schema = {"type": ["string", "null"], "maxLength": 1000, "default": None, "description": "why a freeze is passed over"}

DEPLOY: Schema = request(
    {
        "directory": FOLDER,
        "environment": NAME,
        "ref": WORD_OR_NULL,
        "release": WORD_OR_NULL,
        "override": OVERRIDE,
        "env": {"type": "object", "additionalProperties": TEXT, "default": {}, "description": "of a run that must come first"},
    },
    required=("directory", "environment"),
)
ROLLBACK: Schema = request(
    {"directory": FOLDER, "environment": NAME, "release": WORD_OR_NULL, "override": OVERRIDE}, required=("directory", "environment")
)
PROMOTE: Schema = request(
    {"directory": FOLDER, "source": NAME, "environment": NAME, "override": OVERRIDE}, required=("directory", "source", "environment")
)
CANCEL: Schema = request({"keep": {"type": "boolean", "default": False}})
RESOLVE: Schema = request({"outcome": {"type": "string", "enum": ["live", "failed", "retry"]}}, required=("outcome",))
IN: Schema = request({"directory": FOLDER}, required=("directory",))
EXECUTE: Schema = request({"directory": FOLDER, "command": {**NAMES, "minItems": 1}}, required=("directory", "command"))
MAINTENANCE: Schema = request({"directory": FOLDER, "on": FLAG}, required=("directory", "on"))

_LINE: Schema = {
    "id": TEXT,
    "environment": TEXT,
    "release": TEXT,
    "commit": TEXT,
    "status": STATUS,
    "step": TEXT_OR_NULL,
    "created": TIME,
    "finished": TIME_OR_NULL,
    "run": TEXT_OR_NULL,
}
_MORE: Schema = {
    "number": INTEGER,
    "subject": TEXT,
    "kind": TEXT,
    "reason": TEXT,
    "author": TEXT,
    "started": TIME_OR_NULL,
    "waits": many(OBJECT),
}
NAMES_CHANGED: Schema = record({"added": many(TEXT), "removed": many(TEXT)}, {"changed": many(TEXT)})
COMMITS: Schema = {"type": ["array", "null"], "items": record({"commit": TEXT, "subject": TEXT})}

COMPONENTS: Schema = {
    "DeploymentLine": record(_LINE, _MORE),
    "Deployments": record({"deployments": many(ref("DeploymentLine"))}),
    "DeploymentStep": record(
        {"name": TEXT, "does": TEXT, "status": TEXT, "reason": TEXT, "started": TIME_OR_NULL, "finished": TIME_OR_NULL},
        {"took_ms": INTEGER_OR_NULL},
    ),
    "Deployment": record(
        {**_LINE, "steps": many(ref("DeploymentStep"))},
        {
            **_MORE,
            "tree": TEXT,
            "previous": TEXT_OR_NULL,
            "override": TEXT,
            "directory": TEXT,
            "asked": TEXT,
            "approvals": many(TEXT),
            "usual_ms": OBJECT,
        },
    ),
    "DeploymentAsked": record(
        {"deployment": TEXT, "environment": TEXT, "release": TEXT, "since": INTEGER},
        {"number": INTEGER, "commit": TEXT, "run": TEXT_OR_NULL, "notes": many(ref("Problem"))},
    ),
    "DeploymentPlan": record(
        {
            "environment": TEXT,
            "adapter": TEXT,
            "commit": TEXT,
            "live": {"type": ["object", "null"]},
            "commits": COMMITS,
            "undone": COMMITS,
            "variables": NAMES_CHANGED,
            "artifact": OBJECT,
            "steps": many(record({"name": TEXT, "does": TEXT, "usual_ms": INTEGER_OR_NULL})),
            "waits": many(OBJECT),
        },
        {"secrets": NAMES_CHANGED, "settings": {"type": ["object", "null"]}, "usual_ms": INTEGER_OR_NULL, "notes": many(ref("Problem"))},
    ),
    "EnvironmentLine": record(
        {"name": TEXT, "adapter": TEXT, "live": TEXT_OR_NULL, "since": TIME_OR_NULL, "deploying": TEXT_OR_NULL, "maintenance": FLAG},
        {"number": INTEGER_OR_NULL, "commit": TEXT_OR_NULL},
    ),
    "Environments": record({"environments": many(ref("EnvironmentLine"))}),
    "Environment": record(
        {
            "name": TEXT,
            "adapter": TEXT,
            "url": TEXT_OR_NULL,
            "live": {
                "type": ["object", "null"],
                "properties": {"release": TEXT, "commit": TEXT, "since": TIME_OR_NULL, "healthy": {"type": ["boolean", "null"]}},
            },
            "deploying": TEXT_OR_NULL,
            "drift": many(record({"what": TEXT, "released": {}, "live": {}})),
        },
        {"maintenance": FLAG, "facts": OBJECT},
    ),
    "Release": record(
        {"id": TEXT, "commit": TEXT, "tree": TEXT, "created": TIME, "live": FLAG, "run": TEXT_OR_NULL},
        {
            "number": INTEGER,
            "artifact": OBJECT,
            "secrets": many(TEXT),
            "pruned": FLAG,
            "state": {"type": "string", "enum": ["live", "was_live", "never_live", "pruned"]},
            "status": {"type": ["string", "null"], "enum": [*STATUSES, None], "description": "of its last deployment"},
        }
        | dict.fromkeys(("subject", "author", "settings_digest"), TEXT),
    ),
    "Releases": record({"releases": many(ref("Release"))}),
}
