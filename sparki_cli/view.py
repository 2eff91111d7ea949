"""What is known of a run while its events come in: jobs and steps with their states and times. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

RED = ("failure", "lost", "cancelled")
ENDED = ("success", "failure", "cancelled", "skipped", "lost")
WORST_FIRST = ("lost", "failure", "cancelled", "success")


class StepView:
    __slots__ = ("duration_ms", "exit_code", "index", "name", "reason", "started_ms", "status")

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.status = "running"
        self.started_ms = 0
        self.duration_ms = 0
        self.exit_code: int | None = None
        self.reason = ""


class JobView:
    __slots__ = (
        "cached",
        "finished_ms",
        "key",
        "last_line",
        "name",
        "reason",
        "remarks",
        "started_ms",
        "status",
        "steps",
        "tests",
        "tolerated",
        "uid",
    )

    def __init__(self, key: str, name: str = "", uid: str = "") -> None:
        self.key = key
        self.name = name or key
        self.uid = uid
        self.status = "queued"
        self.reason = ""
        self.tolerated = False
        self.cached = False
        self.started_ms = 0
        self.finished_ms = 0
        self.steps: dict[int, StepView] = {}
        self.tests: dict[str, Any] | None = None  # what its test reports say
        self.remarks: list[dict[str, Any]] = []  # what steps that failed remarked
        self.last_line = ""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def duration_ms(self, now_ms: int) -> int:
        """How long it has run, or ran; 0 for a job that never began."""
        return max(0, (self.finished_ms or now_ms) - self.started_ms) if self.started_ms else 0

    def running_step(self) -> StepView | None:
        for step in reversed(self.steps.values()):
            if step.status == "running":
                return step
        return None


def learned(shown: dict[str, Any]) -> JobView:
    """A job as `sparki show --json` tells it, without its steps."""
    job = JobView(shown["id"], shown["name"], shown.get("uid", ""))
    job.status = shown.get("status") or job.status
    job.reason = shown.get("reason") or ""
    job.tolerated = bool(shown.get("tolerated"))
    job.cached = bool(shown.get("cached"))
    job.tests = shown.get("tests")
    job.started_ms = milliseconds(shown.get("started") or "")
    job.finished_ms = milliseconds(shown.get("finished") or "")
    return job


class RunView:
    """One attempt at a run."""

    __slots__ = ("file", "finished_ms", "jobs", "pipeline", "reason", "run", "started_ms", "status")

    def __init__(self, run: str, pipeline: str, file: str = "") -> None:
        self.run = run
        self.pipeline = pipeline
        self.file = file
        self.status = "queued"
        self.reason = ""
        self.started_ms = 0
        self.finished_ms = 0
        self.jobs: dict[str, JobView] = {}

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def duration_ms(self, now_ms: int) -> int:
        return max(0, (self.finished_ms or now_ms) - self.started_ms) if self.started_ms else 0

    def learn(self, shown: dict[str, Any]) -> None:
        """Take the jobs, in plan order, from what `sparki show --json` says; what events told already stays.

        A job that an attempt does not run again keeps its status, and no event tells of it.
        """
        known, self.jobs = self.jobs, {}
        for job in shown["jobs"]:
            self.jobs[job["id"]] = known.get(job["id"]) or learned(job)
        self.jobs |= known

    def apply(self, event: dict[str, Any]) -> None:
        """Take one event in; kinds that are not known change nothing."""
        kind, data = event["kind"], event["data"]
        if kind.startswith("run."):
            self._apply_to_run(kind, data, milliseconds(event["time"]))
        elif kind == "job.expanded":
            self._expand(data)
        elif kind == "job.folded":
            self._fold(data)
        elif kind.startswith("job."):
            self._apply_to_job(kind, data, milliseconds(event["time"]))
        elif kind.startswith("step."):
            self._apply_to_step(kind, data, milliseconds(event["time"]))

    def _fold(self, data: dict[str, Any]) -> None:
        """Put a job back in the place of its legs: its matrix is computed again."""
        placed: dict[str, JobView] = {}
        for key, job in self.jobs.items():
            if key not in data["legs"]:
                placed[key] = job
            else:
                placed.setdefault(data["job"], JobView(data["job"], data["name"], data["uid"]))
        placed.setdefault(data["job"], JobView(data["job"], data["name"], data["uid"]))
        self.jobs = placed

    def _expand(self, data: dict[str, Any]) -> None:
        """Put a job's legs in its place: its matrix is known now."""
        legs = {leg["job"]: JobView(leg["job"], leg["name"], leg["uid"]) for leg in data["legs"]}
        if data["job"] not in self.jobs:
            self.jobs |= {key: leg for key, leg in legs.items() if key not in self.jobs}
            return
        placed: dict[str, JobView] = {}
        for key, job in self.jobs.items():
            if key == data["job"]:
                placed |= legs
            elif key not in legs:
                placed[key] = job
        self.jobs = placed

    def job(self, key: str, data: dict[str, Any]) -> JobView:
        job = self.jobs.get(key)
        if job is None:
            job = self.jobs[key] = JobView(key, data.get("name", ""), data.get("uid", ""))
        return job

    def _apply_to_run(self, kind: str, data: dict[str, Any], time_ms: int) -> None:
        if kind == "run.finished":
            self.status, self.reason, self.finished_ms = data["status"], data.get("reason") or "", _kept(data, "finished", time_ms)
        elif kind in ("run.created", "run.retried"):
            self.status, self.started_ms, self.finished_ms = "queued", time_ms, 0
        elif kind == "run.started":
            self.status, self.started_ms = "running", _kept(data, "started", time_ms)

    def _apply_to_job(self, kind: str, data: dict[str, Any], time_ms: int) -> None:
        job = self.job(data["job"], data)
        job.status = data.get("status") or job.status
        job.reason = data.get("reason") or ""
        job.name = data.get("name") or job.name
        job.uid = data.get("uid") or job.uid
        if kind == "job.started":
            job.status, job.started_ms, job.finished_ms = "running", _kept(data, "started", time_ms), 0
        elif kind == "job.finished":
            job.started_ms = _kept(data, "started", job.started_ms)
            job.finished_ms = _kept(data, "finished", time_ms)
            job.tolerated, job.cached = bool(data.get("tolerated")), bool(data.get("cached"))
            job.tests = data.get("tests")
        elif kind == "job.queued":
            job.started_ms = job.finished_ms = 0
            job.steps.clear()
            job.remarks.clear()
            job.tests = None

    def _apply_to_step(self, kind: str, data: dict[str, Any], time_ms: int) -> None:
        job = self.job(data["job"], {})
        step = job.steps.setdefault(data["step"], StepView(data["step"], data["name"]))
        step.name = data["name"] or step.name
        if kind == "step.started":
            step.status, step.started_ms = "running", time_ms
            job.last_line = ""
        elif kind == "step.finished":
            step.status = data["conclusion"]
            step.duration_ms = data.get("duration_ms") or 0
            step.exit_code = data.get("exit_code")
            step.reason = data.get("reason") or ""
            if step.status == "failure":
                job.remarks += data.get("annotations") or ()


def _kept(data: dict[str, Any], name: str, time_ms: int) -> int:
    """A moment as the tables have it, which `show` tells too; the event was kept a little later, several at once."""
    return milliseconds(data.get(name) or "") or time_ms


def worst(statuses: Iterable[str]) -> str:
    """The status that several runs have together. Source: the public interface, "the exit code is the worst"."""
    seen = set(statuses)
    for status in WORST_FIRST:
        if status in seen:
            return status
    return "success"


def milliseconds(time: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time in UTC, as the engine writes it. 0 for what is none.

    By hand, because loading `datetime` takes longer than all that a short command does.
    Source of the day count: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    """
    try:
        year, month, day = int(time[0:4]), int(time[5:7]), int(time[8:10])
        seconds = int(time[11:13]) * 3600 + int(time[14:16]) * 60 + int(time[17:19])
        fraction = int((time[20:].rstrip("Z") + "000")[:3]) if time[19:20] == "." else 0
    except ValueError:
        return 0
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + day_of_year - 719_468
    return (days * 86_400 + seconds) * 1000 + fraction
