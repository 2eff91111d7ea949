"""One active run as the scheduler sees it: which jobs wait for whom, which may go now. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import JobPlan, Plan
from sparki_daemon.model.spec import KeepSpec
from sparki_daemon.pipeline import needs
from sparki_daemon.store.jobs import JobRow


@dataclass(slots=True)
class LiveJob:
    """A job's row as last written, with its plan. It stands for a leg where `pipeline.needs` asks for one."""

    row: JobRow
    plan: JobPlan
    keep: KeepSpec | None = None  # where its result is kept, once that is known

    @property
    def uid(self) -> str:
        return self.row.uid

    @property
    def state(self) -> JobState:
        return self.row.state

    @property
    def outputs(self) -> dict[str, str]:
        return self.row.outputs

    @property
    def tolerated(self) -> bool:
        return self.row.tolerated


class Live:
    """The jobs of one run. Counts are kept as jobs end, so that a chain of n jobs costs n, not n squared."""

    def __init__(
        self,
        run: str,
        plan: Plan,
        jobs: Iterable[LiveJob],
        *,
        spec: dict[str, Any],
        attempt: int = 1,
        cancelling: bool = False,
        started: bool = False,
        limit: int | None = None,
        expansions: int = 0,
        offered: Iterable[str] = (),
        plan_text: str = "",
    ) -> None:
        self.run = run
        self.plan = plan
        self.spec = spec  # RunSpec without the plan
        self.github: dict[str, Any] = spec["github"]
        self.attempt = attempt
        self.cancelling = cancelling
        self.started = started
        self.limit = limit
        self.expansions = expansions  # how often a job was put in the place of its legs: each makes another shared file
        self.jobs = {job.plan.id: job for job in jobs}
        self.by_uid = {job.uid: job for job in self.jobs.values()}
        self.legs: dict[str, list[LiveJob]] = {}
        for job in self.jobs.values():
            self.legs.setdefault(job.plan.base, []).append(job)
        self.dependents: dict[str, list[str]] = {base: [] for base in self.legs}
        for base, legs in self.legs.items():
            for need in legs[0].plan.needs:
                self.dependents[need].append(base)
        self._left = {base: sum(not leg.state.terminal for leg in legs) for base, legs in self.legs.items()}
        self._unmet = {base: sum(self._left[need] > 0 for need in legs[0].plan.needs) for base, legs in self.legs.items()}
        self.unfinished = sum(self._left.values())
        self._well: dict[str, bool] = {}  # bases that have ended: did they and all before them succeed?
        self._graph: needs.Graph | None = None
        self._plan_text = plan_text
        self.offered = set(offered)  # keys in the queue or beyond, not ended
        self._held: deque[LiveJob] = deque()  # may run, but `limit` of the run or `max-parallel` of the matrix is reached

    @property
    def results(self) -> needs.Results:
        """How each leg stands, as `pipeline.needs` asks for it."""
        return self.legs

    @property
    def plan_text(self) -> str:
        """The plan as JSON: it is long, and what made the run has it already."""
        return self._plan_text or json.dumps(self.plan.to_json())

    @property
    def graph(self) -> needs.Graph:
        """The graph of all that a job depends on; made when the first `if` asks."""
        if self._graph is None:
            self._graph = needs.Graph(self.plan)
        return self._graph

    def all_well_before(self, base: str) -> bool:
        """Whether every job that `base` depends on, near and far, succeeded; they have all ended."""
        waiting = [base]
        while waiting:  # no recursion: a chain may be thousands long
            now = waiting[-1]
            unknown = [need for need in self.legs[now][0].plan.needs if need not in self._well]
            if unknown:
                waiting += unknown
                continue
            well = all(self._well[need] for need in self.legs[now][0].plan.needs)
            waiting.pop()
            if now != base:
                self._well[now] = well and needs.result_of(self.results[now]) == "success"
        return well

    def ready(self) -> list[LiveJob]:
        """Queued jobs whose needs have all ended, that were not offered yet; for a run that starts or is met again."""
        return [
            job
            for base, legs in self.legs.items()
            if self._unmet[base] == 0
            for job in legs
            if job.state is JobState.QUEUED and job.plan.id not in self.offered
        ]

    def ended(self, job: LiveJob, row: JobRow) -> list[LiveJob]:
        """Note that `job` has ended as `row` says, and give the jobs that its end makes ready."""
        job.row = row
        self.offered.discard(job.plan.id)
        self.unfinished -= 1
        base = job.plan.base
        self._left[base] -= 1
        if self._left[base]:
            return []
        ready: list[LiveJob] = []
        for dependent in self.dependents[base]:
            self._unmet[dependent] -= 1
            if self._unmet[dependent] == 0:
                ready += [leg for leg in self.legs[dependent] if leg.state is JobState.QUEUED]
                self.offered |= {leg.plan.id for leg in self.legs[dependent] if leg.state is JobState.ASSIGNED}  # a link: its turn has come
        return ready

    def link_after(self, job: LiveJob) -> LiveJob | None:
        """The job that may begin the moment `job` ends well, whatever else happens: it needs nothing else, and nothing asks before it.

        Without an `if`, `job` runs only after the success of all before it, so its own success is that of all before the link.
        """
        if self.cancelling or job.plan.condition is not None or len(self.legs[job.plan.base]) > 1:
            return None
        for base in self.dependents[job.plan.base]:
            legs = self.legs[base]
            plan = legs[0].plan
            alone = len(legs) == 1 and not plan.matrix and plan.needs == (job.plan.base,)
            if alone and plan.condition is None and plan.cache is None and not plan.deferred and legs[0].state is JobState.QUEUED:
                return legs[0]
        return None

    def met(self, job: LiveJob) -> bool:
        """Whether all needs of `job` have ended."""
        return self._unmet[job.plan.base] == 0

    def expand(self, job: LiveJob, legs: list[LiveJob], plan: Plan) -> None:
        """Put the legs of a job that waited for its matrix in its place; `plan` has them."""
        self.expansions += 1
        self.replace(job.plan.base, legs, plan)

    def replace(self, base: str, jobs: list[LiveJob], plan: Plan) -> None:
        """Put queued jobs in the place of all those of a base, which have not begun either; `plan` has them."""
        self.plan, self._graph, self._plan_text = plan, None, ""
        self.unfinished += len(jobs) - self._left[base]
        self.legs[base], self._left[base] = jobs, len(jobs)
        first = next(key for key, job in self.jobs.items() if job.plan.base == base)
        kept = [(key, job) for key, job in self.jobs.items() if key == first or job.plan.base != base]
        self.jobs = {found.plan.id: found for key, job in kept for found in (jobs if key == first else (job,))}
        self.by_uid = {job.uid: job for job in self.jobs.values()}

    def hold(self, job: LiveJob) -> None:
        """`job` may run: it goes as soon as the limits let it. A leg that comes back from a runner keeps its place before later legs."""
        if not (job.row.epoch and job.plan.matrix):
            self._held.append(job)
            return
        later = (at for at, other in enumerate(self._held) if other.plan.base == job.plan.base and other.row.position > job.row.position)
        self._held.insert(next(later, len(self._held)), job)

    def held(self) -> list[LiveJob]:
        return list(self._held)

    def unhold(self, job: LiveJob) -> None:
        """`job` will not run after all."""
        if job in self._held:
            self._held.remove(job)

    def offers(self) -> list[LiveJob]:
        """The held jobs that may go to the queue now, oldest first."""
        going: list[LiveJob] = []
        if not self._held:
            return going
        kept: deque[LiveJob] = deque()
        busy: dict[str, int] = {}
        for key in self.offered:
            base = self.jobs[key].plan.base
            busy[base] = busy.get(base, 0) + 1
        for job in self._held:
            base, most = job.plan.base, job.plan.strategy.get("max-parallel")
            full = self.limit is not None and len(self.offered) >= self.limit
            if full or (most is not None and busy.get(base, 0) >= most):
                kept.append(job)
                continue
            busy[base] = busy.get(base, 0) + 1
            self.offered.add(job.plan.id)
            going.append(job)
        self._held = kept
        return going
