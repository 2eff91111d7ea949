"""What the API asks of the engine: one Protocol, and the plain data that crosses it."""

from __future__ import annotations

from typing import Any, Protocol

from sparki_daemon.engine.api.deploy_ports import BindPort, DeployPort
from sparki_daemon.engine.feed import Feed
from sparki_daemon.engine.log_watch import LogWatch
from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.event import Event


@dataclass(frozen=True, slots=True)
class StepRange:
    """Where a step's text lies in its job's log, in bytes."""

    index: int  # from 0
    name: str
    start: int
    end: int | None  # None while the step runs
    started: str = ""  # RFC 3339, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLog:
    """Where the text of a job's present attempt is."""

    uid: str
    key: str  # the job's id in its run
    run: str
    path: str  # without `.log`
    ended: bool  # the job is in a terminal state: no byte will follow
    attempt: int = 1
    steps: tuple[StepRange, ...] = ()  # in order
    started: str = ""  # RFC 3339, UTC

    @property
    def file(self) -> str:
        """What `LogReader` takes."""
        return f"{self.path}.log"

    @property
    def written(self) -> list[StepRange]:
        """Steps that have text, or may get some: their ranges rise."""
        return [step for step in self.steps if step.end is None or step.end > step.start]


class EnginePort(Protocol):
    """Everything that the API may ask. Answers are the JSON shapes of the public interface; failures are SparkiError.

    `job_log` is asked once a job by each follower that comes when the job has begun; who saw it begin asks `live_log` first.
    """

    feed: Feed
    log_watch: LogWatch

    @property
    def deploying(self) -> DeployPort: ...

    @property
    def binding(self) -> BindPort: ...

    async def start_runs(self, request: dict[str, Any], idempotency_key: str | None) -> dict[str, Any]: ...

    async def list_runs(self, *, directory: str | None, limit: int, before: str | None) -> list[dict[str, Any]]: ...

    async def job_history(self, aspect: str, *, directory: str | None, limit: int) -> list[dict[str, Any]]:
        """Jobs that are `flaky`, `slow` or `expensive`."""
        ...

    async def run_history(self, run: str, *, directory: str | None) -> dict[str, Any]:
        """What past runs of its pipeline say of a run."""
        ...

    async def show_run(self, run: str, *, directory: str | None) -> dict[str, Any]: ...

    async def cancel_run(self, run: str, *, force: bool) -> dict[str, Any]: ...

    async def retry_run(
        self,
        run: str,
        *,
        failed: bool,
        from_step: str | None,
        idempotency_key: str | None,
        secrets: dict[str, str],
        secret_names: list[str],
    ) -> dict[str, Any]: ...

    async def artifacts(self, run: str, *, directory: str | None) -> dict[str, Any]: ...

    async def artifact_file(self, run: str, name: str, index: int) -> str:
        """The path of a file of an artifact. Raises SparkiError `no_such_artifact`."""
        ...

    async def cache_entries(self, directory: str) -> dict[str, Any]:
        """Raises SparkiError where there is no repository; so does `prune_cache`."""
        ...

    async def prune_cache(self, directory: str, limit_bytes: int | None) -> dict[str, Any]: ...

    async def daemon_status(self) -> dict[str, Any]: ...

    async def prune(self, *, dry_run: bool) -> dict[str, Any]: ...

    async def stop_daemon(self, *, force: bool) -> None: ...

    async def restart_daemon(self) -> None: ...

    async def events_since(self, seq: int, *, stream: str | None, limit: int) -> list[Event]:
        """Raises SparkiError `events_pruned`."""
        ...

    async def head(self) -> int: ...

    def live_log(self, run: str, uid: str, attempt: int) -> str | None:
        """Where the log of that attempt at a job is, without `.log`, of an active run or one of the last; None: the store must be asked."""
        ...

    async def job_log(self, uid: str) -> JobLog:
        """Raises SparkiError `no_such_job`."""
        ...
