"""What the journal tells of a job that an earlier result stands for: its steps and its end, in one transaction."""

from __future__ import annotations

from sparki_daemon.engine.caching import Hit
from sparki_daemon.engine.live import Live, LiveJob
from sparki_daemon.model.job import JobEvent
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import jobs, runs, steps
from sparki_daemon.store.protocol import Tx

__all__ = ["Hit", "end"]


async def end(tx: Tx, live: Live, job: LiveJob, hit: Hit, log: str) -> jobs.JobRow:
    """End a queued job as its earlier result says; `log`: where its log lies, without the suffix."""
    if not live.started:
        live.started = True
        await runs.move(tx, live.run, RunEvent.STARTED)
    result = hit.entry.result
    for step in result.steps:
        await steps.finish(
            tx,
            job.row,
            step["step"],
            name=step["name"],
            outcome=step["outcome"],
            conclusion=step["conclusion"],
            step_id=step.get("id", ""),
            exit_code=step["exit_code"],
            reason=step["reason"],
            duration_ms=step["duration_ms"],
            log_from=step["from"],
            log_to=step["to"],
            annotations=step.get("annotations", ()),
        )
    return await jobs.move(
        tx,
        job.uid,
        JobEvent.CACHED,
        log=log,
        outputs=result.outputs,
        cached=True,
        log_bytes=result.log_bytes,
        summary_bytes=result.summary_bytes,
        cache=hit.told,
        tests=result.tests,
    )
