"""Put one job in the place of a matrix's legs where none of them runs, and for another attempt put back what was planned first.

GitHub expands a matrix only once the job's `if` holds; here the legs stand in the plan before. Source: GITHUB.md §1.
"""

from __future__ import annotations

from collections.abc import Collection

from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import Plan, plan_from_json
from sparki_daemon.pipeline.expand import folded, is_folded, of_base, with_jobs
from sparki_daemon.store import jobs, runs
from sparki_daemon.store.protocol import Tx


def uid_of(run: str, place: int) -> str:
    """The uid of a run's job: `j-`, what follows `r-` in the run's id, and its place in the plan."""
    return f"j-{run[2:]}-{place}"


async def whole(tx: Tx, live: Live, job: LiveJob) -> LiveJob:
    """The job that stands for all legs of the matrix of `job`, put in their place; `job` itself where it is no leg, or one has begun."""
    legs = live.legs[job.plan.base]
    if not job.plan.matrix or not job.plan.whole or any(leg.state is not JobState.QUEUED for leg in legs):
        return job
    made = folded([leg.plan for leg in legs])
    plan = with_jobs(live.plan, made.base, [made])
    new = jobs.NewJob(legs[0].uid.partition(".")[0], made.id, made.base, made.name)  # a leg that was made late bears a number more
    place = legs[0].row.position // jobs.POSITION_GAP
    row = await jobs.fold(tx, [leg.row for leg in legs], new, place=place, attempt=max(leg.row.attempt for leg in legs))
    await runs.expand_plan(tx, live.run, plan.to_json())
    live.replace(made.base, [LiveJob(row, made)], plan)
    return live.legs[made.base][0]


async def as_planned(tx: Tx, run: str, found: list[jobs.JobRow], bases: Collection[str], *, late: bool) -> list[jobs.JobRow]:
    """Put jobs of `bases` back as they were planned first, queued for the run's next attempt: legs for a job that stands for them.

    `late`: also the job for those legs that were made once its needs had ended. Gives the rows of `found` that this leaves alone.
    """
    now, first = plan_from_json((await runs.documents(tx, run))[0]), plan_from_json(await runs.first_plan(tx, run))
    plan, kept = now, found
    for base in dict.fromkeys(row.base for row in found if row.base in bases):
        planned, present = of_base(first, base), of_base(now, base)
        if planned == present or not (late or is_folded(present[0])):
            continue
        plan = with_jobs(plan, base, planned)
        if [job.id for job in planned] != [job.id for job in present]:
            await _put_back(tx, run, [row for row in found if row.base == base], first)
            kept = [row for row in kept if row.base != base]
    if plan != now:
        await runs.expand_plan(tx, run, None if plan == first else plan.to_json())
    return kept


async def _put_back(tx: Tx, run: str, rows: list[jobs.JobRow], first: Plan) -> None:
    base, attempt = rows[0].base, max(row.attempt for row in rows) + 1
    news = [(at, jobs.NewJob(uid_of(run, at), job.id, base, job.name)) for at, job in enumerate(first.jobs) if job.base == base]
    if len(rows) == 1 and rows[0].key == base:
        await jobs.unfold(tx, rows[0], news, attempt=attempt)
    else:
        ((place, job),) = news  # only a job that waited for its matrix has other legs than the first plan
        await jobs.fold(tx, rows, job, place=place, attempt=attempt)
