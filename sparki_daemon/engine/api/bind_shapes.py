"""The JSON shapes of bound repositories and of pushes to them."""

from __future__ import annotations

from sparki_daemon.engine.api.shapes import DIRECTORY, FLAG, INTEGER, TEXT, TEXT_OR_NULL, Schema, many, record, ref, request

REMOTE: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x20]+$"}
ENV: Schema = {"type": "object", "additionalProperties": TEXT, "default": {}}

BIND: Schema = request(
    {
        "directory": DIRECTORY,
        "remote": {**REMOTE, "default": "sparki"},
        "pre_push": {"type": "array", "items": REMOTE, "maxItems": 100, "default": [], "description": "remotes whose pushes are run first"},
        "command": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[^\\x00]+$"},
            "minItems": 1,
            "maxItems": 20,
            "description": "what starts sparki in a hook; the first by its absolute path",
        },
        "variables": {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z_]+$", "maxLength": 100},
            "additionalProperties": {**TEXT_OR_NULL, "pattern": "^[^\\x00]*$"},
            "default": {},
            "description": "of the hook's environment; null: unset there",
        },
    },
    required=("directory", "command"),
)
UNBIND: Schema = request({"directory": DIRECTORY}, required=("directory",))
RECEIVE: Schema = request(
    {
        "project": {"type": "string", "pattern": "^p-[0-9a-f]{1,32}$"},
        "push": {"type": "string", "pattern": "^[0-9A-Za-z]{1,64}$", "description": "as the hook named its file"},
        "env": ENV,
    },
    required=("project", "push"),
)

_BIND: Schema = {"project": TEXT, "remote": TEXT, "address": TEXT, "pre_push": many(TEXT)}
_UPDATE = record(
    {
        "ref": TEXT,
        "before": TEXT_OR_NULL,
        "after": TEXT,
        "note": TEXT,
        "notes": many(ref("Problem")),
        "runs": many(record({"run": TEXT, "pipeline": TEXT, "file": TEXT})),
        "since": INTEGER,
        "deployment": {"type": ["object", "null"]},
        "problems": many(ref("Problem")),
    }
)
COMPONENTS: Schema = {
    "Bind": record({**_BIND, "new": FLAG}),
    "Unbound": record({**_BIND, "removed": FLAG}),
    "PushReceived": record({"updates": many(_UPDATE), "problems": many(ref("Problem")), "directory": TEXT, "follow": FLAG}),
}
