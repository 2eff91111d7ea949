"""Where the test reports of a job are: the key `junit`, in pipeline files and in `sparki.yml`."""

from __future__ import annotations

from collections.abc import Sequence

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.plan import Plan
from sparki_daemon.pipeline.schema import ListOf, Text

REPORTS = ListOf(item=Text(nonempty=True))


def with_reports(plan: Plan, patterns: Sequence[str]) -> Plan:
    """The plan with the patterns that `sparki.yml` has for all its jobs; a job that has its own keeps these."""
    if not patterns:
        return plan
    return replace(plan, jobs=tuple(job if job.junit else replace(job, junit=tuple(patterns)) for job in plan.jobs))
