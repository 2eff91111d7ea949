"""The JSON shapes of requests and answers, as JSON Schema; the public interface names their keys."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
INTEGER: Schema = {"type": "integer"}
INTEGER_OR_NULL: Schema = {"type": ["integer", "null"]}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "description": "RFC 3339, UTC"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "description": "RFC 3339, UTC"}

STATUS: Schema = {"type": "string", "enum": ["queued", "waiting", "running", "success", "failure", "cancelled", "skipped", "lost"]}


def record(required: Schema, optional: Schema | None = None) -> Schema:
    """An answer's object. More keys may join it later: readers leave what they don't know alone."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def request(properties: Schema, *, required: tuple[str, ...] = ()) -> Schema:
    """A request's object: an unknown key is refused."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


NAMES: Schema = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 4096}, "maxItems": 1000, "default": []}

SECRETS: Schema = {
    "secrets": {"type": "object", "additionalProperties": TEXT, "default": {}, "description": "values; kept encrypted until the run's end"},
    "secret_names": {**NAMES, "description": "secrets whose values are to be found on this machine, or the request is refused"},
}
START: Schema = request(
    {
        "directory": {"type": "string", "pattern": "^/[^\\x00]*$", "maxLength": 4096, "description": "must be an absolute path"},
        "pipelines": NAMES,
        "jobs": NAMES,
        "max_parallel": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000, "default": None},
        "workspace": {"type": "string", "enum": ["empty", "source"], "description": "without it: as each file's dialect has it"},
        "env": {"type": "object", "additionalProperties": TEXT, "default": {}},
        "ref": {"type": ["string", "null"], "minLength": 1, "maxLength": 4096, "default": None},
        "no_cache": {"type": "boolean", "default": False},
        "check_inputs": {"type": "boolean", "description": "trace what jobs with a cache read; restores and keeps nothing"},
        "copy_outputs_to": {
            "type": "string",
            "pattern": "^/[^\\x00]*$",
            "maxLength": 4096,
            "description": "copy declared outputs there, a folder a job; restores and keeps nothing",
        },
        "outputs": {"type": "boolean", "default": False, "description": "bring declared outputs to the working tree"},
        "event": {"type": "string", "maxLength": 64, "default": "", "description": "empty: the one that fits"},
        "event_payload": {"type": ["object", "null"], "default": None, "description": "is laid over the payload that is made up"},
        "inputs": {"type": "object", "additionalProperties": TEXT, "default": {}},
        "variables": {"type": "object", "additionalProperties": TEXT, "default": {}},
        "lowest_env": {"type": "object", "additionalProperties": TEXT, "default": {}, "description": "the lowest layer of env"},
        **SECRETS,
        "actions": {
            "type": "object",
            "propertyNames": {"pattern": "^[^/\\x00A-Z]+/[^/\\x00A-Z]+$", "maxLength": 200},
            "additionalProperties": {"type": "string", "pattern": "^/[^\\x00]*$", "maxLength": 4096},
            "description": "folders that stand for others' repositories, by owner/repository in lower case",
        },
        "hold": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "a lock in the state folder's `holds/`: while it is held, the job of a step that fails waits (`step.held`)",
        },
        "pushed": {
            "type": ["object", "null"],
            "properties": {
                "ref": {"type": "string", "pattern": "^refs/[^\\x00]+$", "maxLength": 4096},
                "before": {"type": ["string", "null"], "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"},
                "after": {"type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"},
            },
            "required": ["ref", "after"],
            "additionalProperties": False,
            "default": None,
            "description": "a push that is about to be made and would bring `ref`, its commit; with the event `push`",
        },
        "matrix": {
            "type": "array",
            "maxItems": 100,
            "default": [],
            "items": {"type": "string", "pattern": "^[^=\\x00]+=[^\\x00]*$", "maxLength": 4096},
            "description": "KEY=VALUE words that legs must have",
        },
    },
    required=("directory",),
)
CANCEL: Schema = request({"force": {"type": "boolean", "default": False}})
RETRY: Schema = request({
    "failed": {"type": "boolean", "default": False},
    "from_step": {**TEXT_OR_NULL, "default": None, "description": "go on in kept workspaces at this step; empty: the first that failed"},
    **SECRETS,
})  # fmt: skip
STOP: Schema = request({"force": {"type": "boolean", "default": False}})
PRUNE: Schema = request({"dry_run": {"type": "boolean", "default": False}})
NOTHING: Schema = request({})
DIRECTORY: Schema = {"type": "string", "pattern": "^/[^\\x00]*$", "maxLength": 4096, "description": "must be an absolute path"}
PRUNE_CACHE: Schema = request(
    {"directory": DIRECTORY, "limit_bytes": {"type": "integer", "minimum": 0, "maximum": 2**53}}, required=("directory",)
)

_CACHE_ENTRY = record(
    {"key": TEXT, "job": TEXT, "run": TEXT, "bytes": INTEGER, "duration_ms": INTEGER, "files": INTEGER, "created": TEXT, "used": TEXT}
)

COMPONENTS: Schema = {
    "CacheEntries": record({"entries": {"type": "array", "items": _CACHE_ENTRY}, "bytes": INTEGER, "limit": INTEGER}),
    "Evicted": record({"evicted": {"type": "array", "items": _CACHE_ENTRY}}),
    "Pruned": record(
        {"dry_run": FLAG, "runs": INTEGER, "events": INTEGER}
        | dict.fromkeys(("logs_bytes", "artifacts_bytes", "snapshots_bytes", "cache_bytes"), INTEGER)
    ),
    "Problem": record(
        {"code": TEXT, "message": TEXT, "file": TEXT_OR_NULL, "line": INTEGER_OR_NULL, "column": INTEGER_OR_NULL, "hint": TEXT}
    ),
    "ProblemDocument": record(
        {
            "type": TEXT,
            "title": TEXT,
            "status": INTEGER,
            "detail": TEXT,
            "code": TEXT,
            "exit_code": INTEGER,
            "problems": {**many(ref("Problem")), "minItems": 1},
        },
        {"first_kept": INTEGER},
    ),
    "Event": record({"seq": INTEGER, "time": TIME, "stream": TEXT, "kind": TEXT, "data": {"type": "object"}}),
    "Source": record({"tree": TEXT_OR_NULL, "commit": TEXT_OR_NULL, "dirty": {"type": ["boolean", "null"]}}, {"branch": TEXT_OR_NULL}),
    "Step": record(
        {
            "id": TEXT,
            "name": TEXT,
            "status": STATUS,
            "outcome": TEXT_OR_NULL,
            "conclusion": TEXT_OR_NULL,
            "exit_code": INTEGER_OR_NULL,
            "duration_ms": INTEGER_OR_NULL,
        },
        {"from": INTEGER_OR_NULL, "to": INTEGER_OR_NULL, "index": INTEGER, "reason": TEXT_OR_NULL},
    ),
    "Job": record(
        {
            "id": TEXT,
            "uid": TEXT,
            "name": TEXT,
            "status": STATUS,
            "reason": TEXT_OR_NULL,
            "cached": FLAG,
            "outputs": {"type": "object", "additionalProperties": TEXT},
            "started": TIME_OR_NULL,
            "finished": TIME_OR_NULL,
            "needs": many(TEXT),
            "log": INTEGER_OR_NULL,
            "steps": many(ref("Step")),
        },
        {"tests": {"anyOf": [ref("ReportedTests"), {"type": "null"}]}},
    ),
    "ReportedTests": record(
        {
            **dict.fromkeys(("total", "passed", "failed", "skipped", "duration_ms", "reports"), INTEGER),
            "failing": many(record({"name": TEXT, "suite": TEXT, "file": TEXT, "line": INTEGER_OR_NULL, "message": TEXT, "kind": TEXT})),
            "warnings": many(TEXT),
        }
    ),
    "RunLine": record(
        {
            "id": TEXT,
            "pipeline": TEXT,
            "file": TEXT,
            "status": STATUS,
            "reason": TEXT_OR_NULL,
            "source": ref("Source"),
            "attempt": INTEGER,
            "created": TIME,
            "started": TIME_OR_NULL,
            "finished": TIME_OR_NULL,
            "directory": TEXT,
            "title": TEXT_OR_NULL,
        }
    ),
    "Run": record(
        {
            "id": TEXT,
            "pipeline": TEXT,
            "file": TEXT,
            "status": STATUS,
            "source": ref("Source"),
            "attempt": INTEGER,
            "directory": TEXT,
            "created": TIME,
            "started": TIME_OR_NULL,
            "finished": TIME_OR_NULL,
            "jobs": many(ref("Job")),
        },
        {"reason": TEXT_OR_NULL, "deployments": many(TEXT)},
    ),
    "Runs": record({"runs": many(ref("RunLine"))}),
    "PastJobs": record({"jobs": many(ref("PastJob"))}),
    "PastJob": record(
        {"job": TEXT, "name": TEXT, "pipeline": TEXT, "file": TEXT},
        dict.fromkeys(("trees", "took_ms", "usual_ms", "runs", "total_ms"), INTEGER) | dict.fromkeys(("passed", "failed", "run"), TEXT),
    ),
    "RunHistory": record(
        {
            "broken_since": {
                "type": ["object", "null"],
                "properties": {"run": TEXT, "commit": TEXT, "last_good": {"type": ["object", "null"]}, "at_least": FLAG},
                "description": "the first red run since the pipeline was last good, when this one is red; `at_least`: of those looked at",
            },
            "flaky": many(ref("PastJob")),
            "slow": many(ref("PastJob")),
        }
    ),
    "Started": record(
        {
            "runs": many(
                record({"run": TEXT, "pipeline": TEXT, "file": TEXT}, {"jobs": many(record({"id": TEXT, "uid": TEXT, "name": TEXT}))})
            ),
            "since": INTEGER,
        }
    ),
    "Retried": record({"run": TEXT, "attempt": INTEGER, "since": INTEGER, "file_changed": FLAG}),
    "Artifacts": record(
        {
            "run": TEXT,
            "artifacts": many(
                record(
                    {
                        "name": TEXT,
                        "job": TEXT,
                        "attempt": INTEGER,
                        "size_bytes": INTEGER,
                        "digest": TEXT,
                        "created": TIME,
                        "files": many(record({"path": TEXT, "size_bytes": INTEGER, "sha256": TEXT})),
                    }
                )
            ),
        }
    ),
    "Excerpts": record(
        {
            "excerpts": many(
                record(
                    {
                        "job": TEXT,
                        "step": INTEGER_OR_NULL,
                        "name": TEXT,
                        "exit_code": INTEGER_OR_NULL,
                        "reason": TEXT,
                        "lines": {**many(TEXT), "maxItems": 20},
                    }
                )
            )
        }
    ),
    "Process": record({"pid": INTEGER}, {"since": TIME, "pss": INTEGER_OR_NULL}),
    "Daemon": record(
        {
            "version": TEXT,
            "socket": TEXT,
            "state": TEXT,
            "home": TEXT_OR_NULL,
            "processes": record(
                {
                    "supervisor": ref("Process"),
                    "engine": ref("Process"),
                    "loco": {"anyOf": [ref("Process"), {"type": "null"}]},
                    "runners": many(record({"pid": INTEGER, "job": TEXT_OR_NULL})),
                }
            ),
            "queues": record({"builds": INTEGER, "deployments": INTEGER}),
            "disk": record({"home_free_bytes": INTEGER_OR_NULL, "memory_free_bytes": INTEGER_OR_NULL, "full": FLAG}),
        }
    ),
    "Accepted": record({"accepted": FLAG}),
}
