"""The one table of the workflow language: every key, the kind of its value, and the expressions that may stand there.

It holds both dialects: GitHub's files, and `.sparki/pipelines`, which leaves out more and has a few keys of its own.

Source: GitHub's workflow syntax, and actions/runner, Sdk/WorkflowParser/workflow-v1.0.json (commit 258d6c85);
actions/languageservices, workflow-parser/src/workflow-v1.0.json, for what is newer.
"""

from __future__ import annotations

from functools import cache

from sparki_daemon.pipeline.caching import CACHE
from sparki_daemon.pipeline.dialect import in_dialect
from sparki_daemon.pipeline.events import ON
from sparki_daemon.pipeline.reports import REPORTS
from sparki_daemon.pipeline.schema import Anything, Dialect, Flag, Key, Kind, ListOf, MapOf, Nothing, Number, OneOf, Place, Record, Text

_RUN = ("github", "inputs", "vars")
_JOB = (*_RUN, "needs", "strategy", "matrix")
_STEP = (*_JOB, "steps", "job", "runner", "env")
_STATUS = {"always": (0, 0), "cancelled": (0, 0), "success": (0, 0), "failure": (0, 0)}
_STATUS_OF_JOBS = {"always": (0, 0), "cancelled": (0, 0), "success": (0, 255), "failure": (0, 255)}
_HASH_FILES = {"hashFiles": (1, 255)}

RUN = Place(_RUN)
RUN_SECRETS = Place((*_RUN, "secrets"))
NEEDS = Place((*_RUN, "needs"))
JOB = Place(_JOB)
JOB_SECRETS = Place((*_JOB, "secrets"))
JOB_ENV = Place((*_JOB, "env"))
JOB_IF = Place((*_RUN, "needs"), _STATUS_OF_JOBS)
STEP = Place((*_STEP, "secrets"), _HASH_FILES)
STEP_IF = Place(_STEP, {**_STATUS, **_HASH_FILES})
OUTPUT = Place((*_STEP, "secrets"))
URL = Place(_STEP)
CREDENTIALS = Place((*_RUN, "secrets", "env"))

NO_CONTAINER = "jobs run on this machine, with no container engine: run the job without it, or on GitHub"
NO_ENVIRONMENT = "nothing is deployed from a run here: take it out to run the job, and give its variables with '--var'"
NO_DEPLOY = "deploying from a pipeline is not built yet: take this job out"
NO_BACKGROUND = "start it in the shell with '&': what a step leaves running lives until the job's end"

_TEXT = Text()
_NAME = Text(nonempty=True)
_NAMES = OneOf(options=(_NAME, ListOf(item=_NAME)))

_LEVEL = Text(choices=("read", "write", "none"))
_READ_LEVEL = Text(choices=("read", "none"))
_WRITE_LEVEL = Text(choices=("write", "none"))
_ANY_LEVEL = (
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "code-quality",
    "contents",
    "deployments",
    "discussions",
    "drives",
    "issues",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
TOKEN_SCOPES = (*_ANY_LEVEL, "copilot-requests", "id-token", "models", "vulnerability-alerts")
"""Everything that `permissions` names."""
_PERMISSIONS = OneOf(
    options=(
        Text(choices=("read-all", "write-all")),
        Record(
            keys={
                **{name: Key(_LEVEL, f"What the token may do with {name}.") for name in _ANY_LEVEL},
                "copilot-requests": Key(_WRITE_LEVEL, "Whether the token may ask Copilot."),
                "id-token": Key(_WRITE_LEVEL, "Whether the job may ask for an OpenID Connect token."),
                "models": Key(_READ_LEVEL, "Whether the token may use models."),
                "vulnerability-alerts": Key(_READ_LEVEL, "Whether the token may read vulnerability alerts."),
            }
        ),
    )
)


def _concurrency(place: Place, *, group: Text) -> Kind:
    mapping = Record(
        keys={
            "group": Key(_NAME, "Runs and jobs of one group never run at the same time.", required=True),
            "cancel-in-progress": Key(Flag(), "Cancel the one that runs rather than wait for it."),
            "queue": Key(Text(choices=("single", "max")), "How many may wait: one, or up to a hundred."),
        }
    )
    return OneOf(options=(group, mapping), place=place)


def _defaults(place: Place | None) -> Kind:
    run = Record(
        keys={
            "shell": Key(_NAME, "The shell of every `run` that names none."),
            "working-directory": Key(_NAME, "The folder of every `run` that names none."),
        },
        place=place,
    )
    return Record(keys={"run": Key(run, "Defaults of all `run` steps.")})


def _env(place: Place) -> Kind:
    return MapOf(value=_TEXT, place=place)


_CONTAINER_KEYS = {
    "image": Key(_TEXT, "The image to start."),
    "options": Key(_TEXT, "Options of `docker create`."),
    "env": Key(MapOf(value=Text(place=OUTPUT)), "Variables in the container."),
    "ports": Key(ListOf(item=_NAME), "Ports to publish."),
    "volumes": Key(ListOf(item=_NAME), "Volumes to mount."),
    "credentials": Key(
        Record(keys={"username": Key(_NAME, "The registry's user."), "password": Key(_NAME, "The password.")}, place=CREDENTIALS),
        "How to sign in to the registry.",
    ),
}
_CONTAINER = OneOf(options=(_TEXT, Record(keys=_CONTAINER_KEYS)), place=JOB)
_SERVICE_KEYS = {
    **_CONTAINER_KEYS,
    "entrypoint": Key(_TEXT, "The program to start instead of the image's."),
    "command": Key(_TEXT, "The arguments to give instead of the image's."),
}
_SERVICE = OneOf(options=(_TEXT, Record(keys=_SERVICE_KEYS)), place=JOB)

_ENVIRONMENT = OneOf(
    options=(
        _TEXT,
        Record(
            keys={
                "name": Key(_TEXT, "The environment's name.", required=True),
                "url": Key(Text(place=URL), "The address that the deployment is shown with."),
                "deployment": Key(Flag(), "Whether a deployment is recorded."),
            }
        ),
    ),
    place=JOB,
)

_MATRIX_FILTER = ListOf(item=MapOf(value=Anything()))
_STRATEGY = Record(
    keys={
        "matrix": Key(
            MapOf(
                value=ListOf(item=Anything()),
                rest={
                    "include": Key(_MATRIX_FILTER, "Values to add to combinations, and combinations to add."),
                    "exclude": Key(_MATRIX_FILTER, "Combinations to leave out."),
                },
            ),
            "The values whose combinations each make a job.",
        ),
        "fail-fast": Key(Flag(), "Cancel the other jobs of the matrix when one fails."),
        "max-parallel": Key(Number(), "How many jobs of the matrix may run at once."),
    },
    place=NEEDS,
    computed=True,
)

_RUNS_ON = OneOf(
    options=(
        _NAME,
        ListOf(item=_NAME),
        Record(keys={"group": Key(_NAME, "The group of runners."), "labels": Key(_NAMES, "The labels that a runner must have.")}),
    ),
    place=JOB,
)

_ANY_STEP = {
    "name": Key(Text(place=STEP), "What the step is called in logs."),
    "id": Key(_NAME, "How later steps refer to it."),
    "continue-on-error": Key(Flag(place=STEP), "Go on when the step fails."),
}
_COMMON_STEP = {
    **_ANY_STEP,
    "if": Key(Text(place=STEP_IF, condition=True), "Run the step only when this is true."),
    "timeout-minutes": Key(Number(place=STEP), "End the step after so many minutes."),
    "env": Key(_env(STEP), "Variables of the step."),
    "background": Key(Flag(), "Start the step, and go on at once.", refused=NO_BACKGROUND),
}
_RUN_STEP = Record(
    keys={
        **_COMMON_STEP,
        "run": Key(Text(place=STEP), "Commands for the shell.", required=True),
        "shell": Key(_NAME, "The shell that runs them."),
        "working-directory": Key(Text(place=STEP), "The folder in which they run."),
    }
)
_ACTION_STEP = Record(
    keys={
        **_COMMON_STEP,
        "uses": Key(_NAME, "The action to run.", required=True),
        "with": Key(MapOf(value=_TEXT, place=STEP), "Inputs of the action."),
    }
)
_WAIT_STEP = Record(keys={**_ANY_STEP, "wait": Key(_NAMES, "Wait for these background steps.", required=True, refused=NO_BACKGROUND)})
_WAIT_ALL_STEP = Record(
    keys={
        **_ANY_STEP,
        "wait-all": Key(OneOf(options=(Nothing(), Flag())), "Wait for all background steps.", required=True, refused=NO_BACKGROUND),
    }
)
_CANCEL_STEP = Record(keys={**_ANY_STEP, "cancel": Key(_NAME, "End this background step.", required=True, refused=NO_BACKGROUND)})
_PARALLEL_STEP = Record(
    keys={"parallel": Key(ListOf(item=Anything()), "Steps that run at the same time.", required=True, refused=NO_BACKGROUND)}
)
_STRING_STEP = Text(nonempty=True, place=STEP, only=Dialect.SPARKI)
"""A plain string is the step that runs it."""
STEP_KIND = OneOf(options=(_STRING_STEP, _RUN_STEP, _ACTION_STEP, _WAIT_STEP, _WAIT_ALL_STEP, _CANCEL_STEP, _PARALLEL_STEP))

_COMMON_JOB = {
    "name": Key(Text(place=JOB), "What the job is called in lists."),
    "needs": Key(_NAMES, "Jobs that must end first."),
    "if": Key(Text(place=JOB_IF, condition=True), "Run the job only when this is true."),
    "permissions": Key(_PERMISSIONS, "What the job's token may do."),
    "concurrency": Key(_concurrency(JOB, group=_NAME), "Which jobs must not run at the same time."),
    "strategy": Key(_STRATEGY, "How a matrix of jobs is made and run."),
}
_STEPS_JOB = Record(
    keys={
        **_COMMON_JOB,
        "runs-on": Key(_RUNS_ON, "The labels of the machine that the job wants.", required=Dialect.GITHUB),
        "timeout-minutes": Key(Number(place=JOB), "End the job after so many minutes."),
        "cancel-timeout-minutes": Key(Number(place=JOB), "How long a cancelled job may clean up."),
        "continue-on-error": Key(Flag(place=JOB), "The run may be a success though the job fails."),
        "container": Key(_CONTAINER, "The container that the steps run in.", refused=NO_CONTAINER),
        "services": Key(MapOf(value=_SERVICE, each="service", place=JOB), "Containers that run beside the job.", refused=NO_CONTAINER),
        "env": Key(_env(JOB_SECRETS), "Variables of all the job's steps."),
        "environment": Key(_ENVIRONMENT, "The environment that the job deploys to.", refused=NO_ENVIRONMENT),
        "outputs": Key(MapOf(value=Text(place=OUTPUT)), "Values for the jobs that need this one."),
        "defaults": Key(_defaults(JOB_ENV), "Defaults of the job's steps."),
        "steps": Key(ListOf(item=STEP_KIND, each="step"), "What the job does, one after the other.", required=Dialect.SPARKI),
        "cache": Key(CACHE, "What decides on the job's result: while it is the same, an earlier result is restored.", only=Dialect.SPARKI),
        "junit": Key(REPORTS, "Patterns of the test reports that the steps write, as JUnit XML.", only=Dialect.SPARKI),
        "snapshot": Key(
            OneOf(
                options=(
                    _NAME,
                    Record(
                        keys={
                            "image-name": Key(_NAME, "The image's name.", required=True),
                            "if": Key(Text(place=STEP_IF, condition=True), "Make it only when this is true."),
                            "version": Key(_NAME, "The image's version."),
                        }
                    ),
                ),
                place=JOB,
            ),
            "Make an image of the runner.",
            refused="this machine's runner has no image",
        ),
    }
)
_CALL_VALUE = Text(place=JOB)
_CALL_JOB = Record(
    keys={
        **_COMMON_JOB,
        "uses": Key(_NAME, "The workflow to call.", required=True, refused="write the called workflow's jobs into this file"),
        "with": Key(MapOf(value=_CALL_VALUE), "Inputs of the called workflow."),
        "secrets": Key(
            OneOf(options=(Text(choices=("inherit",)), MapOf(value=Text(place=JOB_SECRETS)))), "Secrets of the called workflow."
        ),
    }
)
_DEPLOY_JOB = Record(
    keys={
        **_COMMON_JOB,
        "deploy": Key(_NAME, "The environment that the job deploys to.", required=True, refused=NO_DEPLOY, only=Dialect.SPARKI),
    },
    only=Dialect.SPARKI,
)

LANGUAGE = Record(
    keys={
        "name": Key(_TEXT, "The pipeline's name."),
        "run-name": Key(Text(place=RUN), "What a run is called in lists."),
        "on": Key(ON, "The events that start the pipeline.", required=Dialect.GITHUB),
        "env": Key(_env(RUN_SECRETS), "Variables of all jobs."),
        "defaults": Key(_defaults(None), "Defaults of all jobs."),
        "permissions": Key(_PERMISSIONS, "What the token of every job may do."),
        "concurrency": Key(_concurrency(RUN, group=_TEXT), "Which runs must not run at the same time."),
        "jobs": Key(MapOf(value=OneOf(options=(_STEPS_JOB, _CALL_JOB, _DEPLOY_JOB)), each="job"), "The jobs, by id.", required=True),
    }
)
"""The whole table, with the parts of both dialects."""


@cache
def language(dialect: Dialect) -> Kind:
    """The table as one dialect has it; made when a file of it is first read."""
    return in_dialect(LANGUAGE, dialect)
