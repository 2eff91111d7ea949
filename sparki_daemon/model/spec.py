"""What a runner is handed for one job: JSON on the wire, typed here."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class CacheSpec(TypedDict):
    """How a run uses the job cache."""

    use: bool  # look for results, and keep them
    limit_bytes: int  # what the project's entries may take
    bring_to: NotRequired[str]  # the folder that declared outputs are brought to
    tracer: NotRequired[str]  # the strace under which the steps of jobs with a cache run, to see what they read
    copy_to: NotRequired[str]  # the folder to which declared outputs are copied, a folder a job, to be compared


class SourceSpec(TypedDict):
    """Where `actions/checkout` takes the source from; the rest of a snapshot's JSON is `source.snapshot`'s."""

    worktree: str  # the repository's root on this machine
    branch: str | None  # checked out on a push; None: detached
    snapshot: dict[str, Any]


class RunSpec(TypedDict):
    """What all jobs of a run share; written once to `work/<run>/run.json`, and named by each JobSpec."""

    run: str
    plan: dict[str, Any]  # Plan.to_json()
    github: dict[str, Any]  # the github context but for what differs a job (job, workspace, event_path, …)
    event: dict[str, Any]  # the event's payload
    inputs: dict[str, Any]
    vars: dict[str, str]
    source: SourceSpec
    env: dict[str, str]  # of the client: PATH, LANG, proxies … (already chosen by allow-list)
    home: str  # "job" or "user"
    user_home: str
    actions: NotRequired[dict[str, str]]  # the folders that stand for others' repositories, by owner/repository in lower case
    hold: NotRequired[str]  # path of a lock: while somebody holds it, steps that fail are held for them
    project: NotRequired[str]  # whose caches are used; without it those of the worktree
    job_cache: NotRequired[CacheSpec]


class ResumeSpec(TypedDict):
    """Where a job goes on that has failed before."""

    kept: str  # the folder that was its work folder, and becomes it again
    step: int  # the index of the one to begin at


class LinkSpec(TypedDict):
    """The one job whose success another waits for, on the same runner."""

    job: str  # uid
    epoch: int
    base: str  # under which its result and outputs stand in `needs`


class KeepSpec(TypedDict):
    """Where the result of a job is kept for later runs, once it has succeeded."""

    slot: str  # the folder of its entries
    key: str
    parts: dict[str, str]
    outputs: list[str]  # patterns
    bring_to: NotRequired[str]  # the folder to which the declared outputs are copied, too: the working tree


class JobSpec(TypedDict):
    """One attempt at one job."""

    job: str  # uid, j-…
    key: str  # JobPlan.id
    run: str
    run_file: str  # path of the RunSpec's JSON file
    attempt: int  # from 1
    epoch: int  # the fence: every record carries it
    needs: dict[str, Any]  # the needs context: base → {result, outputs}
    name: str  # the display name, evaluated
    work: str  # the job's folder; the runner makes it, and removes it at the job's end
    temp: str  # the job's 0700 folder for env files, scripts, RUNNER_TEMP (on tmpfs where there is one); likewise
    log: str  # path of the log, without ".log"
    artifacts: NotRequired[str]  # the folder of all runs' artifacts; without it there can be none
    cache: NotRequired[str]  # the folder of all caches; likewise
    keep: NotRequired[KeepSpec]  # of a job that declares a cache
    after: NotRequired[LinkSpec]  # it may begin only once this job has succeeded on this runner; else it is given back
    kept: NotRequired[str]  # where its work folder goes if it fails, for another attempt to go on in
    resume: NotRequired[ResumeSpec]
    secrets: NotRequired[dict[str, str]]  # of the run, by name in upper case; on the wire and in memory only
